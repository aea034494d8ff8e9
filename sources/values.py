"""One rule for each kind of value that people write in several ways, as SQL over a column.

Here: blanks and null words, token ids, addresses, hashes, chains, whole numbers and decimals. Not here: times
(`sources.instants`), and which rows are refused (`sources.rules`). Each function takes the SQL of a text (or of a value
of the Arrow type it is given) and returns SQL of the canonical value, null where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from sources.chains import CHAIN_BY_SPELLING, EVM_CHAINS

NULL_WORDS = (
    "null", "none", "nil", "<nil>", "<null>", "(null)", "nan", "<na>", "na", "n/a", "#n/a", "\\n", "nat",
    "undefined",
    "-", "--", "—", "–", "?",
)  # fmt: skip
"""Words, lower case, that say that there is no value."""

ZERO_ADDRESS = "0x" + "0" * 40
"""The zero address: the sender of a mint, the receiver of a burn."""

PLAIN_CHAINS = ("ethereum", "wax", "simulated")
"""Names of chains that most rows have, in their canonical form."""

PLAIN_TOKEN = "0|[1-9][0-9]{0,76}"
"""Pattern of a token id in decimal."""

_BLANKS = " \t\r\n\u00a0\u200b\ufeff"
_MAX_TOKEN = 2**256 - 1
_EXACT_FLOAT = 2**53
_NULLS_TOO: Any = "special"
_BASE58 = "[1-9A-HJ-NP-Za-km-z]"


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(source: str) -> str:
    """A text without outer blanks; null when nothing is left."""
    # Trimming costs ten times the test whether there is something to trim.
    outer = f"regexp_matches({source}, '^[{_BLANKS}]|[{_BLANKS}]$')"
    trimmed = f"nullif(trim({source}, {quote(_BLANKS)}), '')"
    return f"case when {outer} then {trimmed} when {source} = '' then null else {source} end"


def needs_cleaning(source: str) -> str:
    """Whether `text` or `word` would change a text."""
    words = "[" + ", ".join(quote(w) for w in NULL_WORDS) + "]"
    outer = f"regexp_matches({source}, '^[{_BLANKS}]|[{_BLANKS}]$')"
    null_word = f"(length({source}) < 10 and list_contains({words}, lower({source})))"
    return f"{source} = '' or {outer} or {has_nul(source)} or {null_word}"


def has_nul(source: str) -> str:
    """Whether a text holds the character NUL, which no system after us keeps."""
    return f"contains({source}, chr(0))"


def word(clean: str) -> str:
    """A text that `text` has cleaned; null when it is a word for nothing, such as NA or <nil>."""
    # Not `in (...)`: DuckDB makes a join of it, which loses the order of the rows.
    words = "[" + ", ".join(quote(w) for w in NULL_WORDS) + "]"
    return f"case when length({clean}) < 10 and list_contains({words}, lower({clean})) then null else {clean} end"


def cleaned(relation: str, columns: Mapping[str, str], *, beside: str = "*") -> str:
    """A query: `relation` and for each of `columns` (name → SQL of a text) its `word` under that name.

    In two steps, and never in one expression: DuckDB plans an expression that repeats itself for seconds.
    """
    if not columns:
        return f"select {beside} from {relation}"
    trimmed = ", ".join(f"{text(source)} as {quote_name(name)}" for name, source in columns.items())
    words = ", ".join(f"{word(quote_name(name))} as {quote_name(name)}" for name in columns)
    return f"select * replace ({words}) from (select {beside}, {trimmed} from {relation})"


def chain(raw: str, clean: str) -> str:
    """The chain's name; null when the spelling is not known."""
    pairs = ", ".join(f"{quote(k)}: {quote(v)}" for k, v in CHAIN_BY_SPELLING.items())
    known = " ".join(f"when {quote(name)} then {quote(name)}" for name in PLAIN_CHAINS)
    return f"case {raw} {known} else map {{{pairs}}}[regexp_replace(lower({clean}), '[ _]+', '-', 'g')] end"


