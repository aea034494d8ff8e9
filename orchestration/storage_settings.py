"""Where the state is kept when it is not in the home: the catalog, Parquet files, model versions.

A part of `orchestration.settings.Settings`, in a file of its own for its length.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from lake.errors import DataPathError
from lake.files import Files, FolderFiles, files_at
from lake.object_store import ObjectStore, refuse_other_prefix
from lake.storage import is_object_store
from ml.registry.folder import FOLDER


class StorageSettings(BaseSettings):
    """The settings of places. Their descriptions are the reference that `assay settings` prints."""

    catalog_url: SecretStr | None = Field(
        None, description="PostgreSQL URL of the lake catalog (postgresql://…); default SQLite under the home"
    )
    data_path: str | None = Field(
        None,
        description="folder or prefix in whose subfolder assay-lake the lake keeps its Parquet files; "
        "default under the home",
    )
    models_path: str | None = Field(
        None,
        description="folder or prefix (s3://bucket/prefix) of the files of models; default artifacts/ under the home",
    )
    mlflow_url: SecretStr | None = Field(
        None, description="MLflow tracking and registry URI; default SQLite under the home"
    )
    dagster_url: SecretStr | None = Field(
        None,
        description="PostgreSQL URL of Dagster's runs, events and schedules; default SQLite under the home",
    )
    s3_endpoint: str | None = Field(
        None,
        description="URL of the S3-compatible server of data_path and models_path, e.g. https://s3.example.org; "
        "default Amazon",
    )
    s3_region: str = Field("us-east-1", description="region that requests to S3 are signed for")
    s3_path_style: bool = Field(
        False, description="true: the bucket is in the path of S3's URL, not in its host name"
    )
    s3_access_key_id: SecretStr | None = Field(
        None, description="name of the S3 key, for a data_path or models_path that starts with s3://"
    )
    s3_secret_access_key: SecretStr | None = Field(None, description="the S3 key itself")

    def object_store(self, path: str | None) -> ObjectStore | None:
        """The object store of `data_path` or `models_path`; None for a folder.

        Raises:
            DataPathError: The path is of another kind than S3, a key is missing, or the endpoint is no server.
        """
        if path is None or not is_object_store(path):
            return None
        refuse_other_prefix(path)
        name, key = self.s3_access_key_id, self.s3_secret_access_key
        return ObjectStore(
            access_key_id="" if name is None else name.get_secret_value(),
            secret_access_key="" if key is None else key.get_secret_value(),
            endpoint=self.s3_endpoint,
            region=self.s3_region,
            path_style=self.s3_path_style,
        )

    def model_files(self, home: Path) -> Files:
        """Where the files of models are."""
        if self.models_path is None:
            return FolderFiles(home / FOLDER)
        return files_at(self.models_path, self.object_store(self.models_path))

    @model_validator(mode="after")
    def _object_store_is_possible(self) -> StorageSettings:
        if self.models_path is not None and not self.models_path.strip():
            raise ValueError(
                "Expected ASSAY_MODELS_PATH to be a folder or s3://bucket/prefix, found nothing; unset it."
            )
        try:
            self.object_store(self.data_path)
            self.object_store(self.models_path)
        except DataPathError as error:
            raise ValueError(str(error)) from None
        return self
