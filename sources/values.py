"""One rule for each kind of value that people write in several ways, as SQL over a column.

Here: blanks and null words, token ids, addresses, hashes, chains, whole numbers and decimals. Not here: times
(`sources.instants`), and which rows are refused (`sources.rules`). Each function takes the SQL of a text (or of a value
of the Arrow type it is given) and returns SQL of the canonical value, null where there is none.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from sources.chains import CHAIN_BY_SPELLING, EVM_CHAINS

NULL_WORDS = (
    "null", "none", "nil", "<nil>", "<null>", "(null)", "nan", "<na>", "na", "n/a", "#n/a", "\\n", "nat",
    "-", "--", "—", "–", "?",
)  # fmt: skip
"""Words, lower case, that say that there is no value."""

ZERO_ADDRESS = "0x" + "0" * 40
"""Nobody: the sender of a mint, the receiver of a burn."""

_BLANKS = " \t\r\n\u00a0\u200b\ufeff"
_MAX_TOKEN = str(2**256 - 1)
_EXACT_FLOAT = 2**53
_BASE58 = "[1-9A-HJ-NP-Za-km-z]"


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(source: str) -> str:
    """A text without outer blanks; null when nothing is left."""
    return f"nullif(trim({source}, {quote(_BLANKS)}), '')"


def word(source: str) -> str:
    """A text without outer blanks; null when it is a word for nothing, such as NA or <nil>."""
    clean = text(source)
    words = ", ".join(quote(w) for w in NULL_WORDS)
    return f"case when length({clean}) < 10 and lower({clean}) in ({words}) then null else {clean} end"


def chain(source: str) -> str:
    """The chain's name; null when the spelling is not known."""
    pairs = ", ".join(f"{quote(k)}: {quote(v)}" for k, v in CHAIN_BY_SPELLING.items())
    clean = f"regexp_replace(lower({text(source)}), '[ _]+', '-', 'g')"
    known = " ".join(f"when {quote(name)} then {quote(name)}" for name in ("ethereum", "wax"))
    return f"case {source} {known} else map {{{pairs}}}[{clean}] end"


def token_id(source: str, dtype: pa.DataType, chain_sql: str) -> str:
    """The id as decimal text; as it is on chains whose ids are no numbers; null when it is not exact.

    `1204`, `1204.0`, `1,204`, `#1204`, `0x4b4` and its 32 bytes in hex are the same id. A float beyond 2^53 and a
    number in scientific notation have lost digits: which token was meant cannot be known.
    """
    if pa.types.is_floating(dtype):
        whole = f"{source} = floor({source}) and {source} >= 0 and {source} < {_EXACT_FLOAT}"
        return f"case when {whole} then {source}::bigint::varchar end"
    if pa.types.is_integer(dtype):
        return f"case when {source} >= 0 then {source}::varchar end"
    clean = word(f"{source}::varchar")
    bare = f"regexp_replace({clean}, '^(=\"|[#''])|\"$', '', 'g')"
    digits = f"case when length(d) < 78 or (length(d) = 78 and d <= '{_MAX_TOKEN}') then d end"
    evm = ", ".join(quote(c) for c in EVM_CHAINS)

    def decimal(sql: str) -> str:
        stripped = f"coalesce(nullif(ltrim({sql}, '0'), ''), '0')"
        return digits.replace("d <=", f"{stripped} <=").replace("length(d)", f"length({stripped})").replace(
            "then d ", f"then {stripped} "
        )

    whole_part = f"split_part({bare}, '.', 1)"
    return f"""case
        when regexp_full_match({source}::varchar, '0|[1-9][0-9]{{0,76}}') then {source}::varchar
        when {clean} is null then null
        when regexp_full_match({bare}, '0[0-9]{{63}}') then null
        when regexp_full_match({bare}, '[0-9]{{1,80}}(\\.0*)?') then {decimal(whole_part)}
        when regexp_full_match({bare}, '[0-9]{{1,3}}(,[0-9]{{3}})+(\\.0*)?')
            then {decimal(f"replace({whole_part}, ',', '')")}
        when regexp_full_match(lower({bare}), '(0x|\\\\x)[0-9a-f]{{1,64}}') then decimal_of_hex(substr({bare}, 3))
        when regexp_full_match(lower({bare}), '[0-9a-f]{{64}}') then decimal_of_hex({bare})
        when regexp_full_match({bare}, '[-+0-9.,eE ]+') then null
        when {chain_sql} in ({evm}) then null
        else {bare}
    end"""


