"""Chainlink's price feeds: the rates of currencies in dollars, as the chain states them.

Here: which feeds there are, as data, and the event → the rate. Not here: which contracts log for a feed
(`sources.ethereum.rates`): its address is that of a proxy, and the aggregator behind it changes.
"""

from __future__ import annotations

from sources.ethereum.log import Log, UndecodableLogError

ANSWER_UPDATED = "0x0559884fd3a460db3073b7fc896cc77986f16e378210ded43186175bf646fc5f"

FEEDS: dict[str, dict[str, str]] = {
    "ethereum": {
        "ETH": "0x5f4ec3df9cbd43714fe2740f5e3616155c5b8419",
        "USDC": "0x8fffffd4afb6115b954bd326cbe7b4ba576818f6",
        "USDT": "0x3e7d1eab13ad0104d2750b8863b489d65364e32d",
        "DAI": "0xaed0c38402a5d19df6e4c03f4e2dced6e29c1ee9",
    }
}
"""Chain → symbol → proxy of its feed in dollars."""


def answer_of(log: Log) -> int:
    """The answer of a feed, in units of its decimals.

    Raises:
        UndecodableLogError: The log does not hold what its event promises, or no price.
    """
    if log.event != ANSWER_UPDATED or len(log.topics) != 3 or len(log.data) != 32:
        raise UndecodableLogError(
            f"expected an answer, its round and its time, found {len(log.topics)} topics and {len(log.data)} bytes"
        )
    answer = log.topic_number(1)
    if not 0 < answer < 2**255:
        raise UndecodableLogError(
            f"expected an answer above zero, found {answer - (2**256 if answer >= 2**255 else 0)}"
        )
    return answer
