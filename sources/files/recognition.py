"""Which raw table a file holds, and which column is what.

Here: the choice. Not here: the names (`sources.files.aliases`, `sources.files.exports`), a user's own
(`sources.files.mapping_file`), and reading the columns (`sources.files.candidates`). A file is recognised by its name
where that names a table, and by its columns otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch

from sources.files.aliases import (
    FILE_PATTERNS,
    IGNORED,
    TABLES,
    plain_name,
    priced_in,
    scaled_in,
)
from sources.files.errors import MissingColumnError
from sources.files.exports import EXPORTS, Export
from sources.files.file_names import hinted_tables, named_table, side_of, symbol_of
from sources.files.mapping_file import LEFT_OUT, OwnNames
from sources.files.plan import Plan
from sources.files.reading.discovery import DataFile
from sources.files.reading.tables import ROW
from sources.files.shapes import attributes_column, prefixed_columns, rate_columns, trait_columns

_HELPERS = ("date", "time_of_day")


def recognise(
    file: DataFile, names: Sequence[str], repeated: frozenset[str], own: OwnNames
) -> tuple[Plan | None, str]:
    """What a file's columns are, or why the file is left out.

    Args:
        file: The file; its name may say which table it holds.
        names: Its columns.
        repeated: Names, lower case, that several of its columns have.
        own: A user's own names.

    Returns:
        A plan, or None and the reason.

    Raises:
        MissingColumnError: If the file's name says which table it holds and its columns do not fit, or a name that is
            needed stands over two columns.
    """
    for pattern, why in IGNORED.items():
        if any(fnmatch(stem.lower(), pattern) for stem in file.stems[:1]):
            return None, why
    mine = own.of(file.name)
    if mine.leave_out:
        return None, LEFT_OUT
    plain = _plain(names)
    named = mine.table or named_table(file)
    export = next((e for e in EXPORTS if e.fits(frozenset(plain)) and named in (None, e.table)), None)
    if export is not None and named is None and export.table == "exchange_rates":
        named = "exchange_rates"
    table = named or (export.table if export else _by_columns(file, plain))
    if table is None:
        return None, _why_unknown(plain)
    plan = _with_shape(_plan(file, table, export, plain, mine.columns), plain)
    _refuse_repeated(plan, repeated, file.name)
    missing = [group for group in TABLES[table].needs if not _has(plan, group)]
    if missing:
        raise MissingColumnError(_missing(file.name, table, missing[0], names))
    return plan, ""


def _plain(names: Sequence[str]) -> dict[str, str]:
    """Plain name → column; the first one has it. A time that says UTC in its name is called so without it, too."""
    found: dict[str, str] = {}
    for name in names:
        if name != ROW:
            found.setdefault(plain_name(name), name)
    for name, column in list(found.items()):
        found.setdefault(name.removesuffix("_utc"), column)
    return found


def _with_shape(plan: Plan, plain: Mapping[str, str]) -> Plan:
    """The plan of a table whose rows hold several traits, or several currencies."""
    if plan.table == "token_traits" and "trait_type" not in plan.columns:
        attributes = attributes_column(plain)
        if attributes is not None:
            return replace(plan, attributes=attributes)
        return replace(plan, wide=trait_columns(plain, plan.used))
    if plan.table == "exchange_rates" and not {"symbol", "rate"} & {*plan.columns, *plan.constants}:
        return replace(plan, wide=rate_columns(plain))
    return plan


def _by_columns(file: DataFile, plain: Mapping[str, str]) -> str | None:
    """The table whose needs the columns meet and that a word of the name, or a column only it has, points to."""
    # The name of a file of asks says the side: it must not be taken for one of sales.
    sided = {"listings"} if side_of(file) else set()
    fitting = [
        t
        for t in TABLES
        if all(_any_alias(t, g, plain) or (t in sided and g == ("side",)) for g in TABLES[t].needs)
    ]
    meant = hinted_tables(file)
    hinted = [t for t in fitting if t in meant]
    if hinted:
        return hinted[0]
    has_parties = _any_alias("sales", ("buyer", "seller", "tx_hash"), plain)
    if "token_traits" in fitting:
        return "token_traits"
    if "sales" in fitting and has_parties and not _any_alias("listings", ("order_id", "valid_until"), plain):
        return "sales"
    if "transfers" in fitting and "sales" not in fitting:
        both = all(_any_alias("transfers", (role,), plain) for role in ("from_address", "to_address"))
        return "transfers" if both else None
    if "listings" in fitting and _any_alias("listings", ("order_id", "valid_until"), plain):
        return "listings"
    if "exchange_rates" in fitting and not _any_alias("sales", ("token_id",), plain):
        return "exchange_rates"
    if "sales" not in fitting and _has_shape(plain, meant):
        return "exchange_rates" if "exchange_rates" in meant and rate_columns(plain) else "token_traits"
    return None


def _has_shape(plain: Mapping[str, str], meant: set[str]) -> bool:
    """Whether the columns are those of a table of traits, or of rates if it is called so, with several facts a row."""
    of_tokens = all(_any_alias("token_traits", group, plain) for group in TABLES["token_traits"].needs[:-1])
    if of_tokens and (attributes_column(plain) or prefixed_columns(plain) or "token_traits" in meant):
        return True
    return (
        "exchange_rates" in meant
        and _any_alias("exchange_rates", ("event_time",), plain)
        and bool(rate_columns(plain))
    )


def _any_alias(table: str, roles: Sequence[str], plain: Mapping[str, str]) -> bool:
    aliases = TABLES[table].aliases
    if any(n in plain for role in roles for n in aliases[role]):
        return True
    return "price" in roles and any(priced_in(n) for n in plain)


def _plan(
    file: DataFile, table: str, export: Export | None, plain: Mapping[str, str], own: Mapping[str, str]
) -> Plan:
    fixed = dict(export.roles) if export else {}
    columns = {role: plain[n] for role, n in fixed.items() if n in plain}
    for role, aliases in TABLES[table].aliases.items():
        if role not in columns and fixed.get(role) != "":
            found = next((n for n in aliases if n in plain), None)
            if found is not None:
                columns[role] = plain[found]
    currency = _stated_price(table, columns, plain, export)
    places = None
    if currency is None and table in ("sales", "listings") and not {"price", "price_raw"} & columns.keys():
        scaled = next((n for n in plain if scaled_in(n)), None)
        if scaled is not None:
            columns["price_raw"] = plain[scaled]
            currency, places = scaled_in(scaled) or ("", 0)
    columns = columns | _own_columns(own, plain, file.name)
    if "price" in own:
        currency = priced_in(plain_name(own["price"]))
        columns.pop("price_native", None)
    wax = table == "sales" and fnmatch(file.stems[0].lower(), "sales_wax*")
    if wax and "usd" in columns:
        columns["price"], currency = columns["usd"], "USD"
    if (
        table == "sales"
        and not {"price", "price_raw"} & columns.keys()
        and {"amount", "symbol"} <= plain.keys()
    ):
        # An amount is a price where a symbol says of what; alone it may be a number of tokens.
        columns["price"], columns["currency"] = plain["amount"], plain["symbol"]
    constants = dict(export.constants) if export else {}
    if wax:
        constants["chain"] = "wax"
    if (
        table == "exchange_rates"
        and "symbol" not in columns
        and "rate" in columns
        and (symbol := symbol_of(file))
    ):
        constants["symbol"] = symbol
    if (
        table == "listings"
        and (side := side_of(file))
        and ("side" not in columns or plain_name(columns["side"]) == "kind")
    ):
        columns.pop("side", None)
        constants["side"] = side
    kind = export.name if export else table.replace("_", " ")
    return Plan(
        table,
        kind,
        _without_helpers(columns, own),
        constants,
        currency,
        bool(export and export.native_currency),
        "wax-" if wax else "",
        plain.get("name") if wax else None,
        bool(export and export.known_contracts_only),
        tuple(plain[c] for c in export.summed if c in plain) if export else (),
        places,
    )


def _stated_price(
    table: str, columns: dict[str, str], plain: Mapping[str, str], export: Export | None
) -> str | None:
    """Make the price column whose name states its unit the price; returns the unit."""
    if "rate" in TABLES[table].aliases or "price" not in TABLES[table].aliases:
        return None
    if "price_native" in columns:
        columns["price"] = columns.pop("price_native")
        return None
    if export is not None and ("price" in columns or "price_raw" in columns or export.summed):
        return None
    stated = {n: unit for n in plain if (unit := priced_in(n)) is not None}
    preferred = [n for n, unit in stated.items() if unit != "USD" and n != "price_wei"]
    for name in sorted(preferred, key=lambda n: (stated[n] != "ETH", n)):
        columns["price"] = plain[name]
        return stated[name]
    if "price" not in columns and "price_raw" not in columns and "usd" in columns:
        columns["price"] = columns.pop("usd")
        return "USD"
    return None


def _own_columns(own: Mapping[str, str], plain: Mapping[str, str], file: str) -> dict[str, str]:
    found = {}
    for role, name in own.items():
        if plain_name(name) not in plain:
            raise MissingColumnError(
                f"{file}: expected the column {name!r} that the mapping file names for {role}, found columns"
                f" {', '.join(plain.values())}; correct the mapping file"
            )
        found[role] = plain[plain_name(name)]
    return found


def _without_helpers(columns: dict[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """A day and a time of day in two columns stay two roles only where the time has no better column."""
    time = columns.get("event_time")
    both = "date" in columns and "time_of_day" in columns and columns["date"] != columns["time_of_day"]
    halves = (columns.get("date"), columns.get("time_of_day"))
    if both and time in halves and "event_time" not in own:
        return columns | {"event_time": columns["date"]}
    return {role: name for role, name in columns.items() if role not in _HELPERS}


def _has(plan: Plan, group: Sequence[str]) -> bool:
    if "price" in group and plan.summed:
        return True
    if plan.table == "token_traits" and "trait_type" in group and (plan.attributes or plan.wide):
        return True
    if plan.table == "exchange_rates" and group[0] in ("symbol", "rate") and plan.wide:
        return True
    return any(role in plan.columns or role in plan.constants for role in group)


def _refuse_repeated(plan: Plan, repeated: frozenset[str], file: str) -> None:
    twice = sorted({name for name in plan.used if name.lower() in repeated})
    if twice:
        raise MissingColumnError(
            f"{file}: expected every column once (upper and lower case are the same), found"
            f" {', '.join(twice)} more than once; rename or drop one"
        )


def _missing(file: str, table: str, group: Sequence[str], names: Sequence[str]) -> str:
    options = [n for role in group for n in TABLES[table].aliases[role]]
    listed = ", ".join(options[:12]) + (", …" if len(options) > 12 else "")
    return (
        f"{file}: expected a column for {' or '.join(group)} (one of {listed}), found columns"
        f" {', '.join(n for n in names if n != ROW)}; rename or add it, or name it in assay.yaml"
    )


def _why_unknown(plain: Mapping[str, str]) -> str:
    found = ", ".join(list(plain.values())[:12])
    patterns = ", ".join(p for p, _ in FILE_PATTERNS)
    return f"no raw table is called so ({patterns}) and the columns ({found}) are those of none"
