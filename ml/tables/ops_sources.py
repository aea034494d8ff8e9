"""Schema `ops`: the configured sources of a home, their incidents, and which collection of it each of theirs is."""

from __future__ import annotations

from lake.tables import Table, columns

SOURCES = Table(
    "ops.sources",
    "One row per configured source, as of its newest ingestion ([ADR 32](adr/0032-several-sources.md)).",
    ("name",),
    "per source",
    columns("""
        name varchar Name in sources.yaml
        kind varchar Adapter that reads it: simulator, files
        priority bigint 1 is preferred; the report of the smallest number counts
        identity varchar What fixes its data, as JSON; with another one it is another source
        fresh_within_h double Hours it may be behind the newest source; null: not judged
        quarantine_limit double Share of its rows that may be refused; null: as the SLO quarantine_rate says
        watermark timestamp Everything known before it was read; null if it was never read
        problem varchar Why it could not be read; null if it was
    """),
)

COLLECTION_KEYS = Table(
    "ops.collection_keys",
    "One row per source, chain and collection of that source: which collection of this home it is.",
    ("delivered_by", "chain", "given"),
    "rows are added; `contract`, `project` and `collection` change when more is known",
    columns("""
        delivered_by varchar Configured source
        chain varchar Chain
        given varchar Key of the collection in the source
        contract varchar Contract, null if the source does not say
        project varchar What distinguishes collections of a shared contract; null for other contracts
        collection varchar Key of the collection in this home
        position bigint Order in which the rows were added: the first key of a collection is kept
    """),
)

SOURCE_INCIDENTS = Table(
    "ops.source_incidents",
    "One row per reorganisation of a chain, or time in which what its nodes answer was not believed "
    "([ADR 41](adr/0041-blocks-before-finality.md)), or in which a list of an API could not be read whole "
    "([ADR 45](adr/0045-paged-apis.md)).",
    ("source", "kind", "opened_at"),
    "per incident; one that is over stays",
    columns("""
        source varchar Configured source
        kind varchar chain_reorganised, node_doubtful, not_read:<list>
        opened_at timestamp When it was noticed, wall clock
        closed_at timestamp When it was over, wall clock; null while it is not
        what varchar What was expected and what was found
    """),
)

TABLES = (SOURCES, COLLECTION_KEYS, SOURCE_INCIDENTS)
