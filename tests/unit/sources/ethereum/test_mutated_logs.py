"""Logs that somebody damaged: no crash, and no price that the log does not state."""

from __future__ import annotations

import random
from dataclasses import replace

from sources.contract import SALES
from sources.ethereum.chain import Standing
from sources.ethereum.decoders import cryptopunks, looksrare, movements
from sources.ethereum.decoders.trade import Unpriced
from sources.ethereum.decoders.transactions import decode
from sources.ethereum.log import Log
from sources.ethereum.rows import RowBuilder
from sources.local_chain.logs import (
    ALICE,
    BOB,
    CARDS,
    CAROL,
    ETH,
    NFT,
    coin,
    inventory,
    moved,
    order,
    packed_sale,
    punk,
    taker_bid,
    token,
)
from tests.unit.sources.ethereum.test_other_markets import blur_v1

PAYLOADS = 3_000


def whole() -> list[Log]:
    """One good log of each kind."""
    return [
        order(ALICE, BOB, [token(7)], [coin(ETH, ALICE), coin(5, CAROL)]),
        packed_sale(NFT, 7, ETH, ALICE, BOB),
        taker_bid(NFT, 7, ETH, ALICE, BOB),
        blur_v1(1, 2),
        inventory(1),
        punk(cryptopunks.BOUGHT, (7, ALICE, BOB), ETH),
        punk(cryptopunks.BID_ENTERED, (7, BOB), ETH),
        moved(ALICE, BOB, 7),
        replace(moved(ALICE, BOB, 7), topics=(movements.TRANSFER_BATCH, *moved(ALICE, BOB, 7).topics[1:])),
    ]


def damaged(log: Log, chance: random.Random) -> Log:
    data = bytearray(log.data)
    kind = chance.randrange(5)
    if kind == 0:
        data = data[: chance.randrange(len(data) + 1)]
    elif kind == 1 and data:
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
    elif kind == 2 and len(data) >= 32:
        start = 32 * chance.randrange(len(data) // 32)
        data[start : start + 32] = chance.randbytes(32)
    elif kind == 3:
        return replace(log, topics=log.topics[: chance.randrange(len(log.topics) + 1)])
    else:
        data += chance.randbytes(chance.randrange(1, 70))
    return replace(log, data=bytes(data))


def test_damaged_logs_neither_crash_nor_stop_the_good_ones() -> None:
    chance = random.Random(13)
    good = replace(taker_bid(CARDS, 1, 3 * ETH, ALICE, BOB), log_index=99)
    logs, undecodable = whole(), 0
    builder = RowBuilder("ethereum", frozenset({NFT, CARDS, cryptopunks.ADDRESS}))
    for _ in range(PAYLOADS):
        some = [damaged(chance.choice(logs), chance), good]
        decoded = decode(some, {})
        assert [t.price for t in decoded.trades if t.log_index == 99] == [3 * ETH]
        undecodable += sum(t.unpriced is Unpriced.UNDECODABLE for t in decoded.trades)
        builder.add_trades(some, Standing(1_700_000_000, 1_700_000_000), decoded.trades)
    count = len(builder)
    batch = builder.batch(SALES)
    assert batch.num_source_rows == count
    assert undecodable > PAYLOADS // 20
    assert batch.rejected.num_rows >= undecodable


def test_a_cut_log_is_never_a_sale() -> None:
    for log in whole()[:6]:
        for length in range(0, len(log.data), 32):
            trades = decode([replace(log, data=log.data[:length])], {}).trades
            assert {t.unpriced for t in trades} <= {Unpriced.UNDECODABLE}, (log.address, length)
    assert looksrare.trades_of([]) == []
