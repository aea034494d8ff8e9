"""What dbt needs to know to open this lake: the values its profile reads from the environment."""

from __future__ import annotations

from lake.connection import Lake

PASSWORD_VARIABLE = "DBT_ENV_SECRET_ASSAY_LAKE_PASSWORD"
"""The catalog's password, by the prefix of dbt's secrets."""


def dbt_environment(lake: Lake) -> dict[str, str]:
    """Environment variables for ``dbt_project/profiles.yml``.

    Run dbt with these, under ``Lake.writing(...)``, after ``install_extensions(lake.config.extensions)``: dbt's
    adapter loads extensions but does not know the wheels.

    Args:
        lake: The lake dbt shall build; made if it is not there, because its catalog knows its folder.

    Returns:
        Variable name → value; none is empty.
    """
    config = lake.config
    password = config.postgres.password if config.is_postgres else None
    target = "embedded" if not config.is_postgres else "team" if password is None else "team_with_password"
    return {
        "ASSAY_LAKE_TARGET": target,
        # dbt takes what is named like this out of its logs, and allows it nowhere but in profiles.
        **({} if password is None else {PASSWORD_VARIABLE: password}),
        "ASSAY_LAKE_CATALOG": config.ducklake_path,
        "ASSAY_LAKE_DATA_PATH": lake.data_folder,
        "ASSAY_LAKE_TEMP_DIRECTORY": str(config.temp_directory),
        "ASSAY_LAKE_MEMORY_LIMIT": config.memory_limit,
        "ASSAY_LAKE_THREADS": str(config.threads),
    }
