"""A folder of CSV, TSV, JSON or Parquet files, read as they are."""
