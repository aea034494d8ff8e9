"""The store in a PostgreSQL database: its tables, writing a version, and reading one."""
