"""Two small EVM contracts for tests: one that emits any log, and one that calls several contracts in one transaction.

`REPLAYER` put at a marketplace's address (`anvil_setCode`) emits the log that its input describes: the number of topics
(1 byte), the topics, the data. `CALLER` takes (address, length in 3 bytes, input) one after another.
"""

from __future__ import annotations

_CODES = {
    "STOP": 0x00, "ADD": 0x01, "SUB": 0x03, "GT": 0x11, "EQ": 0x14, "ISZERO": 0x15, "SHL": 0x1B, "SHR": 0x1C,
    "CALLDATALOAD": 0x35, "CALLDATASIZE": 0x36, "CALLDATACOPY": 0x37, "POP": 0x50, "JUMP": 0x56, "JUMPI": 0x57,
    "GAS": 0x5A, "JUMPDEST": 0x5B, "SWAP1": 0x90, "CALL": 0xF1, "REVERT": 0xFD,
    **{f"DUP{n}": 0x7F + n for n in range(1, 17)}, **{f"LOG{n}": 0xA0 + n for n in range(5)},
}  # fmt: skip


def assemble(source: str) -> bytes:
    """Bytecode. A number is pushed (1 byte), `:name` marks a place and `name` in lower case pushes it."""
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
