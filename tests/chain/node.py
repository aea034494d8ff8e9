"""A real node (anvil) for tests, and the contracts on it.

Here: starting it, sending transactions, contracts by their published bytecode. Where the packages are not installed the
tests skip with the reason: `ASSAY_TEST_CHAIN` names the folder in which npm installed them (`.ci/run` does).
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_abi import encode
from eth_utils.crypto import keccak

from sources.ethereum.log import Log
from tests.chain.assembly import CALLER, REPLAYER

VARIABLE = "ASSAY_TEST_CHAIN"
GENESIS = 1_700_000_000
CALLER_ADDRESS = "0x00000000000000000000000000000000ca11e700"


def packages() -> Path:
    """The folder of npm's packages; skips where it is not there."""
    folder = Path(os.environ.get(VARIABLE, "")) / "node_modules"
    if not (folder / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil").exists():
        pytest.skip(f"a node is not installed: set {VARIABLE} to a folder with the npm packages of .ci/run")
    return folder


class Node:
    """A running node with ten accounts that may send without a signature."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(timeout=120, verify=False)  # loading certificates takes long
        self.accounts = [a.lower() for a in self.call("eth_accounts")]

    def call(self, method: str, *params: Any) -> Any:
        answer = self._client.post(
            self.url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        ).json()
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def send(self, sender: str, to: str | None, data: bytes, value: int = 0) -> dict[str, Any]:
        """The receipt of a transaction, which must succeed."""
        transaction = {"from": sender, "data": "0x" + data.hex(), "value": hex(value), "gas": hex(12_000_000)}
        if to is not None:
            transaction["to"] = to
        receipt, sent = None, self.call("eth_sendTransaction", transaction)
        for _ in range(1000):
            receipt = self.call("eth_getTransactionReceipt", sent)
            if receipt is not None:
                break
            time.sleep(0.005)
        assert receipt is not None, "the transaction was not mined within five seconds"
        assert receipt["status"] == "0x1", f"transaction to {to} failed"
        return dict(receipt)

    def deploy(self, bytecode: str, arguments: bytes = b"") -> str:
        receipt = self.send(self.accounts[0], None, bytes.fromhex(bytecode.removeprefix("0x")) + arguments)
        return str(receipt["contractAddress"]).lower()

    def invoke(self, sender: str, to: str, signature: str, *values: Any, value: int = 0) -> dict[str, Any]:
        """Call a function by its signature, e.g. `mint(address,uint256)`."""
        return self.send(sender, to, call_data(signature, *values), value)

    def put_code(self, address: str, code: bytes | str) -> None:
        self.call("anvil_setCode", address, code if isinstance(code, str) else "0x" + code.hex())

    def at_time(self, moment: int) -> None:
        """The time of the next block."""
        self.call("evm_setNextBlockTimestamp", moment)

    def mine(self, blocks: int, seconds: int = 12) -> None:
        self.call("anvil_mine", hex(blocks), hex(seconds))

    def emit(self, logs: Sequence[Log]) -> dict[str, Any]:
        """Emit these logs in one transaction, each from its address, in their order."""
        for address in {log.address for log in logs}:
            self.put_code(address, REPLAYER)
        self.put_code(CALLER_ADDRESS, CALLER)
        return self.send(self.accounts[0], CALLER_ADDRESS, emission(logs))


def emission(logs: Sequence[Log]) -> bytes:
    """The input of the caller that makes the replayers at the logs' addresses emit them."""
    data = b""
    for log in logs:
        body = bytes([len(log.topics)]) + b"".join(bytes.fromhex(t[2:]) for t in log.topics) + log.data
        data += bytes.fromhex(log.address[2:]) + len(body).to_bytes(3, "big") + body
    return data


def call_data(signature: str, *values: Any) -> bytes:
    """The input of a call."""
    types = _types(signature[signature.index("(") :])
    return keccak(text=signature)[:4] + encode(types, values)


def _types(tuple_text: str) -> list[str]:
    depth, parts, part = 0, [], ""
    for letter in tuple_text[1:-1]:
        if letter == "," and depth == 0:
            parts.append(part)
            part = ""
            continue
        depth += (letter == "(") - (letter == ")")
        part += letter
    return [*parts, part] if part else parts


@contextmanager
def running_node(port: int | None = None, *arguments: str, genesis: int = GENESIS) -> Iterator[Node]:
    """A node of a chain of its own, with chain id 1."""
    binary = packages() / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"
    binary.chmod(0o755)
    chosen = port or _free_port()
    process = subprocess.Popen(
        [
            binary, "--port", str(chosen), "--chain-id", "1", "--silent", "--timestamp", str(genesis),
            "--code-size-limit", "100000", "--gas-limit", "100000000", "--base-fee", "0", *arguments,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield _when_up(f"http://127.0.0.1:{chosen}", process)
    finally:
        process.kill()
        process.wait()


def _when_up(url: str, process: subprocess.Popen[bytes]) -> Node:
    for _ in range(200):
        assert process.poll() is None, "the node ended at its start"
        try:
            return Node(url)
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError("the node did not answer within ten seconds")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bytecode(name: str) -> str:
    """Published bytecode of a contract of @opensea/seaport-js."""
    source = packages() / "@opensea" / "seaport-js" / "src"
    for path in source.rglob(f"{name}.json"):
        return str(json.loads(path.read_text())["bytecode"])
    for path in source.rglob(f"*{name}__factory.ts"):
        found = re.search(r'_bytecode\s*=\s*"(0x[0-9a-f]+)"', path.read_text())
        if found:
            return found.group(1)
    raise AssertionError(f"@opensea/seaport-js has no bytecode of {name}")
