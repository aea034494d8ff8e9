"""A node (anvil) of a chain of its own on this machine, with accounts that may send without a signature.

Here: finding it, starting and stopping it, sending transactions. Not here: the market (`sources.local_chain.market`).
The node and the bytecode of contracts are packages of npm, which a user installs: `INSTALL` says how.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from eth_abi import encode
from eth_utils.crypto import keccak

from sources.ethereum.log import Log
from sources.local_chain.assembly import CALLER, REPLAYER
from sources.protocol import SourceError

VARIABLE = "ASSAY_TEST_CHAIN"
"""Environment variable with the folder in which npm installed the packages."""

INSTALL = "npm install --ignore-scripts @foundry-rs/anvil-linux-amd64@1.7.1 @opensea/seaport-js@4.3.0"
GENESIS = 1_700_000_000
"""Unix seconds of the first block."""

CALLER_ADDRESS = "0x00000000000000000000000000000000ca11e700"
_GAS = 12_000_000
_MANY_GAS = 300_000


class NodeMissingError(SourceError):
    """The packages are not installed; the message says what to install."""


class NodeFailedError(SourceError):
    """The node does not answer, or refuses what was sent."""

    exit_code = 1


@dataclass(frozen=True)
class Packages:
    """What npm installed.

    Attributes:
        anvil: The program of the node.
        contracts: Folder of @opensea/seaport-js with the bytecode of contracts.
    """

    anvil: Path
    contracts: Path

    def bytecode(self, name: str) -> str:
        """Published bytecode (0x…) of a contract."""
        for path in self.contracts.rglob(f"{name}.json"):
            return str(json.loads(path.read_text())["bytecode"])
        for path in self.contracts.rglob(f"*{name}__factory.ts"):
            found = re.search(r'_bytecode\s*=\s*"(0x[0-9a-f]+)"', path.read_text())
            if found:
                return found.group(1)
        raise NodeFailedError(f"expected the bytecode of {name} in {self.contracts}, found none: {INSTALL}")


def find_packages(folder: Path | None = None) -> Packages:
    """The packages in a folder; default: that of the environment variable, else the current one.

    Raises:
        NodeMissingError: They are not there.
    """
    where = (folder or Path(os.environ.get(VARIABLE) or ".")).expanduser().resolve()
    installed = sorted(where.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))
    on_path = shutil.which("anvil")
    anvil = installed[0] if installed else Path(on_path) if on_path else None
    contracts = where / "node_modules" / "@opensea" / "seaport-js" / "src"
    if anvil is None or not contracts.is_dir():
        raise NodeMissingError(
            f"expected a node (anvil) and the contracts of Seaport, found none in {where}: run `{INSTALL}` in a folder "
            f"of yours and name it with {VARIABLE}"
        )
    return Packages(anvil, contracts)


class Node:
    """A running node. It can be stopped, and started again with all its blocks."""

    def __init__(self, packages: Packages, arguments: Sequence[str], genesis: int) -> None:
        """Start it; see `local_node`."""
        self.packages = packages
        self._port = _free_port()
        self._command = [
            str(packages.anvil), "--port", str(self._port), "--chain-id", "1", "--silent", "--timestamp", str(genesis),
            "--code-size-limit", "100000", "--gas-limit", "100000000", "--base-fee", "0", *arguments,
        ]  # fmt: skip
        self.url = f"http://127.0.0.1:{self._port}"
        self._client = httpx.Client(timeout=120, verify=False)  # loading certificates takes long
        with suppress(
            OSError
        ):  # npm without scripts leaves it as it was packed; a system's own is as it must be
            packages.anvil.chmod(0o755)
        self.start()
        self.accounts = [str(a).lower() for a in self.call("eth_accounts")]

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        for _ in range(200):
            if self._process.poll() is not None:
                raise NodeFailedError(f"the node ended at its start: {' '.join(self._command)}")
            try:
                self.call("eth_chainId")
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return
        raise NodeFailedError("the node did not answer within ten seconds of its start")

    def stop(self) -> None:
        """End the process. With `--state FILE --preserve-historical-states` it can be started again."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=60)

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()

    @property
    def height(self) -> int:
        """Number of the newest block."""
        return int(self.call("eth_blockNumber"), 16)

    def call(self, method: str, *params: Any) -> Any:
        """The result of a question."""
        answer = self._client.post(
            self.url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        ).json()
        if "error" in answer:
            raise NodeFailedError(f"{method}: {answer['error']}")
        return answer["result"]

    def send(self, sender: str, to: str | None, data: bytes, value: int = 0) -> dict[str, Any]:
        """The receipt of a transaction, which must succeed."""
        transaction = {"from": sender, "data": "0x" + data.hex(), "value": hex(value), "gas": hex(_GAS)}
        if to is not None:
            transaction["to"] = to
        receipt, sent = None, self.call("eth_sendTransaction", transaction)
        for _ in range(1000):
            receipt = self.call("eth_getTransactionReceipt", sent)
            if receipt is not None:
                break
            time.sleep(0.005)
        if receipt is None or receipt["status"] != "0x1":
            raise NodeFailedError(
                f"expected a transaction to {to} to succeed, found {(receipt or {}).get('status', 'no receipt')}"
            )
        return dict(receipt)

    def send_many(self, calls: Sequence[tuple[str, str, bytes]]) -> None:
        """Send small transactions (sender, to, input), as many in a block as it holds."""
        self.call("evm_setAutomine", False)
        for start in range(0, len(calls), 300):
            sent = [
                self.call(
                    "eth_sendTransaction",
                    {"from": sender, "to": to, "data": "0x" + data.hex(), "gas": hex(_MANY_GAS)},
                )
                for sender, to, data in calls[start : start + 300]
            ]
            self.mine(1)
            receipt = self.call("eth_getTransactionReceipt", sent[-1])
            if receipt is None or receipt["status"] != "0x1":
                raise NodeFailedError(f"expected {len(sent)} transactions in one block, found {receipt}")
        self.call("evm_setAutomine", True)

    def deploy(self, bytecode: str, arguments: bytes = b"") -> str:
        """Create a contract; returns its address."""
        receipt = self.send(self.accounts[0], None, bytes.fromhex(bytecode.removeprefix("0x")) + arguments)
        return str(receipt["contractAddress"]).lower()

    def invoke(self, sender: str, to: str, signature: str, *values: Any, value: int = 0) -> dict[str, Any]:
        """Call a function by its signature, e.g. `mint(address,uint256)`."""
        return self.send(sender, to, call_data(signature, *values), value)

    def put_code(self, address: str, code: bytes | str) -> None:
        """Put a contract at any address."""
        self.call("anvil_setCode", address, code if isinstance(code, str) else "0x" + code.hex())

    def at_time(self, moment: int) -> None:
        """The time of the next block (unix seconds)."""
        self.call("evm_setNextBlockTimestamp", moment)

    def mine(self, blocks: int, seconds: int = 12) -> None:
        """Add blocks, these seconds apart."""
        self.call("anvil_mine", hex(blocks), hex(seconds))

    def emit(self, logs: Sequence[Log]) -> dict[str, Any]:
        """Emit these logs in one transaction, each from its address, in their order."""
        for address in {log.address for log in logs}:
            self.put_code(address, REPLAYER)
        self.put_code(CALLER_ADDRESS, CALLER)
        return self.send(self.accounts[0], CALLER_ADDRESS, emission(logs))


@contextmanager
def local_node(packages: Packages, *arguments: str, genesis: int = GENESIS) -> Iterator[Node]:
    """A node of a chain with chain id 1, which ends with the block.

    Args:
        packages: Its program and contracts.
        arguments: More arguments of anvil.
        genesis: Unix seconds of the first block.
    """
    node = Node(packages, arguments, genesis)
    try:
        yield node
    finally:
        node.kill()


def emission(logs: Sequence[Log]) -> bytes:
    """The input of the caller that makes the replayers at the logs' addresses emit them."""
    return b"".join(one_call(log.address, _replayed(log)) for log in logs)


def one_call(address: str, data: bytes) -> bytes:
    """The part of the caller's input that calls a contract."""
    return bytes.fromhex(address[2:]) + len(data).to_bytes(3, "big") + data


def _replayed(log: Log) -> bytes:
    return bytes([len(log.topics)]) + b"".join(bytes.fromhex(t[2:]) for t in log.topics) + log.data


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
