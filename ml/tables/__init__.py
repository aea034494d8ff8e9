"""Every table of the lake, declared once.

Here: one file a schema, two for `ops` (`ml.features.tables` is next to the features), and all of them together
(`ml.tables.registry`). From a declaration come the table itself, the Arrow schema of rows made in Python, the columns
that the Dagster UI shows, the tables of docs/contracts.md and docs/columns.md, and the test against dbt's YAML. Not
here: who fills a table.

Concept: times are UTC without a zone; prices are ETH unless the name shows otherwise; names ending in `_log` are
natural logs of ETH. A row is named by its key; writers delete the scope named by `replaced` and insert it.
"""
