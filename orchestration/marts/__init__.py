"""The dbt project as assets, and checks of the marts."""
