"""What dbt needs to know to open this lake: the values its profile reads from the environment."""

from __future__ import annotations

from lake.connection import Lake
from lake.extensions import extension_folder
from lake.object_store import ObjectStore

# dbt takes what is named like this out of its logs, and allows it nowhere but in profiles.
PASSWORD_VARIABLE = "DBT_ENV_SECRET_ASSAY_LAKE_PASSWORD"
"""The catalog's password."""
KEY_VARIABLES = ("DBT_ENV_SECRET_ASSAY_LAKE_S3_KEY_ID", "DBT_ENV_SECRET_ASSAY_LAKE_S3_SECRET")
"""Name and key of the object store's user."""


def dbt_environment(lake: Lake) -> dict[str, str]:
    """Environment variables for ``dbt_project/profiles.yml``.

    Run dbt with these, under ``Lake.writing(...)``.

    Args:
        lake: The lake dbt shall build; made if it is not there, because its catalog knows its folder.

    Returns:
        Variable name → value; none is empty.

    Raises:
        ExtensionUnavailableError: If an extension of DuckDB can be had neither from its wheel nor by INSTALL.
    """
    config = lake.config
    password = config.postgres.password if config.is_postgres else None
    target = "embedded" if not config.is_postgres else "team" if password is None else "team_with_password"
    store = config.object_store
    return {
        "ASSAY_LAKE_TARGET": target if store is None else f"{target}_s3",
        **({} if password is None else {PASSWORD_VARIABLE: password}),
        **({} if store is None else _store_environment(store)),
        "ASSAY_LAKE_EXTENSIONS": str(extension_folder(config.extensions, config.temp_directory)),
        "ASSAY_LAKE_CATALOG": config.ducklake_path,
        "ASSAY_LAKE_DATA_PATH": lake.data_folder,
        "ASSAY_LAKE_TEMP_DIRECTORY": str(config.temp_directory),
        "ASSAY_LAKE_MEMORY_LIMIT": config.memory_limit,
        "ASSAY_LAKE_MEMORY_BYTES": str(max(1, config.memory_bytes)),
        "ASSAY_LAKE_THREADS": str(config.threads),
    }


def _store_environment(store: ObjectStore) -> dict[str, str]:
    keys = zip(KEY_VARIABLES, (store.access_key_id, store.secret_access_key), strict=True)
    return {
        **{f"ASSAY_LAKE_S3_{name.upper()}": value for name, value in store.dbt_values().items()},
        **dict(keys),
    }
