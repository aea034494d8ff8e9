"""From a file's columns to candidate rows of the raw contract.

Here: names, synthetic keys, timestamp precision, Art Blocks' shared contracts. Not here: judging the rows
(`sources.validation` does, and sees values it cannot read as they were written).
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from sources.files.mapping import IMPLIED_CURRENCY, SHARED_CONTRACTS, UNCERTAINTY_S, FileProfile
from sources.files.reading import ROW, MissingColumnError
from sources.rules import quote, quote_name, read_instant
from sources.validation import connect

_TEXT_DAY = r"\d{4}-\d{2}-\d{2}"
_HALF_DAY_S = 43200.0
_NUMBERED_TABLES = ("sales", "transfers")


def match_columns(profile: FileProfile, schema: pa.Schema, file: str) -> dict[str, str]:
    """Contract column → the file's column that holds it.

    Raises:
        MissingColumnError: If a column the table cannot do without is under none of its names.
    """
    present = {name.lower().strip(): name for name in schema.names}
    found = {
        column: next(present[n] for n in names if n in present)
        for column, names in profile.aliases.items()
        if any(n in present for n in names)
    }
    for group in profile.needs:
        if not any(column in found for column in group):
            names = [n for column in group for n in profile.aliases[column]]
            raise MissingColumnError(
                f"{file}: expected a column for {' or '.join(group)} (one of {', '.join(names)}),"
                f" found columns {', '.join(n for n in schema.names if n != ROW)}; rename or add it"
            )
    return found


def candidate_rows(
    profile: FileProfile, rows: pa.Table, file: str, *, chain: str, default_currency: str
) -> pa.Table:
    """Candidate rows of the profile's raw table, in file order.

    Args:
        profile: What the file's columns mean.
        rows: The file's rows with `ROW`.
        file: File name, for `source_row`.
        chain: Chain of rows that do not say theirs.
        default_currency: Currency of prices in a file that has no word on it.

    Returns:
        Contract columns (raw values) and, for the payload, the file's columns that no alias claims.

    Raises:
        MissingColumnError: If a required column is missing.
    """
    found = match_columns(profile, rows.schema, file)
    columns = _common(profile, found, rows.schema, file, chain)
    if profile.table == "exchange_rates":
        columns |= _rate_columns(found, rows.schema)
    else:
        columns |= _time_columns(found, rows.schema)
    if "price_native" in profile.aliases:
        columns |= _money_columns(found, default_currency)
    if profile.table == "sales":
        share = f'coalesce("{found["n_in_tx"]}" > 1, false)' if "n_in_tx" in found else "false"
        columns.setdefault("is_bundle_share", share)
        columns["finalized"] = "true"
    if profile.table == "transfers":
        columns["finalized"] = "true"
    if profile.table == "listings":
        columns.setdefault("event_kind", "'created'")
        columns.setdefault("order_id", "'row:' || source_row")
    claimed = set(found.values()) | {ROW}
    taken = {c.lower() for c in columns}
    extras = {
        quote_name(n): quote_name(n) for n in rows.column_names if n not in claimed and n.lower() not in taken
    }
    names = {f'"{k}"': v for k, v in columns.items()} | extras
    selected = ", ".join(f"{sql} as {name}" for name, sql in names.items())
    # A file that Assay wrote has a source_row of its own; the row is named by where it stands now.
    own = "".join(f' exclude ("{n}")' for n in rows.column_names if n.lower() == "source_row")
    numbered = f'select *{own}, {quote(file + ":")} || "{ROW}" as source_row from src'
    query = f'select {selected}, "{ROW}" from ({numbered})'
    if profile.table in _NUMBERED_TABLES:
        query = _keyed(query, profile.table, found, file)
    con = connect()
    try:
        con.register("src", rows)
        return con.execute(f'select * exclude ("{ROW}") from ({query}) order by "{ROW}"').to_arrow_table()
    finally:
        con.close()


def _common(
    profile: FileProfile, found: Mapping[str, str], schema: pa.Schema, file: str, chain: str
) -> dict[str, str]:
    """SQL of every contract column that is read or fixed without thought."""
    columns = {c: f'"{n}"' for c, n in found.items() if c not in ("precision", "event_time", "known_at")}
    columns["source_row"] = "source_row"
    # A file that does not say who tells it is its own teller: two files may then tell the same sale.
    own_name = quote(f"files:{file.rsplit('.', 1)[0]}")
    columns["source"] = f"coalesce({columns['source']}, {own_name})" if "source" in found else own_name
    if profile.table == "exchange_rates":
        return columns
    constant_chain = quote(profile.constants.get("chain", chain))
    columns["chain"] = (
        f"coalesce({columns['chain']}, {constant_chain})" if "chain" in found else constant_chain
    )
    columns["collection"] = _collection(found, profile)
    if "token_id" in found and pa.types.is_integer(schema.field(found["token_id"]).type):
        columns["token_id"] = f"{columns['token_id']}::varchar"
    return columns


def _collection(found: Mapping[str, str], profile: FileProfile) -> str:
    """A given name wins; a shared contract is split by project; else the contract is the collection."""
    given = "null::varchar"
    if "collection" in found:
        prefix = quote(profile.collection_prefix)
        given = f'nullif({prefix} || "{found["collection"]}", {prefix})'
    if "contract" not in found:
        return given
    contract = f'lower("{found["contract"]}"::varchar)'
    split = contract
    if "token_id" in found:
        project = f'(try_cast("{found["token_id"]}" as hugeint) // 1000000)'
        whens = " ".join(
            f"when {contract} = {quote(c)} then {quote(p)} || '-' || {project}"
            for c, p in SHARED_CONTRACTS.items()
        )
        split = f"case {whens} else {contract} end"
    return f"coalesce({given}, {split})"


def _event_time(name: str, dtype: pa.DataType) -> tuple[str, str]:
    """SQL of the event time (days at their middle) and of whether the value is only a day."""
    source = f'"{name}"'
    if pa.types.is_date(dtype):
        return f"{source}::timestamp + interval 12 hour", f"{source} is not null"
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
        is_day = f"coalesce(regexp_full_match(trim({source}), '{_TEXT_DAY}'), false)"
        return f"case when {is_day} then trim({source}) || ' 12:00:00' else {source} end", is_day
    return source, "false"


def _instant_of(sql: str, dtype: pa.DataType) -> str:
    return f"({sql})" if pa.types.is_date(dtype) else f"({read_instant(f'({sql})', dtype)})"


def _time_columns(found: Mapping[str, str], schema: pa.Schema) -> dict[str, str]:
    """Both clocks; without an arrival time a row is known once its event is over (docs/architecture.md, two clocks)."""
    if "event_time" not in found:
        return {"known_at": f'"{found["known_at"]}"'} if "known_at" in found else {}
    dtype = schema.field(found["event_time"]).type
    event, is_day = _event_time(found["event_time"], dtype)
    width = f"case when {is_day} then '{_HALF_DAY_S}' else '0.0' end"
    if "precision" in found:
        words = ", ".join(f"{quote(k)}: '{v}'" for k, v in UNCERTAINTY_S.items())
        # An unknown word is handed on as it is: validation then says what was found.
        word = f'"{found["precision"]}"'
        spoken = f"coalesce(map {{{words}}}[lower({word})], {word}, '0.0')"
        width = f"case when {is_day} then '{_HALF_DAY_S}' else {spoken} end"
    if "time_uncertainty_s" in found:
        width = f'"{found["time_uncertainty_s"]}"'
    arrival = (
        f"try({_instant_of(event, dtype)} + to_microseconds((try_cast({width} as double) * 1e6)::bigint))"
    )
    if "known_at" in found:
        name = found["known_at"]
        given = read_instant(f'"{name}"', schema.field(name).type)
        arrival = f"coalesce({given}, {arrival})"
    return {"event_time": event, "time_uncertainty_s": width, "known_at": arrival}


def _rate_columns(found: Mapping[str, str], schema: pa.Schema) -> dict[str, str]:
    """A rate is the close of its day or hour: known when that is over."""
    name = found["event_time"]
    dtype = schema.field(name).type
    source = f'"{name}"::timestamp' if pa.types.is_date(dtype) else f'"{name}"'
    instant = _instant_of(source, dtype)
    grain = f"case when bool_and({instant} = date_trunc('day', {instant})) over () then 'day' else 'hour' end"
    if "granularity" in found:
        grain = f'coalesce("{found["granularity"]}", {grain})'
    known = f"{instant} + case when {grain} = 'day' then interval 1 day else interval 1 hour end"
    if "known_at" in found:
        given = found["known_at"]
        given_instant = read_instant(f'"{given}"', schema.field(given).type)
        known = f"coalesce({given_instant}, {known})"
    quoted = f'"{found["quote"]}"' if "quote" in found else "'USD'"
    return {"event_time": source, "known_at": known, "granularity": grain, "quote": quoted}


def _money_columns(found: Mapping[str, str], default_currency: str) -> dict[str, str]:
    """A currency column wins; else the price column's name; else what the caller said the file is in."""
    price = found["price_native"]
    currency = f'"{found["currency"]}"' if "currency" in found else None
    implied = IMPLIED_CURRENCY.get(price.lower(), default_currency)
    if price.lower() in IMPLIED_CURRENCY or currency is None:
        # price_eth is in ETH whatever the currency column says the payment was made in.
        return {"price_native": f'"{price}"', "currency": quote(implied)}
    return {"price_native": f'"{price}"', "currency": currency}


