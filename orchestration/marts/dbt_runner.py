"""dbt in this process: one command on one lake, its results as Dagster's events.

Here: starting and stopping dbt, and every private part of dbt and dagster-dbt that this takes (contract test:
`tests/unit/orchestration/marts/test_dbt_runner.py`). Not here: which assets there are (`orchestration.marts.assets`),
when the project is parsed (`orchestration.marts.manifest`).
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration.output.parts import report_parts

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

Event = Any
"""A message of dbt's protocol, `EventMsg`: its own type leaves out the fields `info.msg` and `data`."""
_ONE_AT_A_TIME = threading.Lock()
"""dbt keeps its flags, adapter, connection and loggers in module globals."""
_START_OF_A_NODE = "LogStartLine"
"""dbt turns an error raised in the handler of this event into an error of the node, and goes on."""
_END_OF_A_NODE = ("LogModelResult", "LogTestResult", "LogSeedResult", "LogSnapshotResult", "SkippingDetails")
QUICK = ("--no-write-json", "--no-send-anonymous-usage-stats")
"""Nobody reads the files about the project and the results that dbt would write (1 s of JSON at each build)."""


class DbtStoppedError(RuntimeError):
    """The run that dbt worked for has ended before dbt; the nodes left are not built."""


class DbtInvocation:
    """One dbt command on one home: its events as Dagster's, and how it ended."""

    def __init__(
        self,
        command: Sequence[str],
        manifest: Manifest,
        *,
        project: Path,
        target: Path,
        env: Mapping[str, str],
    ) -> None:
        """Nothing runs yet.

        Args:
            command: Subcommand and its options.
            manifest: The parsed project; dbt changes it, so it serves one invocation.
            project: Folder of the project and of its profiles.
            target: Folder of compiled SQL and log.
            env: Environment variables for the profile; set only while dbt runs.
        """
        folders = {"project-dir": project, "profiles-dir": project, "target-path": target, "log-path": target}
        where = [part for option, folder in folders.items() for part in (f"--{option}", str(folder))]
        # At its default, debug, dbt spends a quarter of a small build on its log.
        levels = ["--log-level", "none", "--log-level-file", os.environ.get("DBT_LOG_LEVEL_FILE", "info")]
        self._arguments = [*command, *where, *levels, *QUICK]
        self._manifest = manifest
        self._env = env
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._outcome: list[dbtRunnerResult] = []
        self._log: list[str] = []

    def dagster_events(self, context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Run the command and yield an output per model and a check result per test, as soon as each is known.

        Who stops iterating stops dbt: the statement that runs is interrupted, and dbt has ended when this returns.

        Args:
            context: Of a `dbt_assets` definition; its selection of assets is dbt's selection of nodes.
        """
        from dagster_dbt.asset_utils import get_updated_cli_invocation_params_for_context
        from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
        from dagster_dbt.dagster_dbt_translator import DagsterDbtTranslator
        from dbt_common.events.functions import msg_to_dict

        chosen = get_updated_cli_invocation_params_for_context(context, {}, DagsterDbtTranslator())
        env = {"DBT_INDIRECT_SELECTION": chosen.indirect_selection} if chosen.indirect_selection else {}
        for event in self._stream(chosen.selection_args, env):
            message = DbtCoreCliEventMessage(raw_event=msg_to_dict(event), event_history_metadata={})
            yield from message.to_default_asset_events(
                chosen.manifest, chosen.dagster_dbt_translator, context, project=chosen.dbt_project
            )

    @property
    def succeeded(self) -> bool:
        """Whether dbt has run to its end and nothing failed."""
        return bool(self._outcome) and self._outcome[0].success

    @property
    def log_end(self) -> str:
        """The end of the output of dbt, for an error message."""
        exception = self._outcome[0].exception if self._outcome else None
        return "\n".join([*self._log, *([str(exception)] if exception else [])])[-3000:]

    def _stream(self, selection: Sequence[str], env: Mapping[str, str]) -> Iterator[Event]:
        """Events of a level that people read, while dbt works in a thread of its own."""
        with _ONE_AT_A_TIME, environment({**self._env, **env}):
            thread = threading.Thread(target=self._work, args=(list(selection),), name="dbt", daemon=True)
            thread.start()
            ended = 0
            try:
                while (event := self._events.get()) is not None:
                    self._log.append(event.info.msg)
                    if event.info.name in _END_OF_A_NODE:
                        ended += 1
                        report_parts("models and tests", ended, max(_nodes(event), ended))
                    yield event
            finally:
                if thread.is_alive():
                    self._stopping.set()
                    _interrupt_statements()
                thread.join()

    def _work(self, selection: list[str]) -> None:
        try:
            outcome = invoke_dbt([*self._arguments, *selection], self._manifest, self._receive)
            self._outcome.append(outcome)
        finally:
            self._events.put(None)

    def _receive(self, event: Event) -> None:
        if self._stopping.is_set() and event.info.name == _START_OF_A_NODE:
            raise DbtStoppedError("The run has ended: not built.")
        if event.info.level != "debug":
            self._events.put(event)


def _nodes(event: Event) -> int:
    """How many nodes the command has; the event of a test has another name for it."""
    return int(getattr(event.data, "total", 0) or getattr(event.data, "num_models", 0))


def invoke_dbt(
    arguments: Sequence[str], manifest: Manifest | None = None, receive: Callable[[Event], None] | None = None
) -> dbtRunnerResult:
    """Run one dbt command in this process and leave nothing of it behind: no adapter, connection or open log.

    Args:
        arguments: As on the command line.
        manifest: The parsed project; None lets dbt parse it.
        receive: Called with every event, in dbt's threads.
    """
    from dbt.cli.main import dbtRunner

    # A full disk fails the build itself: logging would print a stack for each line that dbt cannot write to its log.
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        return dbtRunner(manifest=manifest, callbacks=[receive] if receive else []).invoke(list(arguments))
    finally:
        logging.raiseExceptions = before
        _release()


def load_manifest(partial_parse: Path) -> Manifest:
    """The parsed project that dbt keeps beside its manifest, ready to be run (0.2 s)."""
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack(partial_parse.read_bytes())
    # What dbt does after it has read the same file: `graph` in macros.
    manifest.build_flat_graph()
    return manifest


def _release() -> None:
    """Close dbt's DuckDB instance and its log, and forget its adapter, so that the next home starts from nothing."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import reset_adapters
    from dbt_common.events.event_manager_client import get_event_manager

    reset_adapters()
    opened: Any = DuckDBConnectionManager._ENV
    if opened is not None:
        opened.close()
        DuckDBConnectionManager.close_all_connections()
    events = get_event_manager()
    for name in {logger.name for logger in events.loggers}:
        for handler in logging.getLogger(name).handlers:
            handler.close()
        logging.getLogger(name).handlers.clear()
    events.loggers.clear()
    events.callbacks.clear()


def _interrupt_statements() -> None:
    """End the statement that dbt runs. Between two statements there is nothing to end."""
    from dbt.adapters.factory import get_adapter_by_type

    # No adapter: dbt has not come as far, or has just ended.
    with suppress(KeyError):
        get_adapter_by_type("duckdb").cancel_open_connections()


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for as long as the block lasts; what was set before is set again."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
