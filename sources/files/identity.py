"""Which collection each row belongs to.

Here: from chain, contract, token and name to the key of a collection, over all files of a folder together. Not here:
the contracts that keep many collections (`sources.contracts`).

A collection is a contract on a chain, or a project of a shared contract. A name is a label: it may be missing, change,
or be used by another contract. Rows that know only the contract, or only the name, meet those that know both; a name
that several contracts use, in a row without contract, and an address on several chains, in a row without chain, are
refused.

The key of a collection is its name as long as only one collection has it; the one known first keeps it, and others with
that name get the contract in their key. Without a name the contract is the key.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.contracts import SHARED_CONTRACTS, SharedContract, shared_contracts_table, wrappers_table
from sources.distinct import whole
from sources.files.combinations import combinations
from sources.files.refusals import Refusal, refuse
from sources.values import connect

TABLES = ("sales", "transfers", "listings", "token_traits", "collections")
"""Tables whose rows belong to a collection."""


@dataclass(frozen=True)
class Identified:
    """Tables with their collections.

    Attributes:
        rows: Table → rows with `chain` and `collection` filled in.
        refused: Table → refused rows (see `refusals.refuse`).
        names: Collection key → the name most of its rows give.
    """

    rows: dict[str, pa.Table]
    refused: dict[str, pa.Table]
    names: dict[str, str]


def identify(tables: dict[str, pa.Table], own_contracts: tuple[SharedContract, ...] = ()) -> Identified:
    """Give every row its collection.

    Args:
        tables: Typed rows by table, with `_label` and `_chain_given` beside.
        own_contracts: Shared contracts that a user adds.
    """
    with connect() as con:
        con.register("shared", shared_contracts_table((*own_contracts, *SHARED_CONTRACTS)))
        con.register("wrappers", wrappers_table())
        union, codes = [], {}
        for name, rows in tables.items():
            combined = combinations(rows, _projects(con, rows))
            codes[name] = combined.codes
            con.register(f"given_{name}", combined.table)
            union.append(f"select * exclude (code) from given_{name}")
        con.execute(
            f"create temp table parts as select chain, given, contract, label, project, min(first) as first,"
            f" sum(n) as n from ({' union all '.join(union)}) group by all"
        )
        con.execute(_ASSETS)
        con.execute(_KEYS)
        kept, refused = {}, {}
        for name, rows in tables.items():
            kept[name], refused[name] = _apply(con, name, rows, codes[name])
        names = dict(con.execute("select key, label from named where label is not null").fetchall())
    return Identified(kept, refused, names)


def _projects(con: duckdb.DuckDBPyConnection, rows: pa.Table) -> pa.Array:
    """The project of each row in a contract that keeps many collections; null in the others."""
    labels = whole(rows.column("_label").cast(pa.string()))
    project = pa.nulls(rows.num_rows, pa.string())
    by_name = _in_contracts(con, rows, "name")
    if pc.any(by_name, min_count=0).as_py():
        project = pc.if_else(by_name, pc.fill_null(labels, "?"), project)
    where = pc.indices_nonzero(_in_contracts(con, rows, "project"))
    if not len(where) or "token_id" not in rows.column_names:
        return project
    con.register("in_shared", rows.select(["chain", "contract", "token_id"]).take(where))
    con.execute(
        """create or replace temp table found as
        select n, (try_cast(token_id as hugeint) // size)::varchar as project from (
            select row_number() over () as n, token_id, chain::varchar as chain, contract::varchar as contract
            from in_shared
        ) left join shared using (chain, contract)"""
    )
    found = con.execute("select project from found order by n").to_arrow_table()
    mask = np.zeros(rows.num_rows, bool)
    mask[where.to_numpy()] = True
    return pc.replace_with_mask(project, mask, whole(found.column("project")))


def _in_contracts(con: duckdb.DuckDBPyConnection, rows: pa.Table, by: str) -> pa.Array:
    """Whether a row is of a shared contract whose collections are distinguished in this way."""
    known = con.execute(
        "select distinct chain, contract from shared where distinguished_by = ?", [by]
    ).fetchall()
    mask = pa.array(np.zeros(rows.num_rows, bool))
    for chain in {chain for chain, _ in known}:
        contracts = pa.array([c for at, c in known if at == chain], pa.string())
        here = pc.and_(
            _is_in(rows.column("chain"), pa.array([chain])), _is_in(rows.column("contract"), contracts)
        )
        mask = pc.or_(mask, here)
    return mask


def _is_in(column: pa.ChunkedArray, values: pa.Array) -> pa.Array:
    """Whether each value is among some; the distinct values are compared."""
    array = whole(column)
    if not pa.types.is_dictionary(array.type):
        array = pc.dictionary_encode(array)
    found = pc.is_in(array.dictionary, value_set=values)
    return pc.fill_null(found.take(array.indices), False)


def _apply(
    con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table, codes: pa.Array
) -> tuple[pa.Table, pa.Table]:
    read = (
        con.execute(
            f"""select coalesce(a.true_chain, t.chain) as chain, a.key as collection, a.unclear
        from given_{name} as t left join keyed as a
            on t.chain = a.chain and t.given = a.given and t.contract is not distinct from a.contract
                and t.label is not distinct from a.label and t.project is not distinct from a.project
        order by t.code"""
        )
        .to_arrow_table()
        .take(codes)
    )
    found = rows.column("_label")
    for column in ("chain", "collection"):
        rows = rows.set_column(
            rows.schema.get_field_index(column), column, read.column(column).cast(pa.string())
        )
    why = Refusal("ambiguous_collection", "collection", "a contract and a chain that identify one collection")
    return refuse(name, rows, read.column("unclear"), why, found)


# What each combination of chain, contract, name and project belongs to. A row without a chain of its own takes the
# one on which its contract (or else its name) is known; without a contract, the one that its name stands for.
_ASSETS = """
    create temp table assets as
    with chains_of_contracts as (
        select contract, list(distinct chain) as chains from parts
        where given and contract is not null group by contract
    ),
    chains_of_names as (
        select label, list(distinct chain) as chains from parts where given and label is not null group by label
    ),
    placed as (
        select parts.*,
            case when parts.given then parts.chain
                when parts.contract is not null then coalesce(c.chains[1], parts.chain)
                else coalesce(l.chains[1], parts.chain) end as true_chain,
            not parts.given and (
                case when parts.contract is not null then len(c.chains) > 1 else len(l.chains) > 1 end
            ) as chain_unclear
        from parts
        left join chains_of_contracts as c on parts.contract = c.contract
        left join chains_of_names as l on parts.label = l.label
    ),
    canonical as (
        select placed.*, coalesce(w.holds, placed.contract) as true_contract
        from placed left join wrappers as w on placed.true_chain = w.chain and placed.contract = w.contract
    ),
    named as (
        select true_chain, label, list(distinct {'contract': true_contract, 'project': project}) as bearers
        from canonical where true_contract is not null and label is not null group by all
    )
    select canonical.* exclude (true_contract, project),
        canonical.project,
        coalesce(canonical.true_contract, named.bearers[1].contract) as true_contract,
        coalesce(canonical.project, case when canonical.true_contract is null then named.bearers[1].project end)
            as true_project,
        coalesce(canonical.chain_unclear, false)
            or (canonical.true_contract is null and coalesce(len(named.bearers) > 1, false))
            or coalesce(canonical.project = '?', false) as unclear,
        case when canonical.true_contract is null and named.bearers is null then canonical.label end as only_name
    from canonical left join named on canonical.true_chain = named.true_chain and canonical.label = named.label