def address(source: str) -> str:
    """An account: 20 bytes in hex as 0x and lower case, others as they are (their case matters)."""
    clean = word(source)
    low = f"lower({clean})"
    return f"""case
        when regexp_full_match({source}, '0x[0-9a-f]{{40}}') then {source}
        when regexp_full_match({low}, '(0x|\\\\x)?(0{{24}})?[0-9a-f]{{40}}') then '0x' || right({low}, 40)
        when regexp_full_match({clean}, '{_BASE58}{{32,44}}') then {clean}
        else {low}
    end"""


def transaction(source: str) -> str:
    """A hash: 32 bytes in hex as 0x and lower case, others as they are."""
    clean = word(source)
    low = f"lower({clean})"
    return f"""case
        when regexp_full_match({source}, '0x[0-9a-f]{{64}}') then {source}
        when regexp_full_match({low}, '(0x|\\\\x)?[0-9a-f]{{64}}') then '0x' || right({low}, 64)
        when starts_with({low}, '0x') then {low}
        else {clean}
    end"""


def decimal_number(source: str, dtype: pa.DataType) -> str:
    """A double; null when it cannot be read, and for NaN."""
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        source = word(source)
    number = f"try_cast({source} as double)"
    return f"case when isnan({number}) then null else {number} end"


def whole_number(source: str, dtype: pa.DataType) -> str:
    """A 64-bit integer; null when it is none: 12.5 is not rounded."""
    if pa.types.is_floating(dtype):
        return f"case when {source} = floor({source}) then try_cast({source} as bigint) end"
    if not (pa.types.is_string(dtype) or pa.types.is_large_string(dtype)):
        return f"try_cast({source} as bigint)"
    clean = word(source)
    return f"""case
        when regexp_full_match({clean}, '[+-]?[0-9]+(\\.0*)?') then try_cast(split_part({clean}, '.', 1) as bigint)
        when regexp_full_match({clean}, '0x[0-9a-fA-F]{{1,15}}') then try_cast({clean} as bigint)
        when regexp_full_match({clean}, '[0-9]{{1,3}}(,[0-9]{{3}})+')
            then try_cast(replace({clean}, ',', '') as bigint)
    end"""


def truth(source: str) -> str:
    """A boolean from true, t, yes, y, 1 and their opposites."""
    return f"""case when lower({word(f"{source}::varchar")}) in ('true', 't', 'yes', 'y', '1', '1.0') then true
        when lower({word(f"{source}::varchar")}) in ('false', 'f', 'no', 'n', '0', '0.0') then false end"""


def _decimal_of_hex(digits: pa.ChunkedArray) -> pa.Array:
    # 256 bits are more than any SQL integer holds; only ids written in hex come here.
    return pa.array(
        [None if d is None else str(int(d, 16)) if _is_hex(d) else None for d in digits.to_pylist()],
        pa.string(),
    )


def _is_hex(digits: str) -> bool:
    return bool(digits) and all(d in "0123456789abcdefABCDEF" for d in digits)


def connect() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB in UTC that knows the functions used here, for the set-wise work of this room."""
    con = duckdb.connect(config={"threads": 2})
    con.execute("set timezone = 'UTC'")
    # mypy: the stubs know the type only as an enumeration.
    con.create_function("decimal_of_hex", _decimal_of_hex, ["varchar"], "varchar", type="arrow")  # type: ignore[arg-type]
    return con
