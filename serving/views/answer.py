"""What every answer carries: the version of the store, the age of its data, and whether they are stale.

Here: adding that to a document. Not here: documents.

Concept: documents are stored as finished JSON, and only the age changes from second to second. So an answer is the
stored bytes with a few characters put before the last brace, which costs microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable

from serving.store.files import Pointer


def answer(document: bytes, pointer: Pointer, now: float) -> bytes:
    """A JSON object with `publication`, `age_s` (whole seconds) and `stale` added.

    Args:
        document: A JSON object that is not empty.
        pointer: The version it is from.
        now: Seconds since 1970.
    """
    return document[:-1] + answer_end(pointer, now)


def answer_end(pointer: Pointer, now: float) -> bytes:
    """What comes after a document, the same for all answers of a version until `end_holds_until`."""
    age = pointer.age_s(now)
    stale = b"true" if age > pointer.stale_after_s else b"false"
    return b',"publication":"%b","age_s":%d,"stale":%b}' % (pointer.version.encode(), int(age), stale)


def end_holds_until(pointer: Pointer, now: float) -> float:
    """Seconds since 1970 at which the age in whole seconds, or whether the data are stale, may change."""
    age = pointer.age_s(now)
    following = int(age) + 1.0
    if age <= pointer.stale_after_s < following:
        following = pointer.stale_after_s
    return now + following - age


def etag(pointer: Pointer, now: float) -> bytes:
    """Weak entity tag of every answer of a version: they change with it, and when they become stale.

    Weak, because the age in the body moves on while the content stays the same (RFC 9110, section 8.8.1).
    """
    state = "stale" if pointer.age_s(now) > pointer.stale_after_s else "fresh"
    return f'W/"{pointer.version}-{state}"'.encode()


def as_of_text(pointer: Pointer) -> str:
    """The as-of of answers about everything, ISO 8601 in UTC."""
    return pointer.market_time.split(".")[0] + "Z"


def array(items: Iterable[bytes]) -> bytes:
    """A JSON array of finished values."""
    return b"[" + b",".join(items) + b"]"
