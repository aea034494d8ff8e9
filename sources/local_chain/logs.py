"""Events encoded by their types, as the contracts of marketplaces and collections log them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth_abi import encode

from sources.ethereum.decoders import blur, cryptopunks, looksrare, seaport, x2y2
from sources.ethereum.decoders.movements import TRANSFER
from sources.ethereum.log import Log

ALICE, BOB, CAROL, DAVE = ("0x" + letter * 40 for letter in "abcd")
NFT, CARDS = "0x" + "1" * 40, "0x" + "2" * 40
NOWHERE = "0x" + "0" * 40
WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
ETH = 10**18


def topic(value: str | int) -> str:
    """An address or a number as a topic."""
    return f"0x{int(value, 16) if isinstance(value, str) else value:064x}"


def log(address: str, event: str, topics: Sequence[str | int] = (), data: bytes = b"", index: int = 0) -> Log:
    """A log of a contract in block 100."""
    return Log(
        address,
        (event, *map(topic, topics)),
        data,
        100,
        "0x" + "e" * 64,
        "0x" + "f" * 64,
        0,
        index,
    )


def moved(giver: str, receiver: str, token: int, *, contract: str = NFT, index: int = 0) -> Log:
    """A Transfer of an ERC-721 token."""
    return log(contract, TRANSFER, (giver, receiver, token), index=index)


def order(
    offerer: str,
    recipient: str,
    offer: Sequence[tuple[Any, ...]],
    consideration: Sequence[tuple[Any, ...]],
    *,
    index: int = 0,
    number: int = 1,
    address: str = seaport.ADDRESSES[-1],
) -> Log:
    """An OrderFulfilled."""
    data = encode(
        [
            "bytes32",
            "address",
            "(uint8,address,uint256,uint256)[]",
            "(uint8,address,uint256,uint256,address)[]",
        ],
        [number.to_bytes(32, "big"), recipient, offer, consideration],
    )
    return log(address, seaport.ORDER_FULFILLED, (offerer, NOWHERE), data, index)


def orders_matched(*numbers: int, index: int, address: str = seaport.ADDRESSES[-1]) -> Log:
    """An OrdersMatched of Seaport: the orders with these numbers were filled together."""
    data = encode(["bytes32[]"], [[n.to_bytes(32, "big") for n in numbers]])
    return log(address, seaport.ORDERS_MATCHED, (), data, index)


def coin(amount: int, to: str | None = None) -> tuple[Any, ...]:
    """Native money in an order of Seaport, in wei; with an account: in its consideration."""
    return (0, NOWHERE, 0, amount, *((to,) if to else ()))


def erc20(contract: str, amount: int, to: str | None = None) -> tuple[Any, ...]:
    """An ERC-20 amount in an order of Seaport."""
    return (1, contract, 0, amount, *((to,) if to else ()))


def token(identifier: int, to: str | None = None, *, contract: str = NFT) -> tuple[Any, ...]:
    """An ERC-721 token in an order of Seaport."""
    return (2, contract, identifier, 1, *((to,) if to else ()))


def card(identifier: int, amount: int, to: str | None = None) -> tuple[Any, ...]:
    """Units of an ERC-1155 token in an order of Seaport."""
    return (3, CARDS, identifier, amount, *((to,) if to else ()))


def packed_sale(contract: str, token: int, price: int, seller: str, _buyer: str) -> Log:
    """A listing of Blur v2 that is bought; the buyer is not in the log."""
    words = [b"\0" * 32, (token << 168) | int(seller, 16), (price << 160) | int(contract, 16)]
    return log(blur.V2, next(iter(blur.PACKED)), (), encode(["bytes32", "uint256", "uint256"], words))


def taker_bid(contract: str, token: int, price: int, seller: str, buyer: str) -> Log:
    """A listing of LooksRare v1 that is bought."""
    types = ["bytes32", "uint256", "address", "address", "uint256", "uint256", "uint256"]
    data = encode(types, [b"\0" * 32, 1, WETH, contract, token, 1, price])
    return log(looksrare.V1, looksrare.V1_BID, (buyer, seller, NOWHERE), data)


def inventory(
    operation: int,
    *,
    masked: bool = False,
    contract: str = NFT,
    token: int = 9,
    price: int = 500,
    maker: str = ALICE,
    taker: str = BOB,
) -> Log:
    """An EvInventory of X2Y2; an operation 1 is a listing of the maker that is bought."""
    item = encode(["(address,uint256)[]"], [[(contract, 0 if masked else token)]])
    filled = encode(["(address,uint256)[]"], [[(contract, token)]])
    mask = b"\0" * (len(item) - 32) + b"\1" * 32 if masked else b""
    types = ["address", "address", "uint256", "uint256", "uint256", "uint256", "uint256", "address", "bytes"]
    types += ["(uint256,bytes)"]
    types += [
        "(uint8,uint256,uint256,uint256,bytes32,address,bytes,uint256,uint256,uint256,(uint256,address)[])"
    ]
    detail: tuple[Any, ...] = (
        operation,
        0,
        0,
        price,
        b"\0" * 32,
        CAROL,
        filled if masked else b"",
        0,
        0,
        0,
        [],
    )
    values = [maker, taker, 1, 2, 1, 1, 2**40, WETH, mask, (price, item), detail]
    return log(x2y2.ADDRESSES[0], x2y2.INVENTORY, (1,), encode(types, values))


def punk(event: str, topics: Sequence[str | int], value: int | None = None, index: int = 0) -> Log:
    """A log of CryptoPunks."""
    return log(
        cryptopunks.ADDRESS, event, topics, b"" if value is None else encode(["uint256"], [value]), index
    )
