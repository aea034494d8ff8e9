"""The page that a person sees who opens the API in a browser: what can be asked, as /openapi.json describes it.

Here: the page, made from the description, and who gets it. Not here: the description (`app`). It loads no script and
nothing from elsewhere: pages that draw OpenAPI with scripts do, and so they are off.
"""

from __future__ import annotations

import re
from typing import Any

from jinja2 import Environment, select_autoescape
from markupsafe import Markup, escape

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "vary": "Accept, Authorization, X-API-Key",
    "x-content-type-options": "nosniff",
}

_TEMPLATE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }} API</title>
<style>
  :root { color-scheme: light dark }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  code { font: 0.9em ui-monospace, monospace; overflow-wrap: anywhere }
  h2 { margin-top: 2rem; border-bottom: 1px solid #8886 }
  details { margin: 0.6rem 0 }
  summary { cursor: pointer }
  td, th { text-align: left; vertical-align: top; padding: 0.1rem 1rem 0.1rem 0 }
</style>
<h1>{{ title }} API</h1>
{% for paragraph in description.split("\\n\\n") %}<p>{{ paragraph | with_code }}</p>{% endfor %}
<p>For programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI {{ openapi }}).
To begin with: <a href="/v1/collections?sort=-value&amp;limit=3">the three most valuable collections</a>,
<a href="/v1/status">status</a>, <a href="/v1/accuracy">accuracy</a>.</p>
{% for tag, operations in tags.items() %}
<h2>{{ tag }}</h2>
{% for operation in operations %}
<details>
  <summary><code>{{ operation.method }} {{ operation.path }}</code> — {{ operation.summary }}</summary>
  <p>{{ operation.description | with_code }}</p>
  {% if operation.parameters %}
  <table>
    {% for parameter in operation.parameters %}
    <tr><td><code>{{ parameter.name }}</code><td>{{ parameter.in }}{{ ", required" if parameter.required }}
      <td>{{ parameter.description | with_code }}</tr>
    {% endfor %}
  </table>
  {% endif %}
  {% if operation.body %}<p>Body: JSON, <code>{{ operation.body }}</code> in /openapi.json.</p>{% endif %}
  {% if operation.answer %}<p>Answer: <code>{{ operation.answer }}</code> in /openapi.json.</p>{% endif %}
</details>
{% endfor %}
{% endfor %}
</html>
"""


def wants_page(accept: str | None) -> bool:
    """Whether the client is a browser: programs that take anything (`*/*`) get what they got before."""
    kinds = [part.split(";") for part in (accept or "")[:1000].lower().split(",")]
    return any(
        kind[0].strip() == "text/html" and not any(one.strip() in ("q=0", "q=0.0") for one in kind[1:])
        for kind in kinds
    )


def page(schema: dict[str, Any]) -> str:
    """The page of a description (OpenAPI 3.1)."""
    tags: dict[str, list[dict[str, Any]]] = {}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"].get("200", {}).get("content", {})
            tags.setdefault(operation.get("tags", ["other"])[0], []).append(
                {
                    "method": method.upper(),
                    "path": path,
                    "summary": operation.get("summary", ""),
                    "description": operation.get("description", ""),
                    "parameters": operation.get("parameters", []),
                    "body": _model(operation.get("requestBody", {}).get("content", {})),
                    "answer": _model(answers),
                }
            )
    environment = Environment(autoescape=select_autoescape(default=True, default_for_string=True))
    environment.filters["with_code"] = _with_code
    return environment.from_string(_TEMPLATE).render(
        title=schema["info"]["title"],
        description=schema["info"]["description"],
        openapi=schema["openapi"],
        tags=tags,
    )


def _model(content: dict[str, Any]) -> str | None:
    """Name of the schema of a JSON body."""
    reference = content.get("application/json", {}).get("schema", {}).get("$ref")
    return None if reference is None else str(reference).rpartition("/")[2]


def _with_code(text: str) -> Markup:
    """The text as HTML, with what is between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
