"""docs/reference/cli.md, from the commands themselves: `python -m orchestration.cli.document`.

Here: the page. Not here: the commands (`orchestration.cli.catalogue`). A test compares the page with them.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from ml.text.markdown import markdown_text
from orchestration.cli.catalogue import CATALOGUE, every_command

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "cli.md"

CONFIGURE = "docs/how-to/configure.md"

HEAD = """# Commands

<!-- Made by `python -m orchestration.cli.document`; a test keeps it so. -->

`assay` alone lists the commands, `assay COMMAND --help` explains one. `assay --install-completion` lets the shell
complete names and options. Most commands work on the home that `--home` or `ASSAY_HOME` names; every setting is in
[Configure](CONFIGURE).

## Exit codes

| code | meaning |
|---|---|
| 0 | done, and nothing was found |
| 1 | something was found (`status` with a page, `doctor` with a problem, `watchdog` with an alert), or a stage failed |
| 2 | asked wrongly: an unknown name, option or setting, a folder that is no home, input that cannot be read |
| 130, 143 | stopped by Ctrl-C, by SIGTERM; `serve` and `metrics` end with 0 then, `ui` with 0 on Ctrl-C |

## Output

The result goes to standard output, progress and errors go to standard error. `--json` writes the result as one JSON
document and nothing else. A time in it is ISO 8601 in UTC with `Z`, as in `2026-01-01T00:00:00Z`, a day is
`2026-01-01`; a number that is not known is `null`, never 0. Whole wei are text, because a number of JSON does not hold
them. In text a time is `2026-01-01 00:00 UTC`; in CSV it has no zone, as spreadsheets read it, and is UTC too. Tables
obey `COLUMNS`; colours are left out without a terminal, and with `NO_COLOR`.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD.replace("CONFIGURE", CONFIGURE.replace("docs", "..", 1))]
    commands = every_command()
    group = ""
    for entry in CATALOGUE:
        if entry.group != group:
            group = entry.group
            parts.append(f"## {group}\n")
        examples = "\n".join(entry.examples)
        parts.append(f"### assay {entry.name}\n\n{entry.about}\n\n```bash\n{examples}\n```\n")
        for words, command in commands.items():
            if words.split()[0] == entry.name:
                parts.append(_command(words, command))
    return "\n".join(parts).rstrip() + "\n"


def _command(words: str, command: Any) -> str:
    given = [f"`{p.name.upper()}`" for p in command.params if p.param_type_name == "argument"]
    lines = [f"**`assay {words}`** {' '.join(given)}".rstrip(), "", markdown_text(_about(command)), ""]
    rows = [
        _row(p) for p in command.params if p.name not in ("help", "install_completion", "show_completion")
    ]
    if rows:
        lines += ["| argument or option | default | what |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _about(command: Any) -> str:
    return " ".join(inspect.cleandoc(command.help or "").split())


def _row(parameter: Any) -> str:
    is_option = parameter.param_type_name == "option"
    names = [*parameter.opts, *parameter.secondary_opts] if is_option else [parameter.name.upper()]
    default = parameter.default
    shown = "required" if parameter.required else "" if default in (None, False, "") else str(default)
    if is_option and default is True:
        shown = parameter.opts[0]
    if default is not None and callable(default):
        shown = ""
    about = markdown_text(getattr(parameter, "help", "") or "")
    return f"| {' '.join(f'`{name}`' for name in names)} | {markdown_text(shown)} | {about} |"


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
