"""The commands and settings in the documentation are those of the installed program, option for option."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.cli.catalogue import CATALOGUE, every_command
from orchestration.cli.document import PAGE, page
from orchestration.settings import describe_settings
from sources.simulator.config import FAULTS

COMMAND_LINE = re.compile(
    r"(?:\.venv/bin/|`|^\$ ?|^)assay (--help|[a-z][a-z-]*)((?: [^\n`]*)?)", re.MULTILINE
)
MAKE_RUN = re.compile(r"make (run|ui) ARGS=\"([^\"]*)\"")
OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")
FAULTS_TABLE = re.compile(r"<!-- faults:.*?-->\n(.*?)<!-- /faults -->", re.DOTALL)
SETTINGS_TABLE = re.compile(r"<!-- settings:.*?-->\n(.*?)<!-- /settings -->", re.DOTALL)


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """Every command of `assay` with its options, also those in a group, such as `files check`."""

    return {
        words: {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("--")}
        for words, command in every_command().items()
    }


def _command(words: list[str], options: dict[str, set[str]]) -> str | None:
    """The command that a line names: the most of its first words that name one; None if there is no such command."""
    return next((name for name in (" ".join(words[:n]) for n in (3, 2, 1)) if name in options), None)


def test_documented_commands_and_options_exist(
    root: Path, committed: Callable[..., list[Path]], options: dict[str, set[str]]
) -> None:
    documented = [
        (page.relative_to(root), f"{name}{rest}", _command([name, *rest.split()], options))
        for page in committed(".md")
        for pattern in (COMMAND_LINE, MAKE_RUN)
        for name, rest in pattern.findall(page.read_text(encoding="utf-8"))
        if name != "--help"
    ]
    commands = {command for _, _, command in documented}
    assert commands >= {"run", "rollback", "replay", "settings", "files check", "files map"}
    unknown = [
        f"{page}: assay {line}: {option or 'no such command'}"
        for page, line, command in documented
        for option in OPTION.findall(line) or [""]
        if command is None or (option and option not in options[command])
    ]
    assert not unknown, unknown


def _table(heading: str, rows: list[str]) -> str:
    columns = heading.count("|") - 1
    return "\n".join(["", heading, "|" + "---|" * columns, *rows, "", ""])


def test_the_configuration_page_lists_every_setting_as_it_is(root: Path) -> None:
    expected = _table(
        "| variable | default | what |",
        [
            f"| `{name}` | {f'`{default}`' if default else '—'} | {about} |"
            for name, default, about in describe_settings()
        ],
    )
    found = SETTINGS_TABLE.search((root / "docs/how-to/configure.md").read_text(encoding="utf-8"))
    assert found is not None
    assert found[1] == expected, f"docs/how-to/configure.md should hold\n{expected}"


def test_the_faults_page_lists_every_fault_as_it_is(root: Path) -> None:
    expected = _table(
        "| fault | magnitude | what it does |",
        [f"| `{name}` | {magnitude:g} | {about} |" for name, (magnitude, about) in FAULTS.items()],
    )
    found = FAULTS_TABLE.search((root / "docs/how-to/inject-faults.md").read_text(encoding="utf-8"))
    assert found is not None
    assert found[1] == expected, f"docs/how-to/inject-faults.md should hold\n{expected}"


def test_the_page_of_commands_is_what_the_commands_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m orchestration.cli.document"


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_examples_of_the_help_are_commands(entry, options: dict[str, set[str]]) -> None:
    for example in entry.examples:
        program, *words = shlex.split(example)
        command = _command(words, options)
        assert program == "assay"
        assert command is not None
        assert command.split()[0] == entry.name
        assert set(OPTION.findall(example)) <= options[command]
