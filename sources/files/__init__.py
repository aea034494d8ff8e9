"""A directory of Parquet or CSV files, read as it is."""
