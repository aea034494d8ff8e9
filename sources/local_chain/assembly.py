"""Small EVM contracts, to be put at any address (`anvil_setCode`).

`REPLAYER` at a marketplace's address emits the log that its input describes: the number of topics (1 byte), the topics,
the data. `CALLER` takes (address, length in 3 bytes, input) one after another, and calls them in one transaction.
`library` answers a text for each number. `FEED` is the proxy of a price feed.
"""

from __future__ import annotations

_CODES = {
    "STOP": 0x00, "ADD": 0x01, "SUB": 0x03, "GT": 0x11, "EQ": 0x14, "ISZERO": 0x15, "SHL": 0x1B, "SHR": 0x1C,
    "CALLDATALOAD": 0x35, "CALLDATASIZE": 0x36, "CALLDATACOPY": 0x37, "EXTCODESIZE": 0x3B, "EXTCODECOPY": 0x3C,
    "RETURNDATASIZE": 0x3D, "RETURNDATACOPY": 0x3E, "POP": 0x50, "MSTORE": 0x52, "JUMP": 0x56, "JUMPI": 0x57,
    "GAS": 0x5A, "JUMPDEST": 0x5B, "SWAP1": 0x90, "CALL": 0xF1, "RETURN": 0xF3, "DELEGATECALL": 0xF4, "REVERT": 0xFD,
    **{f"DUP{n}": 0x7F + n for n in range(1, 17)}, **{f"LOG{n}": 0xA0 + n for n in range(5)},
}  # fmt: skip


def assemble(source: str) -> bytes:
    """Bytecode. Numbers are pushed (1 byte, or as many as 0x… has); `:name` marks a place, `name` pushes it."""
    words = source.split()
    places: dict[str, int] = {}
    code = bytearray()
    for final in (False, True):
        code = bytearray()
        for word in words:
            if word.startswith(":"):
                places[word[1:]] = len(code)
                code.append(_CODES["JUMPDEST"])
            elif word in _CODES:
                code.append(_CODES[word])
            elif word.startswith("0x"):
                pushed = bytes.fromhex(word[2:])
                code += bytes([0x5F + len(pushed)]) + pushed
            else:
                value = int(word) if word.isdigit() else places.get(word, 0)
                assert value < 256, f"{word} does not fit into one byte (final: {final})"
                code += bytes([0x60, value])
    return bytes(code)


def _log(count: int) -> str:
    topics = " ".join(f"{1 + 32 * n} CALLDATALOAD" for n in reversed(range(count)))
    return f":log{count} {topics} DUP{count + 1} 0 LOG{count} STOP"


REPLAYER = assemble(
    "0 CALLDATALOAD 248 SHR DUP1 5 SHL 1 ADD DUP1 CALLDATASIZE SUB DUP1 DUP3 0 CALLDATACOPY SWAP1 POP "
    + " ".join(f"DUP2 {n} EQ log{n} JUMPI" for n in range(5))
    + " STOP "
    + " ".join(_log(n) for n in range(5))
)
CALLER = assemble(
    "0 :loop DUP1 CALLDATASIZE GT body JUMPI STOP "
    ":body DUP1 CALLDATALOAD 96 SHR DUP2 20 ADD CALLDATALOAD 232 SHR DUP1 DUP4 23 ADD 0 CALLDATACOPY "
    "0 0 DUP3 0 0 DUP7 GAS CALL ISZERO fail JUMPI SWAP1 POP ADD 23 ADD loop JUMP "
    ":fail 0 0 REVERT"
)
AGGREGATOR = "0x00000000000000000000000000000000a66e6a70"
"""Address of the contract that logs the answers of `FEED`."""

FEED = assemble(
    "0 CALLDATALOAD 224 SHR DUP1 0x58303b10 EQ phase JUMPI 0x313ce567 EQ decimals JUMPI "
    f"{AGGREGATOR} answer JUMP :phase 1 answer JUMP :decimals 8 :answer 0 MSTORE 32 0 RETURN"
)


def library(selector: str, texts: str, behind: str) -> bytes:
    """A contract that answers a text for each number, and otherwise does what another contract does.

    Args:
        selector: Function that is asked with a number (4 bytes as 0x…).
        texts: Address of the text of number 0; the text of n is n addresses later, encoded, as the code there.
        behind: The other contract.
    """
    return assemble(
        f"0 CALLDATALOAD 224 SHR {selector} EQ text JUMPI CALLDATASIZE 0 0 CALLDATACOPY "
        f"0 0 CALLDATASIZE 0 {behind} GAS DELEGATECALL RETURNDATASIZE 0 0 RETURNDATACOPY done JUMPI "
        "RETURNDATASIZE 0 REVERT :done RETURNDATASIZE 0 RETURN "
        f":text 4 CALLDATALOAD {texts} ADD DUP1 EXTCODESIZE DUP1 0 0 DUP5 EXTCODECOPY 0 RETURN"
    )
