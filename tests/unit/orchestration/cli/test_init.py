"""`assay init`: the file is what a shell reads, its values are allowed, and an existing file stays."""

import os
import shlex
import stat
import subprocess
from pathlib import Path

from orchestration.settings import Settings, describe_settings
from tests.command import assay


def test_every_line_of_the_file_may_be_uncommented_and_gives_the_default(tmp_path: Path) -> None:
    file = tmp_path / "my settings.env"
    done = assay("init", str(file))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = file.read_text().splitlines()
    commented = [line[1:] for line in lines if line.startswith("#ASSAY_")]
    assert [line.partition("=")[0] for line in commented] == [name for name, _, _ in describe_settings()]
    uncommented = tmp_path / "all.env"
    uncommented.write_text("\n".join(line for line in commented if not line.endswith("=")))
    shell = subprocess.run(
        ["sh", "-c", f"set -a; . {shlex.quote(str(uncommented))}; env"],
        env={},
        capture_output=True,
        check=True,
        text=True,
    )
    assert not shell.stderr
    read = dict(line.split("=", 1) for line in shell.stdout.splitlines() if line.startswith("ASSAY_"))
    before = dict(os.environ)
    try:
        os.environ.update(read)
        explicit = Settings().model_dump()
    finally:
        os.environ.clear()
        os.environ.update(before)
    defaults = {
        name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()
    }
    given = [name for name in explicit if f"ASSAY_{name.upper()}" in read]
    assert set(read) == {line.partition("=")[0] for line in commented if not line.endswith("=")}
    assert {name: explicit[name] for name in given} == {name: defaults[name] for name in given}


def test_a_file_that_is_there_and_a_folder_that_is_not_are_refused(tmp_path: Path) -> None:
    (tmp_path / "assay.env").write_text("mine")
    for file in (tmp_path / "assay.env", tmp_path / "none" / "assay.env", tmp_path):
        done = assay("init", str(file))
        assert done.returncode == 2
        assert str(file) in done.stderr
    assert (tmp_path / "assay.env").read_text() == "mine"
