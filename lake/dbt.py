"""What dbt needs to know to open this lake: the values its profile reads from the environment."""

from __future__ import annotations

from lake.config import LakeConfig


def dbt_environment(config: LakeConfig) -> dict[str, str]:
    """Environment variables for ``dbt_project/profiles.yml``.

    Run dbt with these, under ``Lake.writing(...)``, after ``install_extensions(config.extensions)``: dbt's
    adapter loads extensions but does not know the wheels.

    Args:
        config: The lake dbt shall build.

    Returns:
        Variable name → value; none is empty.
    """
    return {
        "ASSAY_LAKE_TARGET": "team" if config.is_postgres else "embedded",
        "ASSAY_LAKE_CATALOG": config.ducklake_path,
        "ASSAY_LAKE_DATA_PATH": config.parquet_path,
        "ASSAY_LAKE_TEMP_DIRECTORY": str(config.temp_directory),
        "ASSAY_LAKE_MEMORY_LIMIT": config.memory_limit,
        "ASSAY_LAKE_THREADS": str(config.threads),
    }
