"""The made-up market of the model tests."""

from tests.unit.ml.conftest import market, priced  # noqa: F401 - fixtures
