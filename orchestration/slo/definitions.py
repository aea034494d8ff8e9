"""The SLOs as data: reading `slos.yaml`, and refusing a malformed one with the line to correct.

Here: the shape of an SLO and every rule a definition must keep. Not here: running its SQL
(`orchestration.slo.evaluation`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from orchestration.states import Severity

SLOS_FILE = Path(__file__).resolve().parent.parent / "slos.yaml"
RUNBOOKS = SLOS_FILE.parent.parent / "docs" / "runbook"

# The one in C is ten times as fast; commands that only read wait for it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# A value for {name} in an SLI's SQL: a name or a number, never a piece of SQL.
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*|-?\d+(\.\d+)?")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_QUALIFIED = re.compile(r"[a-z_]+\.[a-z_0-9]+")


class SloDefinitionError(ValueError):
    """An SLO is malformed; the message names file, line, field, what was expected and what was found."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sli(_Strict):
    """The indicator. `ratio`: SQL gives `good` and `valid` counts. `value`: SQL gives `value` and `events`.

    A value is good or bad as a whole, so each evaluation is one valid event (a time slice): good while the value keeps
    its bound.
    """

    kind: Literal["ratio", "value"] = Field(description="ratio (good, valid) or value (value, events)")
    sql: str = Field(
        min_length=10, description="one row; may use $as_of, $since (the evaluation before), {parameters}"
    )
    parameters: dict[str, str | int | float] = Field(
        default_factory=dict, description="values of {…} in the SQL"
    )
    needs: tuple[str, ...] = Field(
        min_length=1, description="tables it reads (schema.table); missing = no data"
    )
    at_most: float | None = Field(None, description="value: good while not above")
    at_least: float | None = Field(None, description="value: good while not below")
    unit: str = Field("", description="unit of the value")
    min_events: int = Field(1, ge=1, description="whole number from 1: with fewer events there is no data")
    min_bad: int = Field(1, ge=1, description="whole number from 1: fewer bad events than this count as none")

    @field_validator("needs")
    @classmethod
    def _needs_are_tables(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for table in value:
            if not _QUALIFIED.fullmatch(table):
                raise ValueError(f"expected schema.table, found {table!r}")
        return value

    @field_validator("parameters")
    @classmethod
    def _parameters_are_names_or_numbers(
        cls, value: dict[str, str | int | float]
    ) -> dict[str, str | int | float]:
        for name, text in value.items():
            if not _PARAMETER.fullmatch(str(text)):
                raise ValueError(f"expected a name or a number for {name}, found {text!r}")
        return value

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Sli:
        bounded = self.at_most is not None or self.at_least is not None
        if self.kind == "value" and not bounded:
            raise ValueError("a value needs at_most or at_least")
        if self.kind == "ratio" and bounded:
            raise ValueError("a ratio has no at_most or at_least: its objective is the bound")
        unfilled = set(_PLACEHOLDER.findall(self.sql)) - set(self.parameters)
        if unfilled:
            raise ValueError(
                f"the SQL uses {{{', '.join(sorted(unfilled))}}}, which parameters does not give"
            )
        return self

    @property
    def query(self) -> str:
        """The SQL with its parameters in place."""
        return _PLACEHOLDER.sub(lambda match: str(self.parameters[match[1]]), self.sql)

    def keeps_bound(self, value: float) -> bool:
        """Whether the value is good."""
        return (self.at_most is None or value <= self.at_most) and (
            self.at_least is None or value >= self.at_least
        )

    @property
    def bound(self) -> str:
        """The bound as text, such as "≤ 26 h"."""
        low = [] if self.at_least is None else [f"≥ {self.at_least:g}"]
        high = [] if self.at_most is None else [f"≤ {self.at_most:g}"]
        return f"{' and '.join(low + high)} {self.unit}".strip()


class Materialized(_Strict):
    """How old (wall clock) the assets' last materialization may be: Dagster's FreshnessPolicy in the UI."""

    assets: tuple[str, ...] = Field(min_length=1, description="unpartitioned assets")
    warn_after_h: float = Field(gt=0, description="hours after which the UI warns")
    fail_after_h: float = Field(gt=0, description="hours after which the UI shows a failure")

    @model_validator(mode="after")
    def _warns_first(self) -> Materialized:
        if self.warn_after_h >= self.fail_after_h:
            raise ValueError(
                f"expected warn_after_h below fail_after_h, found {self.warn_after_h:g} and {self.fail_after_h:g}"
            )
        return self


class Slo(_Strict):
    """One objective. Error messages show the field descriptions as what was expected."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$", description="lower-case name with underscores, unique in the file"
    )
    description: str = Field(min_length=10, description="what is promised, in a sentence")
    sli: Sli = Field(description="kind, sql and needs")
    objective: float = Field(gt=0, lt=1, description="share of good events promised, between 0 and 1")
    window_days: float = Field(30, ge=1, le=365, description="days the error budget is for")
    owner: str = Field(pattern=r"^team:[a-z-]+$", description="team:<name>")
    severity: Severity = Field(description="page (wakes the person on call) or ticket")
    runbook: str = Field(description="name of a page in docs/runbook, without folder and ending")
    command: str = Field(min_length=3, description="the first command to try")
    materialized: Materialized | None = Field(None, description="freshness shown on assets in the Dagster UI")

    @field_validator("severity", mode="before")
    @classmethod
    def _severity_is_urgent(cls, value: object) -> object:
        allowed = (Severity.PAGE, Severity.TICKET)
        if value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return value

    @field_validator("runbook")
    @classmethod
    def _runbook_exists(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", value) or not (RUNBOOKS / f"{value}.md").is_file():
            raise ValueError("there is no such page")
        return value

    @property
    def budget(self) -> float:
        """Share of events that may be bad."""
        return 1 - self.objective


@dataclass(frozen=True)
class _Document:
    """Parsed YAML with the line (from 1) of every key path."""

    value: Any
    lines: dict[tuple[str | int, ...], int]

    def line(self, path: tuple[str | int, ...]) -> int:
        """The line of the path, or of its nearest ancestor that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


@lru_cache(maxsize=4)
def load_slos(path: Path = SLOS_FILE) -> tuple[Slo, ...]:
    """Read and check a file of SLOs.

    Raises:
        SloDefinitionError: naming every malformed field as file:line, field, expectation and what was found.
    """
    document = _parse(path)
    entries = document.value.get("slos") if isinstance(document.value, dict) else None
    if not isinstance(entries, list) or not entries:
        raise SloDefinitionError(
            f"{path}:{document.line(('slos',))}: slos: expected a list of SLOs, found {_shown(entries)}"
        )
    slos: list[Slo] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    for position, entry in enumerate(entries):
        try:
            slo = Slo.model_validate(entry)
        except ValidationError as error:
            problems += _explain(path, document, position, error)
            continue
        line = document.line(("slos", position, "name"))
        if slo.name in seen:
            problems.append(
                f"{path}:{line}: {slo.name}: name: expected a name used once, found it on line {seen[slo.name]} too"
            )
        seen.setdefault(slo.name, line)
        slos.append(slo)
    if problems:
        raise SloDefinitionError("\n".join(problems))
    return tuple(slos)


def allowed_share(name: str) -> float:
    """The share of bad events that an SLO allows, for a check of the same thing: one rule has one threshold.

    Raises:
        LookupError: No SLO has this name.
    """
    for slo in load_slos():
        if slo.name == name:
            # Rounded: 1 - 0.99 is 0.010000000000000009.
            return round(1 - slo.objective, 9)
    raise LookupError(f"expected the name of an SLO of {SLOS_FILE.name}, found {name!r}")


def _parse(path: Path) -> _Document:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SloDefinitionError(f"{path}:1: expected a readable file, found {error.strerror}") from error
    try:
        node = yaml.compose(text, Loader=_LOADER)
        value = yaml.load(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SloDefinitionError(f"{path}:{line}: expected YAML, found {error.problem}") from error
    lines: dict[tuple[str | int, ...], int] = {}
    if node is not None:
        _note_lines(node, (), lines)
    return _Document(value, lines)


def _note_lines(
    node: yaml.Node, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]
) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            # The key's line, not the value's: a block of SQL begins on the line after.
            lines[(*path, key.value)] = key.start_mark.line + 1
            _note_lines(child, (*path, key.value), lines)
    elif isinstance(node, yaml.SequenceNode):
        for position, child in enumerate(node.value):
            _note_lines(child, (*path, position), lines)


def _explain(path: Path, document: _Document, position: int, error: ValidationError) -> list[str]:
    entry = document.value["slos"][position]
    name = entry.get("name") if isinstance(entry, dict) else None
    messages = []
    for problem in error.errors():
        location = tuple(problem["loc"])
        where = f"{path}:{document.line(('slos', position, *location))}: {name or f'SLO {position + 1}'}"
        field = ".".join(map(str, location)) or "the whole entry"
        found = "nothing" if problem["type"] == "missing" else _shown(problem["input"])
        messages.append(f"{where}: {field}: expected {_expectation(location, problem['msg'])}, found {found}")
    return messages


def _expectation(location: tuple[str | int, ...], message: str) -> str:
    """The field's own description with the rule that was broken."""
    model: Any = {"sli": Sli, "materialized": Materialized}.get(str(location[0]), Slo) if location else Slo
    name = str(location[1] if model is not Slo and len(location) > 1 else location[0] if location else "")
    owner = Slo if model is not Slo and len(location) == 1 else model
    field = owner.model_fields.get(name)
    rule = message.removeprefix("Value error, ").rstrip(".")
    if field is None:
        return f"only {', '.join(owner.model_fields)} ({rule})" if name else rule
    return f"{field.description} ({rule})"


def _shown(value: Any) -> str:
    text = "an entry of its own" if isinstance(value, dict | BaseModel) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
