"""A real MCP client of a real `assay mcp`, for tests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import CallToolResult, Tool


class Assistant:
    """A client of one running `assay mcp`."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self._portal, self._client = portal, client

    def call(self, tool: str, **arguments: Any) -> CallToolResult:
        return self._portal.call(self._client.call_tool, tool, arguments)

    def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The data of an answer; the client has compared them with the tool's schema."""
        found = self.call(tool, **arguments)
        assert not found.is_error, found.content
        assert json.loads(found.content[0].text) == found.structured_content
        return found.structured_content

    def refusal(self, tool: str, **arguments: Any) -> str:
        found = self.call(tool, **arguments)
        assert found.is_error
        return found.content[0].text

    def tools(self) -> list[Tool]:
        return self._portal.call(self._client.list_tools).tools


COMMAND = "from orchestration.cli.app import main; main()"


def started(home: Path) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-c", COMMAND, "mcp", "--home", str(home)],
        env={"PYTHONPATH": str(Path.cwd()), "ASSAY_THREADS": "1"},
    )
