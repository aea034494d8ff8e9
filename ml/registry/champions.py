"""Champions in the MLflow Model Registry, through its client API only.

Here: registering a champion version, moving the aliases `champion` and `previous`, rolling back, and reading all
champions. Not here: the embedded store's file (`ml.registry.store`), the lake's mirror (`ml.registry.mirror`), or the
decision (`ml.training.gate`).

Concept: one registered model per collection, one version per approved champion; the version's tags carry the
whole tuple, so the registry alone can rebuild it. Any MLflow server serves by its URL; SQLite by default.
Every write is idempotent: a step killed after it registered a version finds that version again instead of
adding another. A collection may be called anything, so no name is ever put into a filter string: MLflow's has no way to
write an apostrophe. What is asked about one model is read from the model itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ml.registry import store
from ml.registry.artifacts import ArtifactStore
from ml.registry.champion import Champion
from ml.registry.errors import NothingToRollBackError, RegistryError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel
    from mlflow.tracking._model_registry.client import ModelRegistryClient

ALIAS_CHAMPION = "champion"
ALIAS_PREVIOUS = "previous"
PREFIX = "assay."
_PAGE = 1000
_LONGEST_NAME = 256
"""Characters of MLflow's column for names. SQLite takes more, other databases do not."""


class ChampionRegistry:
    """The registry of record.

    Args:
        url: An MLflow registry URI such as `sqlite:///…/mlflow.db` or `http://host:5000`.
        artifacts: Where model files are; versions point at them.
    """

    def __init__(self, url: str, artifacts: ArtifactStore) -> None:
        self.url = url
        self.artifacts = artifacts

    @cached_property
    def client(self) -> ModelRegistryClient:
        """MLflow's client of the registry; the first use imports MLflow and makes a missing SQLite store (seconds).

        `MlflowClient` hands every call on to it, but reads the whole model before it sets an alias, to see that it is
        no prompt, and opens a tracking store: twice the time of a promotion.
        """
        store.prepare(self.url)
        from mlflow.tracking._model_registry.client import ModelRegistryClient

        return ModelRegistryClient(registry_uri=self.url, tracking_uri=self.url)

    def promote(self, challenger: Champion, current: Champion | None) -> Champion:
        """Make the challenger its collection's champion.

        Args:
            challenger: What was approved.
            current: The champion that it replaces, as the lake knows it; None for a collection's first.

        Returns:
            The challenger with its version number. Registering the same tuple again returns the version it
            has.

        Raises:
            RegistryError: The registry refused; the lake's champion stays.
        """
        collection = challenger.collection
        previous = current.version if current else None
        with self._asked_about(collection):
            name = self._name(collection)
            newest = self._newest(name) if current or not self._create(name, collection) else None
            if newest is not None and newest.tags.get("assay.identity") == challenger.identity():
                version = int(newest.version)
            else:
                version = self._add_version(name, challenger)
            self.client.set_registered_model_alias(name, ALIAS_CHAMPION, str(version))
            if previous is not None and previous != version:
                self.client.set_registered_model_alias(name, ALIAS_PREVIOUS, str(previous))
        return challenger.registered(version, previous)

    def restore(self, champion: Champion, versions: Mapping[int, Champion], last: int) -> None:
        """Register the versions of a collection again that this registry has lost, each under its number.

        Args:
            champion: The collection's champion.
            versions: What is known, by number.
            last: The highest number that was ever given. Numbers that nothing is known about are registered without a
                tuple, so that they are not given again.

        Raises:
            RegistryError: The registry refused; the next call continues.
        """
        with self._asked_about(champion.collection):
            name = self._name(champion.collection)
            newest = None if self._create(name, champion.collection) else self._newest(name)
            for number in range(int(newest.version) + 1 if newest else 1, last + 1):
                self._add_version(name, versions.get(number))
            if champion.previous_version is not None:
                self.client.set_registered_model_alias(name, ALIAS_PREVIOUS, str(champion.previous_version))
            self.client.set_registered_model_alias(name, ALIAS_CHAMPION, str(champion.version))

    def rollback(self, collection: str, current: Champion | None = None) -> Champion:
        """Swap a collection's champion with its previous version.

        Args:
            collection: Whose champion to replace.
            current: The champion as the lake knows it. Its versions, not the aliases, define what is swapped, so that a
                rollback that was killed before it was written to the lake is finished by the next one and not undone.

        Returns:
            The new champion.

        Raises:
            NothingToRollBackError: When the collection has no previous version.
            RegistryError: The registry refused, or does not know that version.
        """
        with self._asked_about(collection):
            name = self._name(collection)
            aliases = self._aliases(name)
        if current is not None and current.previous_version is not None:
            aliases |= {ALIAS_CHAMPION: current.version, ALIAS_PREVIOUS: current.previous_version}
        if ALIAS_PREVIOUS not in aliases:
            raise NothingToRollBackError(
                f"expected a previous version of {collection!r} in the registry, found aliases "
                f"{aliases or 'none'}; retrain the collection instead"
            )
        replaced, restored = aliases[ALIAS_CHAMPION], aliases[ALIAS_PREVIOUS]
        with self._asked_about(collection):
            self.client.set_registered_model_alias(name, ALIAS_CHAMPION, str(restored))
            self.client.set_registered_model_alias(name, ALIAS_PREVIOUS, str(replaced))
        return self.version(collection, restored, previous_version=replaced)

    def version(self, collection: str, number: int, previous_version: int | None) -> Champion:
        """One registered version as a champion tuple.

        Raises:
            RegistryError: The registry does not have it, or not as Assay registers one.
        """
        with self._asked_about(collection):
            found = self.client.get_model_version(self._name(collection), str(number))
            return Champion.from_tags(found.tags, number, previous_version)

    def aliases(self) -> dict[str, dict[str, int]]:
        """Aliases of every registered collection, {collection: {alias: version}}; 1000 models a request."""
        return dict(self._aliases_by_model().values())

    def champions(self) -> dict[str, Champion]:
        """Every current champion, from the registry alone."""
        wanted = self._aliases_by_model()
        result = {}
        token: str | None = None
        while True:
            page = self.client.search_model_versions(
                filter_string=f"name like '{PREFIX}%'", max_results=_PAGE, page_token=token
            )
            for found in page:
                collection, versions = wanted.get(found.name, ("", {}))
                if versions.get(ALIAS_CHAMPION) == int(found.version):
                    previous = versions.get(ALIAS_PREVIOUS)
                    result[collection] = Champion.from_tags(found.tags, int(found.version), previous)
            token = page.token
            if not token:
                return result

    @contextmanager
    def _asked_about(self, collection: str) -> Iterator[None]:
        """One collection's failure under one name, whatever client, database or network raised."""
        try:
            yield
        except Exception as error:
            raise RegistryError(
                f"the registry failed for {collection!r}: {type(error).__name__}: {error}"
            ) from error

    def _aliases_by_model(self) -> dict[str, tuple[str, dict[str, int]]]:
        """Name of every model that has an alias to its collection and {alias: version}."""
        result = {}
        token: str | None = None
        while True:
            page = self.client.search_registered_models(
                filter_string=f"name like '{PREFIX}%'", max_results=_PAGE, page_token=token
            )
            for model in page:
                collection = (model.tags or {}).get("assay.collection")
                if collection is not None and model.aliases:
                    result[model.name] = (collection, _versions(model))
            token = page.token
            if not token:
                return result

    def _create(self, name: str, collection: str) -> bool:
        """Register the model's name; False when it exists already."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name, tags={"assay.collection": collection})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return False
        return True

    def _newest(self, name: str) -> Any:
        """The newest version of a model (MLflow's ModelVersion, imported lazily), or None."""
        model = self._model(name)
        versions = model.latest_versions if model else []  # the newest of each stage
        return max(versions, key=lambda found: int(found.version), default=None)

    def _add_version(self, name: str, challenger: Champion | None) -> int:
        sha = challenger.local_sha if challenger else None
        source = self.artifacts.uri(sha)
        made = self.client.create_model_version(
            name,
            source=source,
            tags=challenger.as_tags() if challenger else {"assay.lost": "true"},
            await_creation_for=0,
        )
        return int(made.version)

    def _aliases(self, name: str) -> dict[str, int]:
        model = self._model(name)
        return _versions(model) if model else {}

    def _model(self, name: str) -> RegisteredModel | None:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _name(self, collection: str) -> str:
        """The model of a collection. One that was registered before long names were shortened keeps its whole name."""
        name, whole = model_name(collection), PREFIX + _encoded(collection)
        return whole if name != whole and self._model(whole) is not None else name


def model_name(collection: str) -> str:
    """Name of a collection's registered model, another one for every collection.

    Characters MLflow refuses are percent-encoded; what is then too long ends in the digest of the whole, after a mark
    that no encoding produces.
    """
    name = PREFIX + _encoded(collection)
    if len(name) <= _LONGEST_NAME:
        return name
    ending = "%~" + hashlib.sha256(collection.encode()).hexdigest()
    return name[: _LONGEST_NAME - len(ending)] + ending


def _encoded(collection: str) -> str:
    return quote(collection, safe=" !'()*,;=@&$+")


def _versions(model: RegisteredModel) -> dict[str, int]:
    return {alias: int(version) for alias, version in (model.aliases or {}).items()}
