"""A task and how it ends, in a thread, in another process or on another machine.

Here: what a function says about how it may run, and results and errors that can be sent. Not here: where tasks run
(`ml.compute.backend`).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


@dataclass(frozen=True)
class Raised:
    """What a task ended with when it did not end well.

    Attributes:
        error: The exception.
    """

    error: BaseException


def one_in_a_process(function: AnyFunction) -> AnyFunction:
    """Mark a function that must not run twice at a time in a process, because it trains CatBoost models."""
    function.one_in_a_process = True  # type: ignore[attr-defined]
    return function


def outcome_of(function: Callable[[Any], Any], task: Any) -> Any:
    """In another process: the result of a task, or what it raised, in a form that can be sent back."""
    try:
        return function(task)
    except Exception as error:  # noqa: BLE001 - given to the caller as the result of this task
        return Raised(portable(error))


def portable(error: Exception) -> Exception:
    """An error that arrives as it is in another process; if that cannot be, one with the same text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - classes of any library, which raise what they like
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
