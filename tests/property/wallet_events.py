"""What happens in a random market: every event that a wallet can see, drawn one after the other.

Here: the events. Not here: what they leave in the wallets, and their rows (`wallet_lives`).
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.integration.moves_market import LOANS, WRAPPER, ZERO
from tests.property.wallet_lives import WALLETS, Lot, Market, Token, wei

SINGLES, MULTIPLES, PUNKS = ("1", "2", "3", "4"), ("m1", "m2"), ("0", "1")


def live(seed: int, steps: int) -> Market:
    """A market of `steps` transactions."""
    market = Market(Random(seed))
    actions = [mint, airdrop, trade, trade, trade, gift, loan, loan, wrap, bundle, reorganised]
    actions += [unseen, fill, fill, pass_units]
    for _ in range(steps):
        market.tick()
        market.draw.choice(actions)(market)
    return market


def _single(market: Market) -> Token:
    return ("apes", market.draw.choice(SINGLES)) if market.draw.random() < 0.7 else _punk(market)


def _punk(market: Market) -> Token:
    return ("punks", market.draw.choice(PUNKS))


def _giver(market: Market, token: Token) -> str:
    """Who can give the token: its owner, or anybody before one is known."""
    return market.owner(token) or market.draw.choice(WALLETS)


def _other(market: Market, wallet: str) -> str:
    return market.draw.choice([other for other in WALLETS if other != wallet])


def _price(market: Market) -> float:
    return round(market.draw.uniform(0.01, 5.0), 6)


def _gas(market: Market, buyer: str, seller: str) -> tuple[dict[str, Any], int, int]:
    """What a row says of its transaction's gas, and what of it buyer and seller have paid, in wei."""
    draw = market.draw
    if draw.random() < 0.4:
        return {}, 0, 0
    used, price = draw.randrange(21_000, 900_000), draw.randrange(1, 40_000_000_000)
    amount = used * price
    if draw.random() < 0.3:
        native = round(amount / 10**18, 5)
        stated: dict[str, Any] = {"gas_native": native}
        amount = round(native * 10**5) * 10**13
    else:
        stated = {"gas_used": used, "gas_price_wei": price}
    kind = draw.random()
    if kind < 0.3:
        return {**stated, "side": "listing_filled"}, amount, 0
    if kind < 0.5:
        return {**stated, "side": "bid_accepted"}, 0, amount
    if kind < 0.6:  # nobody knows who paid it
        return stated, 0, 0
    if kind < 0.7:  # somebody else did
        return {**stated, "gas_payer": "0xrelay", "side": "listing_filled"}, 0, 0
    payer = draw.choice([buyer, seller])
    return {**stated, "gas_payer": payer}, amount * (payer == buyer), amount * (payer == seller)


def mint(market: Market) -> None:
    """Units of a token come into being, with a price or without."""
    token = ("many", market.draw.choice(MULTIPLES))
    wallet, units = market.draw.choice(WALLETS), market.draw.randrange(2, 7)
    price = _price(market) if market.draw.random() < 0.5 else None
    market.moves(token, (ZERO, wallet, units))
    if price is not None:
        gas = market.draw.randrange(10**16)
        stated = {"gas_used": 1, "gas_price_wei": gas}
        if market.draw.random() < 0.5:  # its transfer says it
            market.rows["transfers"][-1].update(stated)
            stated = {}
        market.sold(token, ZERO, wallet, units, price, sale_type="primary", **stated)
        market.get(wallet, token, Lot("minted", market.at, units, wei(price) + gas))
    else:
        market.get(wallet, token, Lot("minted", market.at, units, None, "mint_without_price"))


def airdrop(market: Market) -> None:
    """One transaction gives new tokens to three wallets."""
    for place, wallet in enumerate(market.draw.sample(WALLETS, 3)):
        token = ("drops", f"{market.number}-{place}")
        market.moves(token, (ZERO, wallet, 1))
        market.get(wallet, token, Lot("airdropped", market.at, 1, 0))


