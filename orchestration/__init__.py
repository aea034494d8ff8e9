"""When, and whether: Dagster assets, checks, sensors, schedules, resources and the command line."""
