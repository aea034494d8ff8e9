"""Shell blocks of the documentation, pasted into a folder as a reader would.

Here: the blocks of a page, and a folder like a fresh checkout in which bash runs them. `make` is make with our
Makefile. `.venv/bin/assay` has `tests.command` run the command in this process: a new one spends 4 s on imports.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.command import Done, assay

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"^(?:<!-- not run by the tests: (?P<left_out>[^\n]+) -->\n)?```(?:bash|sh|shell|console)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
CLIENT = """#!{python} -IS
import json, os, socket, sys

with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    asked.sendall(json.dumps([sys.argv[1:], os.getcwd()]).encode())
    asked.shutdown(socket.SHUT_WR)
    code, out, err = json.loads(asked.makefile("rb").read())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


@dataclass(frozen=True)
class Block:
    """A shell block of a page, and those of its commands that the page says are not run here."""

    page: str
    code: str
    left_out: tuple[str, ...]

    @property
    def commands(self) -> tuple[str, ...]:
        """Its lines without their comments; the lines of a program in it are not distinguished."""
        lines = (line.partition(" #")[0].strip() for line in self.code.splitlines())
        return tuple(line for line in lines if line)

    @property
    def run(self) -> tuple[str, ...]:
        """Its commands that are run here."""
        return tuple(line for line in self.commands if line not in self.left_out)

    @property
    def program(self) -> str:
        """What is run."""
        kept = [
            line for line in self.code.splitlines() if line.partition(" #")[0].strip() not in self.left_out
        ]
        return "\n".join(kept)


def blocks_of(page: str) -> list[Block]:
    """The shell blocks of a page, in its order.

    Args:
        page: Its path from the root of the repository.
    """
    return [
        Block(page, match["code"], tuple((match["left_out"] or "").split(", ")) if match["left_out"] else ())
        for match in BLOCK.finditer((ROOT / page).read_text(encoding="utf-8"))
    ]


@dataclass
class Checkout:
    """A folder in which blocks are run.

    Attributes:
        folder: Empty at first.
        variables: Environment variables of every block.
        printed: What each command of Assay wrote on standard output, each time that it was run; by its words.
    """

    folder: Path
    variables: dict[str, str]
    printed: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Lay out what `make` looks for: nothing is to be installed or prepared."""
        (self.folder / "Makefile").symlink_to(ROOT / "Makefile")
        for name in (
            "requirements.lock",
            "pyproject.toml",
            ".venv/.installed",
            "dbt_project/target/.prepared",
        ):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).touch()
        (self.folder / ".venv/bin").mkdir()
        self._program("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        # The name of a socket is short, and the folders of a test are deep.
        self._beside = TemporaryDirectory()
        address = f"{self._beside.name}/asked"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(address)
        self._listening.listen()
        self._listening.settimeout(0.1)
        self._program("assay", CLIENT.format(python=sys.executable, address=address))

    def _program(self, name: str, text: str) -> None:
        file = self.folder / ".venv/bin" / name
        file.write_text(text)
        file.chmod(0o700)

    def run(self, block: Block) -> Done:
        """Run a block in bash; the first command that fails ends it."""
        out, err = self.folder / "block.out", self.folder / "block.err"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **self.variables}
        with out.open("w") as to_out, err.open("w") as to_err:
            bash = subprocess.Popen(
                ["bash", "-e", "-o", "pipefail", "-c", block.program],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=to_out,
                stderr=to_err,
            )
            try:
                while bash.poll() is None:
                    self._answer()
            finally:
                bash.kill()
        return Done(bash.wait(), out.read_text(), err.read_text())

    def close(self) -> None:
        """Nothing is answered any more."""
        self._listening.close()
        self._beside.cleanup()

    def _answer(self) -> None:
        try:
            asking, _ = self._listening.accept()
        except TimeoutError:
            return
        with asking:
            words, folder = json.loads(asking.makefile("rb").read())
            with chdir(folder):
                done = assay(*words, **self.variables)
            self.printed.setdefault(" ".join(words), []).append(done.stdout)
            asking.sendall(json.dumps([done.returncode, done.stdout, done.stderr]).encode())