def trade(market: Market) -> None:
    """A single token is sold, directly or through a contract, with fees or without, reported by its transfer or not."""
    token = _single(market)
    if token in market.in_custody and token[0] != "punks":
        return
    seller = _giver(market, token)
    buyer, price = _other(market, seller), _price(market)
    wrapped = market.in_custody.get(token) is not None
    fee = wei(0.005) if market.draw.random() < 0.5 else None
    changes: dict[str, Any] = {} if fee is None else {"fee_native": 0.003, "royalty_native": 0.002}
    stated, bought_for, sold_for = _gas(market, buyer, seller)
    changes |= stated
    if market.draw.random() < 0.3:
        changes["buyer_fee_native"] = 0.001
        bought_for += wei(0.001)
    if wrapped:
        changes["collection"] = "wpunks"
    reported = market.draw.random()
    if reported < 0.6:
        market.moves(token, (seller, buyer, 1), wrapped=wrapped)
        market.sold(token, seller, buyer, 1, price, **changes)
    elif reported < 0.8:
        market.moves(token, (seller, "0xcarrier", 1), ("0xcarrier", buyer, 1), wrapped=wrapped)
        market.sold(token, seller, market.draw.choice(["0xcarrier", buyer]), 1, price, **changes)
    elif wrapped:
        market.moves(token, (seller, buyer, 1), wrapped=True)
        market.sold(token, seller, buyer, 1, price, **changes)
    else:
        market.sold(token, seller, buyer, 1, price, **changes)
    if market.draw.random() < 0.15:  # another source reports it, too
        again = {"source": "two", "source_row": f"two:{market.number}", "log_index": 7}
        market.rows["sales"].append({**market.rows["sales"][-1], **again})
    market.give(seller, token, 1, "sold", wei(price) - (fee or 0) - sold_for, None)
    market.get(buyer, token, Lot("bought", market.at, 1, wei(price) + bought_for))
    if wrapped:
        market.in_custody[token] = buyer


def gift(market: Market) -> None:
    """A single token changes hands for nothing, or for a price that is reported as zero or not at all."""
    token = _single(market)
    if token in market.in_custody:
        return
    giver = _giver(market, token)
    receiver = _other(market, giver)
    market.moves(token, (giver, receiver, 1))
    why, lot_reason, reported = "sent", "received_without_price", market.draw.random()
    if reported < 0.2:
        market.sold(token, giver, receiver, 1, 0.0)
        why = lot_reason = "zero_price"
    elif reported < 0.4:
        market.sold(token, giver, receiver, 1, None)
        why = lot_reason = "missing_price"
    market.give(giver, token, 1, "sent", None, why)
    market.get(receiver, token, Lot("received", market.at, 1, None, lot_reason))


def unseen(market: Market) -> None:
    """Somebody sells a token that by all rows another has: it has changed hands before, and no row shows when."""
    token: Token = ("apes", market.draw.choice(SINGLES))
    owner = market.owner(token)
    if owner is None or token in market.in_custody:
        return
    seller, price = _other(market, owner), _price(market)
    buyer = _other(market, seller)
    market.give(owner, token, 1, "unseen", None, "unseen")
    market.get(seller, token, Lot("untraced", None, 1, None, "no_record_of_acquisition"))
    market.moves(token, (seller, buyer, 1))
    market.sold(token, seller, buyer, 1, price)
    market.give(seller, token, 1, "sold", wei(price), None)
    market.get(buyer, token, Lot("bought", market.at, 1, wei(price)))


def loan(market: Market) -> None:
    """A token is put into a contract, comes back, or goes to somebody else."""
    token: Token = ("apes", market.draw.choice(SINGLES))
    owner = market.in_custody.pop(token, None)
    if owner is None:
        owner = _giver(market, token)
        market.moves(token, (owner, LOANS, 1))
        if market.owner(token) is None:
            return  # it is not known who had it: nothing says that this wallet owned it
        market.in_custody[token] = owner
        return
    receiver = owner if market.draw.random() < 0.6 else _other(market, owner)
    market.moves(token, (LOANS, receiver, 1))
    if receiver != owner:
        market.give(owner, token, 1, "sent", None, "sent")
        market.get(receiver, token, Lot("received", market.at, 1, None, "received_without_price"))


def wrap(market: Market) -> None:
    """A punk is wrapped or unwrapped: nothing changes hands."""
    token = _punk(market)
    owner = market.owner(token)
    if owner is None:
        return
    if market.in_custody.pop(token, None) is None:
        market.moves(token, (owner, WRAPPER, 1))
        market.moves(token, (ZERO, owner, 1), wrapped=True)
        market.in_custody[token] = owner
    else:
        market.moves(token, (owner, ZERO, 1), wrapped=True)
        market.moves(token, (WRAPPER, owner, 1))