"""

_KEYS = """
    create temp table named as
    with collections as (
        select true_chain, true_contract, true_project, only_name, min(first) as first, sum(n) as n
        from assets where not unclear group by all
    ),
    labels as (
        select true_chain, true_contract, true_project, only_name, label, sum(n) as n, min(first) as first
        from assets where not unclear and label is not null group by all
    ),
    -- a name that several projects of one contract have is the contract's, and none of theirs
    of_projects as (
        select true_chain, true_contract, label from labels where true_project is not null
        group by all having count(distinct true_project) > 1
    ),
    best as (
        select true_chain, true_contract, true_project, only_name, arg_max(label, (n, -epoch_us(first), label)) as label
        from labels
        anti join of_projects using (true_chain, true_contract, label)
        group by all
    ),
    wished as (
        select c.*, b.label,
            coalesce(b.label, s.shared_label || '-' || c.true_project, c.true_contract) as wish
        from collections as c
        left join best as b on c.true_chain = b.true_chain and c.true_contract is not distinct from b.true_contract
            and c.true_project is not distinct from b.true_project and c.only_name is not distinct from b.only_name
        left join shared as s on c.true_chain = s.chain and c.true_contract = s.contract
    ),
    ranked as (
        select *, row_number() over (partition by wish order by first, n desc, true_chain, true_contract) as place
        from wished
    ),
    second as (
        select *, case when place = 1 then wish when wish = true_contract or true_contract is null
            then true_chain || '-' || wish
            else concat_ws('-', wish, true_contract, true_project) end as next
        from ranked
    )
    select *, case when row_number() over (partition by next order by place, first, n desc, true_chain) = 1 then next
        else concat_ws('-', wish, true_chain, true_contract, true_project) end as key
    from second;

    create temp table keyed as
    select a.*, k.key from assets as a left join named as k
        on not a.unclear and a.true_chain = k.true_chain and a.true_contract is not distinct from k.true_contract
            and a.true_project is not distinct from k.true_project and a.only_name is not distinct from k.only_name
"""
