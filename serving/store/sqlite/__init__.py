"""The store in SQLite files: writing a version, and reading one."""