def bundle(market: Market) -> None:
    """A buyer buys tokens of several sellers in one transaction, each at its price; the gas is split by price."""
    buyer, gas = market.draw.choice(WALLETS), market.draw.randrange(10**16)
    tokens = [("apes", name) for name in sorted(market.draw.sample(SINGLES, 3))]
    sellers = {token: _giver(market, token) for token in tokens if token not in market.in_custody}
    prices = {token: _price(market) for token, seller in sellers.items() if seller != buyer}
    gwei, total = 0, sum(wei(price) // 10**9 for price in prices.values())
    for token, price in prices.items():
        stated = {"gas_used": 1, "gas_price_wei": gas, "gas_payer": buyer} if gwei == 0 else {}
        market.moves(token, (sellers[token], buyer, 1))
        market.sold(token, sellers[token], buyer, 1, price, is_bundle_share=True, n_in_tx=3, **stated)
        before, gwei = gwei, gwei + wei(price) // 10**9
        share = gas * gwei // total - gas * before // total
        market.give(sellers[token], token, 1, "sold", wei(price), None)
        market.get(buyer, token, Lot("bought", market.at, 1, wei(price) + share))


def reorganised(market: Market) -> None:
    """A sale whose block is replaced: it comes again at another price, or its transfer without one."""
    token: Token = ("apes", market.draw.choice(SINGLES))
    if token in market.in_custody:
        return
    seller = _giver(market, token)
    buyer, price = _other(market, seller), _price(market)
    if market.draw.random() < 0.5:  # in the block that was replaced somebody else got the token
        stand = len(market.rows["transfers"])
        market.moves(token, (seller, _other(market, seller), 1))
        for row in market.rows["transfers"][stand:]:
            row["superseded_by"] = "0xnew"
    market.moves(token, (seller, buyer, 1))
    market.sold(token, seller, buyer, 1, _price(market), superseded_by="0xnew")
    if market.draw.random() < 0.5:
        market.sold(token, seller, buyer, 1, price)
        market.give(seller, token, 1, "sold", wei(price), None)
        market.get(buyer, token, Lot("bought", market.at, 1, wei(price)))
    else:
        market.give(seller, token, 1, "sent", None, "sent")
        market.get(buyer, token, Lot("received", market.at, 1, None, "received_without_price"))


def _free(market: Market, wallet: str, token: Token) -> int:
    """Units that are not in a contract."""
    return market.held(wallet, token) - market.deposits[wallet, token]


def fill(market: Market) -> None:
    """A part of an offer of several units is bought, sometimes of two sellers, or twice of one, in one transaction."""
    token = ("many", market.draw.choice(MULTIPLES))
    sellers = [wallet for wallet in WALLETS if _free(market, wallet, token) > 1]
    if not sellers:
        return
    chosen = market.draw.sample(sellers, min(len(sellers), market.draw.choice([1, 1, 2])))
    buyer = market.draw.choice([wallet for wallet in WALLETS if wallet not in chosen])
    for seller in chosen:
        units = market.draw.randrange(2, _free(market, seller, token) + 1)
        price = _price(market)
        market.moves(token, (seller, buyer, units))
        if len(chosen) == 1 and market.draw.random() < 0.3:
            market.sold(token, seller, buyer, 1, price)
            market.sold(token, seller, buyer, units - 1, price)
            total = 2 * wei(price)
        else:
            market.sold(token, seller, buyer, units, price)
            total = wei(price)
        market.give(seller, token, units, "sold", total, None)
        market.get(buyer, token, Lot("bought", market.at, units, total))


def pass_units(market: Market) -> None:
    """Some units are given away, burned, put into a contract or taken out by who put them in."""
    token = ("many", market.draw.choice(MULTIPLES))
    wallet, kind = market.draw.choice(WALLETS), market.draw.random()
    deposited, free = market.deposits[wallet, token], _free(market, wallet, token)
    if kind < 0.3 and deposited:
        units = market.draw.randrange(1, deposited + 1)
        market.moves(token, (LOANS, wallet, units))
        market.deposits[wallet, token] -= units
    elif free > 0 and kind < 0.6:
        units = market.draw.randrange(1, free + 1)
        market.moves(token, (wallet, LOANS, units))
        market.deposits[wallet, token] += units
    elif free > 0 and kind < 0.7:
        units = market.draw.randrange(1, free + 1)
        market.moves(token, (wallet, ZERO, units))
        market.give(wallet, token, units, "burned", None, "burned")
    elif free > 0:
        receiver, units = _other(market, wallet), market.draw.randrange(1, free + 1)
        market.moves(token, (wallet, receiver, units))
        market.give(wallet, token, units, "sent", None, "sent")
        market.get(receiver, token, Lot("received", market.at, units, None, "received_without_price"))
