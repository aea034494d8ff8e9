"""Events that say that the metadata of tokens changed: ERC-4906 for one or several tokens, `URI` of ERC-1155.

Here: the events → the tokens they name. Not here: asking for metadata (`sources.ethereum.metadata`).
"""

from __future__ import annotations

from sources.ethereum.log import Log, UndecodableLogError

METADATA_UPDATE = "0xf8e1a15aba9398e019f0b49df1a4fde98ee17ae345cb5f6b5e2c27f5033e8ce7"
BATCH_METADATA_UPDATE = "0x6bd5c950a8d8df17f772f5af37cb3655737899cbf903264b9795592da439661c"
URI = "0x6bb7ff708619ba0610cba295a58592e0451dee2622938c8755667688daf3529b"
EVENTS = (METADATA_UPDATE, BATCH_METADATA_UPDATE, URI)


def updated_tokens(log: Log) -> tuple[int, int]:
    """First and last token whose metadata changed.

    Raises:
        UndecodableLogError: The log does not hold what its event promises, or is another event.
    """
    if log.event == URI:
        return log.topic_number(1), log.topic_number(1)
    # ERC-4906 does not index the numbers; some contracts do.
    words = [*log.topics[1:], *(log.data[n : n + 32].hex() for n in range(0, len(log.data), 32))]
    count = {METADATA_UPDATE: 1, BATCH_METADATA_UPDATE: 2}.get(log.event, 3)
    if len(words) < count or any(len(word) < 64 for word in words[:count]):
        raise UndecodableLogError(f"expected {count} numbers of tokens, found {len(words)}")
    first, *rest = (int(word, 16) for word in words[:count])
    return first, rest[0] if rest else first
