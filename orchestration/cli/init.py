"""`assay init`: a commented file of settings. Here: its text. Not here: the settings (`orchestration.settings`)."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from lake.storage import write_whole
from orchestration.output.terminal import say
from orchestration.settings import SettingsError, describe_settings

HEAD = """\
# Settings of Assay. Each variable has its default, or nothing where there is none: remove the # in front of it
# and change its value.
# Use it in a shell, in a systemd unit, or for a container:
#
#   set -a; . ./{name}; set +a          EnvironmentFile={name}          --env-file {name}
#
# Values are written without quotes. Only you may read this file: it may come to hold passwords.
"""


def init(
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist.")] = Path("assay.env"),
) -> None:
    """Write a file with every setting, its default and what it does, all of them commented out.

    Exit codes: 0 written · 2 there is such a file, or it cannot be written.
    """
    if file.exists():
        raise SettingsError(f"expected to write a new file {file}, found one of that name; name another one")
    try:
        write_whole(file, settings_file(file.name), mode=0o600)
    except OSError as error:
        raise SettingsError(
            f"expected to write {file}, found {error.strerror}; name a file in a folder of yours"
        ) from error
    say(f"{file}: {len(describe_settings())} settings, all commented out")
    say(f"change it, then: set -a; . {shlex.quote(str(file.absolute()))}; set +a; assay settings")


def settings_file(name: str) -> str:
    """The text of the file."""
    parts = [HEAD.format(name=name)]
    for variable, default, about in describe_settings():
        is_value = " " not in default  # "number of cores" is none that a shell would take
        text = about if is_value else f"{about}; default: {default}"
        comment = textwrap.fill(
            text, 110, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
        )
        parts.append(f"{comment}\n#{variable}={default if is_value else ''}\n")
    return "\n".join(parts)
