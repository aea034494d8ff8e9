"""The tables of the store, and how a store of an earlier version gets them.

Here: DDL. Not here: reading and writing them (`sources.ethereum.store`, `sources.ethereum.reorg`).
"""

from __future__ import annotations

import sqlite3

_VERSION = 2

# blocks.known, logs.known: unix seconds from which the rows are known; of a log null: with its block.
# blocks.seen: time of our clock when it was first read before it was final; null: it was final by then.
# blocks.checks: how many of the times to check it again have passed. blocks.n_logs: null: it was not read whole.
# tokens.since: unix seconds from which its first movement is known. tokens.updated: block of the newest event that
# says that its metadata changed, and from when that is known. tokens.asked_block, asked_at: as of which block, and
# when by our clock, it was asked; null: never. tokens.retry_at: ask again then,
# because no server answered (tokens.problem), or what it answered could not be used.
# facts.traits: JSON, null where the metadata cannot be used; facts.found: then what was found.
# trade_counts.day, counted_days.day, chosen_contracts: days since 1970; chosen: on which day a contract was first, and
# last, among the most traded.
_TABLES = """
create table if not exists blocks (
    number integer not null, hash text not null, parent text not null, time integer not null, bloom blob not null,
    known integer not null, final boolean not null, replaced_by text, seen integer, checks integer not null default 0,
    n_logs integer, primary key (number, hash)
) without rowid;
create unique index if not exists one_block_stands on blocks (number) where replaced_by is null;
create index if not exists blocks_by_known on blocks (known);
create index if not exists blocks_replaced on blocks (hash) where replaced_by is not null;
create index if not exists blocks_not_final on blocks (number) where not final and replaced_by is null;
create table if not exists logs (
    block_number integer not null, block_hash text not null, log_index integer not null, tx_index integer not null,
    tx_hash text not null, address text not null, topics text not null, data blob not null, known integer,
    primary key (block_number, block_hash, log_index)
) without rowid;
create index if not exists late_logs on logs (known) where known is not null;
create table if not exists read_until (contract text primary key, block integer not null) without rowid;
create table if not exists notes (name text primary key, value text not null) without rowid;
create table if not exists incidents (
    id integer primary key, kind text not null, what text not null, opened_at integer not null, closed_at integer
);
create table if not exists tokens (
    contract text not null, token_id text not null, collection text not null, standard text not null,
    since integer not null, first_block integer not null, updated_block integer, updated_known integer,
    asked_block integer, asked_at integer, failures integer not null default 0, retry_at integer, problem text,
    content text, primary key (contract, token_id)
) without rowid;
create index if not exists tokens_not_asked on tokens (first_block) where asked_block is null;
create index if not exists tokens_retry on tokens (retry_at) where retry_at is not null;
create index if not exists tokens_by_content on tokens (collection, content);
create table if not exists token_facts (
    contract text not null, token_id text not null, known integer not null, traits text, uri text, found text,
    primary key (contract, token_id, known)
) without rowid;
create index if not exists token_facts_by_known on token_facts (known);
create table if not exists trade_counts (
    day integer not null, contract text not null, sales integer not null, primary key (day, contract)
) without rowid;
create table if not exists counted_days (day integer primary key);
create table if not exists chosen_contracts (
    contract text primary key, first_day integer not null, last_day integer not null
) without rowid;
create table if not exists tokens_listed (contract text primary key, block integer not null) without rowid;
"""
_FROM_EARLIER = """
insert into blocks (number, hash, parent, time, bloom, known, final)
    select number, hash, parent, time, bloom, time, true from old_blocks;
insert into logs
    select block_number, hash, log_index, tx_index, tx_hash, address, topics, data, null
    from old_logs join old_blocks on number = block_number;
drop table old_blocks;
drop table old_logs;
"""


def bring_up_to_date(con: sqlite3.Connection) -> None:
    """Make the tables that are missing; a store of the first version, with final blocks alone, is converted."""
    if con.execute("pragma user_version").fetchone()[0] >= _VERSION:
        return
    con.execute("begin immediate")
    try:
        columns = [row[1] for row in con.execute("pragma table_info(blocks)")]
        earlier = bool(columns) and "known" not in columns
        if earlier:
            con.execute("alter table blocks rename to old_blocks")
            con.execute("alter table logs rename to old_logs")
        # Not executescript, which would end the transaction.
        for statement in (_TABLES + (_FROM_EARLIER if earlier else "")).split(";"):
            con.execute(statement)
        con.execute(f"pragma user_version = {_VERSION}")
    except BaseException:
        con.execute("rollback")
        raise
    con.execute("commit")