def token_id(raw: str, clean: str, dtype: pa.DataType, chain_sql: str) -> str:
    """The id as decimal text; as it is on chains whose ids are no numbers; null when it is not exact.

    `1204`, `1204.0`, `1,204`, `#1204`, `0x4b4` and its 32 bytes in hex are the same id. A float beyond 2^53 and a
    number in scientific notation have lost digits: which token was meant cannot be known.
    """
    if pa.types.is_floating(dtype):
        whole = f"{raw} = floor({raw}) and {raw} >= 0 and {raw} < {_EXACT_FLOAT}"
        return f"case when {whole} then {raw}::bigint::varchar end"
    if pa.types.is_integer(dtype):
        return f"case when {raw} >= 0 then {raw}::varchar end"
    # ="12" and '12 are what spreadsheets make of it, ["12"] is a list of one.
    bare = f"regexp_replace({clean}, '^(=\"|[#'']|\\[\"?)|\"?\\]$|\"$', '', 'g')"
    evm = "[" + ", ".join(quote(c) for c in EVM_CHAINS) + "]"
    return f"""case
        when regexp_full_match({raw}, '{PLAIN_TOKEN}') then {raw}
        when {clean} is null or regexp_full_match({clean}, '0[0-9]{{63}}') then null
        when regexp_full_match({bare}, '[0-9]{{1,80}}(\\.0*)?|[0-9]{{1,3}}(,[0-9]{{3}})+(\\.0*)?')
            then exact_token(replace(split_part({bare}, '.', 1), ',', ''))
        when regexp_full_match(lower({bare}), '(0x|\\\\x)[0-9a-f]{{1,64}}|[0-9a-f]{{64}}')
            then token_of_hex(regexp_replace({bare}, '^(0[xX]|\\\\x)', ''))
        when regexp_full_match({bare}, '[-+0-9.,eE ]+') or list_contains({evm}, {chain_sql}) then null
        else {bare}
    end"""


def address(raw: str, clean: str) -> str:
    """An account: 20 bytes in hex as 0x and lower case, others as they are (their case matters)."""
    return f"""case
        when regexp_full_match({raw}, '0x[0-9a-f]{{40}}') then {raw}
        when regexp_full_match(lower({clean}), '(0x|\\\\x)?(0{{24}})?[0-9a-f]{{40}}')
            then '0x' || right(lower({clean}), 40)
        when regexp_full_match({clean}, '{_BASE58}{{32,44}}') then {clean}
        else lower({clean})
    end"""


def transaction(raw: str, clean: str) -> str:
    """A hash: 32 bytes in hex as 0x and lower case, others as they are."""
    return f"""case
        when regexp_full_match({raw}, '0x[0-9a-f]{{64}}') then {raw}
        when regexp_full_match(lower({clean}), '(0x|\\\\x)?[0-9a-f]{{64}}') then '0x' || right(lower({clean}), 64)
        when starts_with(lower({clean}), '0x') then lower({clean})
        else {clean}
    end"""


def decimal_number(source: str) -> str:
    """A double; null when it cannot be read, and for NaN."""
    return f"nullif(try_cast({source} as double), 'nan'::double)"


def whole_number(source: str, dtype: pa.DataType) -> str:
    """A 64-bit integer from a number or a cleaned text; null when it is none: 12.5 is not rounded."""
    if pa.types.is_floating(dtype):
        return f"case when {source} = floor({source}) then try_cast({source} as bigint) end"
    if not is_text(dtype):
        return f"try_cast({source} as bigint)"
    return f"""case
        when regexp_full_match({source}, '[+-]?[0-9]+(\\.0*)?') then try_cast(split_part({source}, '.', 1) as bigint)
        when regexp_full_match({source}, '0x[0-9a-fA-F]{{1,15}}') then try_cast({source} as bigint)
        when regexp_full_match({source}, '[0-9]{{1,3}}(,[0-9]{{3}})+')
            then try_cast(replace({source}, ',', '') as bigint)
    end"""


def truth(source: str) -> str:
    """A boolean from true, t, yes, y, 1 and their opposites."""
    return f"""case when list_contains(['true', 't', 'yes', 'y', '1', '1.0'], lower({source})) then true
        when list_contains(['false', 'f', 'no', 'n', '0', '0.0'], lower({source})) then false end"""


def is_text(dtype: pa.DataType) -> bool:
    """Whether an Arrow type is text."""
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype))


def _tokens(base: int) -> Callable[[pa.ChunkedArray], pa.Array]:
    """Digits → the id in decimal. 256 bits are more than an integer of SQL holds; plain ids do not come here."""

    def canonical(digits: pa.ChunkedArray) -> pa.Array:
        numbers = [None if d is None or not _is_number(d, base) else int(d, base) for d in digits.to_pylist()]
        return pa.array([None if n is None or n > _MAX_TOKEN else str(n) for n in numbers], pa.string())

    return canonical


def _is_number(digits: str, base: int) -> bool:
    return bool(digits) and set(digits) <= set("0123456789abcdefABCDEF"[: 10 if base == 10 else 22])


def connect() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB in UTC that knows the functions used here, for set-wise work on values."""
    con = duckdb.connect(config={"threads": 2})
    con.execute("set timezone = 'UTC'")
    for name, base in (("exact_token", 10), ("token_of_hex", 16)):
        # The stubs know the kind of a function only as an enumeration.
        arrow: Any = "arrow"
        con.create_function(name, _tokens(base), ["varchar"], "varchar", type=arrow, null_handling=_NULLS_TOO)
    return con
