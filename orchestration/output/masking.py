"""Secrets kept out of everything that is written: messages, tracebacks, logs, the run history, alerts.

Here: what the secrets of this process are, and a text without them. Not here: where texts are masked
(`orchestration.output.terminal`, `orchestration.runs.masked_objects`, `orchestration.alerts.outbox`), or keeping
secrets out of messages in the first place (`lake.postgres`, `orchestration.settings`). Light to import, and reads the
environment itself: Dagster's own processes mask without loading the settings.

Concept: a secret may come back in another spelling than it was given: percent-decoded or encoded, quoted in JSON or in
Python. So every secret is searched for in each of these spellings, and any URL's password by its place as well.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote

SECRET_VARIABLES = (
    "ASSAY_CATALOG_URL",
    "ASSAY_MLFLOW_URL",
    "ASSAY_DAGSTER_URL",
    "ASSAY_ALERT_URLS",
    "ASSAY_DEADMAN_URL",
    "ASSAY_API_LIMITS_URL",
    "ASSAY_SERVING_STORE",
    "ASSAY_RPC_URLS",
    "ASSAY_S3_ACCESS_KEY_ID",
    "ASSAY_S3_SECRET_ACCESS_KEY",
)
"""Settings that hold credentials. Their whole values are secret, and so are the parts that give access."""

URL_SEPARATOR = re.compile(r"\s*,\s*(?=[a-zA-Z][a-zA-Z0-9+.-]*://)")
"""Between two URLs of a list; a comma inside one is not followed by a scheme."""

MASK = "***"
_SHORTEST = 4
"""Characters. A shorter password is masked only where a URL shows it: anywhere else it is a piece of a word."""

_TOKEN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w~.+%-]{8,}|[\w~+%-]{20,}")
"""A part of an address that is probably a token and not a word."""

_PASSWORD_OF_A_URL = re.compile(r"(?i)([a-z][a-z0-9+.-]*://[^\s:/@'\"]*):[^\s/'\"]*@")
_PASSWORD_OF_A_DSN = re.compile(
    r"(?i)\b((?:ssl)?password|passwd|pwd)(\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&;,'\")]+)"
)

_DATABASES = frozenset({"postgresql", "postgres", "mysql", "mssql"})
_FILES = frozenset({"sqlite", "file"})
_WEB = frozenset({"http", "https", "json", "jsons", "xml", "xmls", "form", "forms"})

_learnt: set[str] = set()


def learn_secret(value: str) -> None:
    """Mask this value of a setting from now on, wherever it came from."""
    if value:
        _learnt.add(value)


def masked(text: str) -> str:
    """The text without the secrets of this process, and without the password of any URL."""
    values = frozenset(_learnt.union(filter(None, map(os.environ.get, SECRET_VARIABLES))))
    pattern = _pattern(values)
    if pattern is not None:
        text = pattern.sub(MASK, text)
    text = _PASSWORD_OF_A_URL.sub(rf"\1:{MASK}@", text)
    return _PASSWORD_OF_A_DSN.sub(rf"\1\2{MASK}", text)


@lru_cache(maxsize=16)
def _pattern(values: frozenset[str]) -> re.Pattern[str] | None:
    found = {spelling for value in values for part in _secret_parts(value) for spelling in _spellings(part)}
    if not found:
        return None
    longest_first = sorted(found, key=lambda text: (-len(text), text))
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


def _secret_parts(value: str) -> Iterator[str]:
    """The URLs of a setting, their passwords, and the parts of a service's address that give access."""
    for url in URL_SEPARATOR.split(value.strip()):
        scheme, separator, rest = url.partition("://")
        if not separator:
            yield url
            continue
        if scheme.lower() in _FILES:
            continue
        # By hand: a password may hold characters that `urlsplit` takes for the end of it.
        userinfo, at, address = rest.rpartition("@")
        password = userinfo.partition(":")[2]
        if at or "?" in url:
            yield url
        if len(password) >= _SHORTEST:
            yield password
        if scheme.lower().partition("+")[0] not in _DATABASES:
            yield from _credentials(url, scheme.lower(), userinfo, address)


def _credentials(url: str, scheme: str, userinfo: str, address: str) -> Iterator[str]:
    """The path of a webhook and the tokens of a service: they give the right to write to it."""
    host, _, path = address.partition("/")
    if path or scheme not in _WEB:
        yield url
    if len(path) >= 2 * _SHORTEST:
        yield f"/{path}"
    pieces = [*re.split(r"[:@]", userinfo), *re.split(r"[/?&=#,;]", path)]
    if "." not in host:
        pieces.append(host.partition(":")[0])
    yield from (piece for piece in pieces if _TOKEN.fullmatch(piece))


def _spellings(secret: str) -> Iterator[str]:
    plain = unquote(secret)
    for text in (secret, plain, quote(plain, safe=""), quote(plain), quote_plus(plain)):
        yield text
        yield json.dumps(text)[1:-1]
        yield repr(text)[1:-1]
        yield text.replace("'", "''")
        yield text.replace("\\", "\\\\").replace("'", "\\'")
