"""From sources into the raw tables: assets, checks and the job."""
