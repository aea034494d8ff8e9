"""The made-up market of the model tests."""

from tests.unit.ml.models.conftest import market, priced  # noqa: F401 - fixtures