def _keyed(query: str, table: str, found: Mapping[str, str], file: str) -> str:
    """Give rows without a hash or a log index synthetic ones.

    The log index is the ordinal within the transaction in file order. Rows that agree in every telling column
    are one event told twice by the same teller: they share the key, and the marts see a duplicate.
    """
    telling = ["source", "collection", "token_id", "event_time"]
    telling += ["price_native", "buyer", "seller"] if table == "sales" else ["from_address", "to_address"]
    have = [c for c in telling if c in found or c in ("source", "collection", "event_time")]
    same = ", ".join(f'"{c}"' for c in have)
    tx = "tx_hash" if "tx_hash" in found else "null::varchar"
    index = "log_index" if "log_index" in found else "null::bigint"
    sub = "sub_index" if "sub_index" in found else "null::bigint"
    given = [c for c in ("tx_hash", "log_index", "sub_index") if c in found]
    replaced = ", ".join([*given, "_given_tx", "_given_index", "_given_sub", "_first_row", "_ordinal"])
    return f"""
        select * exclude ({replaced}),
            coalesce(nullif(_given_tx, ''), 'row:' || {quote(file + ":")} || _first_row) as tx_hash,
            case when _given_tx is null or _given_tx = '' then coalesce(_given_index, 0)
                else coalesce(_given_index, _ordinal) end as log_index,
            coalesce(_given_sub, 0) as sub_index
        from (
            select *, dense_rank() over (partition by _given_tx order by _first_row) - 1 as _ordinal
            from (
                select *, {tx} as _given_tx, {index} as _given_index, {sub} as _given_sub,
                    min("{ROW}") over (partition by {tx}, {same}) as _first_row
                from ({query})
            )
        )
    """
