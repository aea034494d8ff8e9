"""Champions in the MLflow Model Registry, through its client API only.

Here: registering a champion version, moving the aliases `champion` and `previous`, rolling back, and reading
all champions. Not here: the embedded store's file (`store`), the lake's mirror (`mirror`), or the decision
(`ml.models.gate`).

Concept: one registered model per collection, one version per approved champion; the version's tags carry the
whole tuple, so the registry alone can rebuild it. Any MLflow server serves by its URL; SQLite by default.
Every write is idempotent: a step killed after it registered a version finds that version again instead of
adding another.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ml.models.champion import Champion
from ml.registry import store
from ml.registry.artifacts import ArtifactStore
from ml.registry.errors import NothingToRollBackError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ALIAS_CHAMPION = "champion"
ALIAS_PREVIOUS = "previous"
PREFIX = "assay."
_PAGE = 1000


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
    def client(self) -> MlflowClient:
        """The MLflow client; the first use imports MLflow and makes a missing SQLite store (seconds)."""
        store.prepare(self.url)
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self.url, registry_uri=self.url)

    def promote(self, challenger: Champion, reigning: Champion | None) -> Champion:
        """Make the challenger its collection's champion.

        Args:
            challenger: What was approved.
            reigning: The champion that it replaces, as the lake knows it; None for a collection's first.

        Returns:
            The challenger with its version number. Registering the same tuple again returns the version it
            has.
        """
        name = model_name(challenger.collection)
        previous = reigning.version if reigning else None
        newest = self._newest(name) if reigning or not self._create(name) else None
        if newest is not None and newest.tags.get("assay.identity") == challenger.identity():
            version = int(newest.version)
        else:
            version = self._add_version(name, challenger)
        self.client.set_registered_model_alias(name, ALIAS_CHAMPION, str(version))
        if previous is not None and previous != version:
            self.client.set_registered_model_alias(name, ALIAS_PREVIOUS, str(previous))
        return challenger.registered(version, previous)

    def rollback(self, collection: str, reigning: Champion | None = None) -> Champion:
        """Swap a collection's champion with its previous version.

        Args:
            collection: Whose champion to replace.
            reigning: The champion as the lake knows it. Its versions, not the aliases, say what is swapped, so that a
                rollback that died before the lake heard of it is finished by the next one and not undone.

        Returns:
            The champion that now reigns.

        Raises:
            NothingToRollBackError: When the collection has no previous version.
        """
        name = model_name(collection)
        aliases = self._aliases(name)
        if reigning is not None and reigning.previous_version is not None:
            aliases |= {ALIAS_CHAMPION: reigning.version, ALIAS_PREVIOUS: reigning.previous_version}
        if ALIAS_PREVIOUS not in aliases:
            raise NothingToRollBackError(
                f"expected a previous version of {collection!r} in the registry, found aliases "
                f"{aliases or 'none'}; retrain the collection instead"
            )
        replaced, restored = aliases[ALIAS_CHAMPION], aliases[ALIAS_PREVIOUS]
        self.client.set_registered_model_alias(name, ALIAS_CHAMPION, str(restored))
        self.client.set_registered_model_alias(name, ALIAS_PREVIOUS, str(replaced))
        return self.version(collection, restored, previous_version=replaced)

    def version(self, collection: str, number: int, previous_version: int | None) -> Champion:
        """One registered version as a champion tuple."""
        found = self.client.get_model_version(model_name(collection), str(number))
        return Champion.from_tags(found.tags, number, previous_version)

    def aliases(self) -> dict[str, dict[str, int]]:
        """Aliases of every registered collection, {collection: {alias: version}}; 1000 models a request."""
        result = {}
        token: str | None = None
        while True:
            page = self.client.search_registered_models(
                filter_string=f"name like '{PREFIX}%'", max_results=_PAGE, page_token=token
            )
            for model in page:
                collection = (model.tags or {}).get("assay.collection")
                if collection is not None and model.aliases:
                    result[collection] = {alias: int(version) for alias, version in model.aliases.items()}
            token = page.token
            if not token:
                return result

    def champions(self) -> dict[str, Champion]:
        """Every reigning champion, from the registry alone."""
        aliases = self.aliases()
        wanted = {model_name(name): (name, versions) for name, versions in aliases.items()}
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

    def _create(self, name: str) -> bool:
        """Register the model's name; False when it exists already."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name, tags={"assay.collection": collection_of(name)})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return False
        return True

    def _newest(self, name: str) -> Any:
        """The newest version of a model (MLflow's ModelVersion, imported lazily), or None."""
        found = self.client.search_model_versions(
            f"name = '{name}'", max_results=1, order_by=["version_number DESC"]
        )
        return found[0] if found else None

    def _add_version(self, name: str, challenger: Champion) -> int:
        sha = challenger.local_sha
        source = self.artifacts.uri(sha) if sha else f"{self.artifacts.root.absolute().as_uri()}/none"
        made = self.client.create_model_version(
            name, source=source, tags=challenger.as_tags(), await_creation_for=0
        )
        return int(made.version)

    def _aliases(self, name: str) -> dict[str, int]:
        from mlflow.exceptions import MlflowException

        try:
            model = self.client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return {}
        return {alias: int(version) for alias, version in (model.aliases or {}).items()}


def model_name(collection: str) -> str:
    """Name of a collection's registered model; characters MLflow refuses are percent-encoded."""
    return PREFIX + quote(collection, safe=" !'()*,;=@&$+")


def collection_of(name: str) -> str:
    """The collection that `model_name` encoded."""
    from urllib.parse import unquote

    return unquote(name.removeprefix(PREFIX))
