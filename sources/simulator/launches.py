"""Collections as they appear: their mints, traits and primary sales.

Here: the rows a launch causes. Collections launched before the first day are history: their mints keep
their own event times and become known at the start of the simulation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sources.contract import COLLECTIONS, SALES, TOKEN_TRAITS, TRANSFERS
from sources.simulator.arrivals import after_outages, known_times
from sources.simulator.config import DAY_US
from sources.simulator.identifiers import constant, joined, number_text, salted
from sources.simulator.rows import SOURCE, ZERO_ADDRESS, RowMaker, contract_rows
from sources.simulator.trades import wallets
from sources.simulator.universe import ABSENT, MAX_TYPES, MAX_VALUES, TYPE_NAMES

Ints = npt.NDArray[np.int64]

_MINT_HOUR = 12
_MINT_SPAN_US = 3 * 3_600_000_000
_PER_MINT_TX = 4
_MINT_TX = 50_000_000
_HISTORY = 99_999
_PIECE_TOKENS = 60_000
_VALUES = pa.array([f"{name} {code:02d}" for name in TYPE_NAMES for code in range(MAX_VALUES)])


class Launches:
    """The launches of one market."""

    def __init__(self, maker: RowMaker) -> None:
        """Work out when each collection appears."""
        self.maker = maker
        self.config, self.universe = maker.config, maker.universe
        launch = self.universe.launch_day * DAY_US + _MINT_HOUR * 3_600_000_000
        self.launch_us = launch
        self.known_us = after_outages(self.config, np.maximum(launch, 0))

    def of_day(self, day: int) -> Ints:
        """Collections that launch on a day."""
        return np.flatnonzero(self.universe.launch_day == day)

    def history(self) -> Iterator[pa.Table]:
        """Mints of the collections that were there before the first day, in pieces."""
        for piece in self._pieces(np.flatnonzero(self.universe.launch_day < 0)):
            token = self._tokens(piece)
            known = np.full(len(token), int(after_outages(self.config, np.zeros(1, np.int64))[0]))
            yield self._mints(token, _HISTORY, known)

    def mints(self, day: int, rng: np.random.Generator) -> pa.Table:
        """Mints of the collections that launch on a day."""
        token = self._tokens(self.of_day(day))
        return self._mints(token, day, known_times(self.config, self._mint_time(token), day, rng))

    def primary_sales(self, day: int, rng: np.random.Generator) -> pa.Table:
        """The paid mints that the source reports as primary sales."""
        token = self._tokens(self.of_day(day))
        every = max(round(1 / max(self.config.calibration.primary_share, 1e-9)), _PER_MINT_TX)
        token = token[token % every == 0] if self.config.calibration.primary_share > 0 else token[:0]
        where = self.universe.collection_of[token].astype(np.int64)
        time = self._mint_time(token)
        price = np.round(np.exp(self.universe.level[where] - 0.5), 2) + 0.01
        n, tx = len(token), _MINT_TX + token // _PER_MINT_TX
        buyer = self.maker.addresses.take(pa.array(self._minter(token)))
        columns = {
            **self.maker.asset(where, token),
            **self.maker.chain_position(day, tx, time, token % _PER_MINT_TX * 2 + 1),
            **self.maker.gas(day, tx, buyer),
            **self.maker.clocks(time, known_times(self.config, time, day, rng)),
            "price_raw": joined(number_text(np.round(price * 1e8).astype(np.int64)), "0" * 10),
            "price_native": pa.array(price),
            "currency": constant("ETH", pa.string(), n),
            "decimals": constant(18, pa.int64(), n),
            "quantity": constant(1, pa.int64(), n),
            "n_in_tx": constant(1, pa.int64(), n),
            "is_bundle_share": constant(False, pa.bool_(), n),
            "sale_type": constant("primary", pa.string(), n),
            "buyer": buyer,
            "seller": constant(ZERO_ADDRESS, pa.string(), n),
            "finalized": constant(True, pa.bool_(), n),
            **self.maker.origin("primary", day, n),
        }
        return contract_rows(SALES, columns)

    def collections(self, first_us: int, last_us: int) -> pa.Table:
        """Collections that become known in a window, in known order."""
        where = self._known_in(first_us, last_us)
        columns = {
            **self.maker.asset(where, None),
            "name": joined("Simulated ", number_text(where)),
            "supply": pa.array(self.universe.sizes[where]),
            "known_at": self.maker.timestamps(self.known_us[where]),
            "source": constant(SOURCE, pa.string(), len(where)),
            "source_row": joined("collections:", number_text(where)),
        }
        return contract_rows(COLLECTIONS, columns)

    def traits(self, first_us: int, last_us: int) -> Iterator[pa.Table]:
        """Traits of the collections that become known in a window, in known order, in pieces."""
        for piece in self._pieces(self._known_in(first_us, last_us)):
            token = self._tokens(piece)
            codes = self.universe.codes[token]
            row, kind = np.nonzero(codes != ABSENT)
            owned = token[row]
            where = self.universe.collection_of[owned].astype(np.int64)
            columns = {
                **self.maker.asset(where, owned),
                "trait_type": pa.array(TYPE_NAMES).take(pa.array(kind)),
                "trait_value": _VALUES.take(pa.array(kind * MAX_VALUES + codes[row, kind])),
                "known_at": self.maker.timestamps(self.known_us[where]),
                "source": constant(SOURCE, pa.string(), len(owned)),
                "source_row": joined("token_traits:", number_text(owned * MAX_TYPES + kind)),
            }
            yield contract_rows(TOKEN_TRAITS, columns)

    def _known_in(self, first_us: int, last_us: int) -> Ints:
        where = np.flatnonzero((self.known_us >= first_us) & (self.known_us < last_us))
        return where[np.argsort(self.known_us[where], kind="stable")]

    def _pieces(self, where: Ints) -> Iterator[Ints]:
        """Collections in their order, cut so that a piece stays small in memory."""
        if len(where):
            total = np.cumsum(self.universe.sizes[where])
            yield from np.split(where, np.flatnonzero(np.diff(total // _PIECE_TOKENS)) + 1)

    def _tokens(self, where: Ints) -> Ints:
        """Positions of all tokens of some collections."""
        sizes = self.universe.sizes[where]
        starts = np.repeat(self.universe.offsets[where] - np.concatenate([[0], np.cumsum(sizes)])[:-1], sizes)
        return starts + np.arange(int(sizes.sum()))

    def _minter(self, token: Ints) -> Ints:
        """The wallet that minted each token: the same wallets `market.first_state` gives the tokens to."""
        key = salted(self.config.seed, 21, token // _PER_MINT_TX)
        return (key % np.uint64(wallets(self.config))).astype(np.int64)

    def _mint_time(self, token: Ints) -> Ints:
        where = self.universe.collection_of[token]
        step = _MINT_SPAN_US // self.universe.sizes[where]
        # Tokens of one transaction share its time.
        inside = token // _PER_MINT_TX * _PER_MINT_TX - self.universe.offsets[where]
        return self.launch_us[where] + np.maximum(inside, 0) * step

    def _mints(self, token: Ints, day: int, known: Ints) -> pa.Table:
        where = self.universe.collection_of[token].astype(np.int64)
        n = len(token)
        time = self._mint_time(token)
        tx = _MINT_TX + token // _PER_MINT_TX
        origin = self.maker.origin("mints", day, n) | {"source_row": joined("mints:", number_text(token))}
        columns = {
            **self.maker.asset(where, token),
            **self.maker.chain_position(day, tx, time, token % _PER_MINT_TX * 2),
            **self.maker.clocks(time, known),
            "from_address": constant(ZERO_ADDRESS, pa.string(), n),
            "to_address": self.maker.addresses.take(pa.array(self._minter(token))),
            "quantity": constant(1, pa.int64(), n),
            "finalized": constant(True, pa.bool_(), n),
            "superseded_by": constant(None, pa.string(), n),
            **origin,
        }
        return contract_rows(TRANSFERS, columns)
