"""`assay backup` and `assay restore`: options, printing and exit codes. The work is in `orchestration.backup`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml.text.visible import visible
from orchestration.cli.options import AsJson, Home
from orchestration.output.terminal import complain, print_json, say
from orchestration.settings import SettingsError, load_settings

if TYPE_CHECKING:
    from orchestration.backup.folder import BackupFolder

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of backups, on another disk than the home.")
]


def backup(
    folder: Folder,
    home: Home = None,
    keep: Annotated[int, typer.Option(min=1, help="Backups that stay, this one included.")] = 14,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read all contents that are there, and copy damaged ones again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Back a home up, also while it is in use. What is there already is not copied again.

    Exit codes: 0 everything is in it · 1 it was made without files that are lost or damaged · 2 it was not made.
    """
    settings = load_settings(home=home)
    from orchestration.backup.folder import BackupFolder
    from orchestration.backup.taking import back_up
    from orchestration.home import existing_home
    from orchestration.resources import Assay

    existing_home(settings)
    done = back_up(Assay(settings), BackupFolder(_absolute(folder), verify), keep, say=complain)
    manifest = done.manifest
    if as_json:
        print_json(
            {
                "backup": done.name,
                "snapshot": manifest.snapshot,
                "files": len(manifest.files),
                "bytes": manifest.bytes,
                "files_copied": done.files_copied,
                "bytes_copied": done.bytes_copied,
                "missing": manifest.missing,
                "elsewhere": manifest.elsewhere,
                "backups_removed": done.backups_removed,
                "not_removed": done.not_removed,
                "seconds": round(done.seconds, 2),
            }
        )
    else:
        say(f"backup {done.name}: {manifest.described}")
        say(f"copied {done.files_copied:,} files, {done.bytes_copied / 1e6:,.1f} MB in {done.seconds:.1f} s")
        for sentence in manifest.elsewhere:
            say(sentence)
    if done.not_removed:
        complain(visible(done.not_removed))
    if manifest.missing:
        complain(
            f"assay: {len(manifest.missing)} files are not in it, because they are lost or damaged in the home:"
        )
        for one in manifest.missing:
            complain(f"  {visible(one)}")
        complain("`assay doctor` names what to do about them; docs/runbook/file-damaged.md")
        raise typer.Exit(1)


def restore(
    folder: Folder,
    to: Annotated[
        Path | None, typer.Option(help="The home to make; default: where it was. It must not exist.")
    ] = None,
    name: Annotated[str | None, typer.Option("--backup", help="Which backup; default: the newest.")] = None,
    list_them: Annotated[bool, typer.Option("--list", help="List the backups in the folder.")] = False,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Put back lost and damaged files of the home that exists.")
    ] = False,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Restore what is whole although other files are not.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a home from a backup, every file compared with its digest; or put back damaged files of an existing one.

    Exit codes: 0 done · 1 files are missing · 2 nothing was restored.
    """
    from orchestration.backup.folder import BackupFolder

    if damaged and (to or name or incomplete):
        raise SettingsError(
            "--damaged works on --home with every backup: leave out --to, --backup and --incomplete"
        )
    if home and not damaged:
        raise SettingsError("--home goes with --damaged; name the new home with --to")
    backups = BackupFolder(_absolute(folder))
    if list_them:
        _list(backups, as_json=as_json)
    elif damaged:
        _put_back(backups, home, as_json=as_json)
    else:
        _restore(backups, to, name, incomplete=incomplete, as_json=as_json)


def _list(backups: BackupFolder, *, as_json: bool) -> None:
    from orchestration.backup.errors import BackupError

    found = []
    for name in backups.names():
        try:
            found.append((name, visible(backups.read(name)[1].described)))
        except BackupError as error:
            found.append((name, str(error)))
    if not found:
        backups.read()
    if as_json:
        print_json({"backups": [{"backup": name, "what": what} for name, what in found]})
    else:
        for name, what in found:
            say(f"{name}  {what}")


def _restore(
    backups: BackupFolder, to: Path | None, name: str | None, *, incomplete: bool, as_json: bool
) -> None:
    from orchestration.backup.restoring import restore as make_home

    done = make_home(backups, to, name, incomplete=incomplete, say=complain)
    if as_json:
        print_json(
            {
                "home": str(done.home),
                "backup": done.name,
                "snapshot": done.manifest.snapshot,
                "files": len(done.manifest.files),
                "bytes": done.manifest.bytes,
                "missing": done.missing,
                "settings": done.manifest.settings,
                "seconds": round(done.seconds, 2),
            }
        )
    else:
        say(
            f"restored {len(done.manifest.files):,} files, {done.manifest.bytes / 1e6:,.1f} MB in {done.seconds:.1f} s"
        )
        if "ASSAY_DATA_PATH" in done.manifest.settings:
            say("the lake's files are in the home now: leave ASSAY_DATA_PATH out")
        others = {k: v for k, v in done.manifest.settings.items() if k != "ASSAY_DATA_PATH"}
        if others:
            say(
                "it was made with these settings: " + " ".join(f"{k}={visible(v)}" for k, v in others.items())
            )
        say("secrets (ASSAY_*_URL, keys of APIs) are in no backup: set them as before")
        say(f"next: assay run --home {done.home}")
    if done.missing:
        for one in done.missing:
            complain(f"missing: {visible(one)}")
        raise typer.Exit(1)


def _put_back(backups: BackupFolder, home: Path | None, *, as_json: bool) -> None:
    settings = load_settings(home=home)
    from orchestration.backup.restoring import replace_damaged
    from orchestration.home import existing_home
    from orchestration.maintenance.lake_files import find_damaged_files
    from orchestration.models.lost_files import find_lost_files
    from orchestration.resources import Assay

    existing_home(settings)
    assay = Assay(settings)
    done = replace_damaged(assay, backups)
    # Their incidents end.
    find_damaged_files(assay)
    find_lost_files(assay)
    if as_json:
        print_json({"replaced": done.replaced, "missing": done.missing})
    else:
        for path in done.replaced:
            say(f"put back {visible(path)}")
        if not done.replaced and not done.missing:
            say("no file is lost or damaged")
    if done.missing:
        for one in done.missing:
            complain(f"in no backup of {backups.path}: {visible(one)}")
        complain("make them again: docs/runbook/file-damaged.md, docs/runbook/model-file-lost.md")
        raise typer.Exit(1)


def _absolute(folder: Path) -> Path:
    return folder.expanduser().resolve()
