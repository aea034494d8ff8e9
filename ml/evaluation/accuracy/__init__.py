"""The accuracy report: a ledger of frozen estimates in, figures, plots and pages out."""

from ml.evaluation.accuracy.config import AccuracyConfig
from ml.evaluation.accuracy.document import accuracy_of
from ml.evaluation.accuracy.ledger_reader import LedgerError

__all__ = ["AccuracyConfig", "LedgerError", "accuracy_of"]
