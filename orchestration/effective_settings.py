"""The settings as they count in a home, and where each comes from. Not here: reading and checking them (`settings`)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pydantic import SecretStr

from orchestration.remembered import remembered_by_home
from orchestration.settings import PREFIX, as_text, load_settings, setting_fields


@dataclass(frozen=True)
class Effective:
    """A setting as it counts.

    Attributes:
        name: Its variable.
        value: What counts; a secret is "set" or None, what has no value is None.
        origin: `option`, `environment`, `home` (what it remembers of its market) or `default`.
        about: What it does.
    """

    name: str
    value: str | None
    origin: str
    about: str


def effective_settings(**overrides: object) -> list[Effective]:
    """Every setting of a command with these options, in the order of `setting_fields`.

    Raises:
        SettingsError: As `load_settings`.
    """
    settings = load_settings(**overrides)
    given = {name: value for name, value in overrides.items() if value is not None}
    remembered = remembered_by_home(given, PREFIX)
    rows = []
    for name, field in setting_fields():
        value = settings.home_path if name == "home" else getattr(settings, name)
        origin = (
            "option"
            if name in given
            else "environment"
            if PREFIX + name.upper() in os.environ
            else "home"
            if name in remembered
            else "default"
        )
        if isinstance(value, SecretStr):
            shown = "set" if value.get_secret_value() else None
        else:
            shown = None if value is None or value == "" else as_text(value)
        rows.append(Effective(PREFIX + name.upper(), shown, origin, field.description or ""))
    return rows
