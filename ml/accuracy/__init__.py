"""The accuracy report: a ledger of frozen estimates in, figures, plots and pages out."""

from ml.accuracy.config import AccuracyConfig
from ml.accuracy.document import accuracy_of
from ml.accuracy.ledger_reader import LedgerError

__all__ = ["AccuracyConfig", "LedgerError", "accuracy_of"]
