"""Where facts are kept: the one place that opens, reads, writes and versions the lake.

Here: the catalog and its extensions, the cross-process write lock, snapshots, which lake owns a folder,
maintenance, the environment dbt needs to open the same lake. Not here: what the tables mean (``dbt_project``),
where rows come from (``sources``), when any of it runs (``orchestration``). The lake is DuckLake: Parquet files
plus an SQL catalog, every commit a snapshot that can be queried again, readers that never block the writer.
"""
