"""Names use the field's standard words: no private metaphor in an identifier.

Here: the banned words, and the names that may keep one. Not here: prose; a reviewer reads that.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FOLDERS = ("sources", "lake", "ml", "serving", "orchestration", "benchmarks", "tests")
"""Folders that are checked; add a folder once its names are plain."""

BANNED = {
    "bury": "end, remove",
    "buried": "ended, removed",
    "crown": "promote, champion",
    "crowned": "promoted",
    "dead": "ended, killed",
    "die": "end",
    "died": "ended, killed",
    "dies": "ends",
    "foretold": "predicted",
    "hear": "receive, read",
    "heard": "received, messages",
    "horizon": "window, date",
    "house": "project",
    "instant": "time, as_of",
    "instants": "times",
    "lend": "give, share",
    "lent": "given, shared",
    "nobody": "none",
    "reign": "be champion",
    "reigned": "was champion",
    "reigning": "champion",
    "reigns": "is champion",
    "said": "reported, estimated",
    "says": "reports, gives",
    "silence": "inactivity",
    "silent": "inactive",
    "speak": "apply, price",
    "speaking": "in force",
    "speaks": "applies, prices",
    "spoke": "applied, priced",
    "spoken": "applied, priced",
    "tell": "report, describe",
    "telling": "report",
    "tells": "reports, describes",
    "told": "result, message, row",
    "understudy": "fallback",
    "whoever": "owner, caller",
}
"""Word part of an identifier to what may be used instead."""

ALLOWED = {
    "DEAD": "the stored state of a message in the dead-letter queue",
    "_dead_letter": "dead letter is the standard term",
    "retry_dead": "an option of a command, about dead letters",
    "retry_dead_letters": "dead letter is the standard term",
    "test_throttling_alone_never_makes_a_dead_letter": "dead letter is the standard term",
    "test_a_refused_message_becomes_a_dead_letter_and_others_go_on": "dead letter is the standard term",
    "test_the_dead_man_url_is_called_only_when_all_is_well": "dead man's switch is the standard term",
    "silent_days": "a setting that homes have in their configuration",
    "tell": "a method of an Optuna study",
}
"""Name to the reason why it stays."""

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def _names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of everything that a file names or reaches by an attribute."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.keyword(arg=str(name)):
                yield node.value.lineno, name
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute():
                yield node.lineno, node.attr
            case ast.alias(asname=str(name)):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)):
                yield node.lineno, name


def _banned_in(name: str) -> list[str]:
    if name in ALLOWED:
        return []
    return [word for part in _PARTS.findall(name) if (word := part.lower()) in BANNED]


@pytest.mark.parametrize("folder", FOLDERS)
def test_names_use_standard_words(folder: str, root: Path, committed: Callable[..., list[Path]]) -> None:
    files = [file for file in committed(".py") if file.is_relative_to(root / folder)]
    assert files, f"expected Python files in {folder}, found none: correct FOLDERS"
    found = [
        f"{file.relative_to(root)}:{line}: {name}: instead of '{word}' use one of: {BANNED[word]}"
        for file in files
        for line, name in sorted(_names(ast.parse(file.read_text(encoding="utf-8"))))
        for word in _banned_in(name)
    ]
    assert not found, (
        "names with a private metaphor; rename them, or give a reason in ALLOWED:\n" + "\n".join(found)
    )


def test_every_exception_is_a_name_that_is_used(committed: Callable[..., list[Path]]) -> None:
    used = {name for file in committed(".py") for _, name in _names(ast.parse(file.read_text("utf-8")))}
    assert ALLOWED.keys() <= used, f"remove from ALLOWED: {ALLOWED.keys() - used}"


@pytest.mark.parametrize(
    "name", ["told", "_told", "TOLD_AT", "toldReason", "test_what_is_told", "HeardError"]
)
def test_a_banned_word_is_found_in_every_style_of_name(name: str) -> None:
    assert len(_banned_in(name)) == 1


@pytest.mark.parametrize(
    "name", ["threshold", "totally", "index_fallback", "lookup", "warehouse", "silent_days"]
)
def test_other_names_are_left_alone(name: str) -> None:
    assert _banned_in(name) == []
