"""The chains we know: names, spellings, kind and coin, as data.

Here: what a chain may be called in a payload and what follows from it. Not here: contracts (`sources.contracts`).
A spelling that is not here is refused: a typing error must not make a chain of its own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chain:
    """One chain.

    Attributes:
        name: The name the raw contract uses.
        coin: Symbol of the chain's own coin.
        ids: Numbers it goes by (EIP-155); empty for chains that are not EVM chains.
        aliases: Other spellings, lower case, words joined by "-".
    """

    name: str
    coin: str
    ids: tuple[int, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def is_evm(self) -> bool:
        """Whether token ids are numbers and addresses are 20 bytes in hex."""
        return bool(self.ids)

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every way to write it, lower case, words joined by "-"."""
        plain = self.name.replace("_", "-")
        numbers = [s for i in self.ids for s in (str(i), f"{i}.0", hex(i), f"eip155:{i}", f"eip155-{i}")]
        return (self.name, plain, f"{plain}-mainnet", f"{plain}mainnet", *self.aliases, *numbers)


CHAINS: tuple[Chain, ...] = (
    Chain("ethereum", "ETH", (1,), ("eth", "mainnet", "eth-mainnet", "homestead", "ether", "erc", "l1")),
    Chain("polygon", "MATIC", (137,), ("matic", "polygon-pos", "matic-mainnet", "poly", "pol")),
    Chain("base", "ETH", (8453,)),
    Chain("arbitrum", "ETH", (42161,), ("arbitrum-one", "arb", "arb1", "arb-mainnet")),
    Chain("arbitrum_nova", "ETH", (42170,)),
    Chain("optimism", "ETH", (10,), ("op", "opt-mainnet", "op-mainnet")),
    Chain("bnb", "BNB", (56,), ("bsc", "binance", "binance-smart-chain", "bnb-chain", "bnb-smart-chain")),
    Chain("avalanche", "AVAX", (43114,), ("avalanche-c", "avax", "avalanche-c-chain", "avax-c")),
    Chain("fantom", "FTM", (250,), ("ftm",)),
    Chain("gnosis", "XDAI", (100,), ("xdai", "gnosis-chain")),
    Chain("klaytn", "KLAY", (8217,), ("cypress", "kaia")),
    Chain("celo", "CELO", (42220,)),
    Chain("cronos", "CRO", (25,)),
    Chain("moonbeam", "GLMR", (1284,)),
    Chain("moonriver", "MOVR", (1285,)),
    Chain("ronin", "RON", (2020,)),
    Chain("zora", "ETH", (7777777,), ("zora-network",)),
    Chain("blast", "ETH", (81457,)),
    Chain("linea", "ETH", (59144,)),
    Chain("scroll", "ETH", (534352,)),
    Chain("zksync", "ETH", (324,), ("zksync-era",)),
    Chain("mantle", "MNT", (5000,)),
    Chain("sei", "SEI", (1329,)),
    Chain("apechain", "APE", (33139,), ("ape-chain",)),
    Chain("abstract", "ETH", (2741,)),
    Chain("berachain", "BERA", (80094,)),
    Chain("shape", "ETH", (360,)),
    Chain("degen", "DEGEN", (666666666,)),
    Chain("immutable", "ETH", (13371,), ("immutable-zkevm", "imx", "immutablex", "immutable-x")),
    Chain("solana", "SOL", (), ("sol",)),
    Chain("wax", "WAXP", (), ("waxp",)),
    Chain("tezos", "XTZ", (), ("xtz",)),
    Chain("flow", "FLOW"),
    Chain("bitcoin", "BTC", (), ("btc", "ordinals")),
    Chain("near", "NEAR"),
    Chain("aptos", "APT"),
    Chain("sui", "SUI"),
    Chain("cardano", "ADA", (), ("ada",)),
    Chain("stacks", "STX"),
    Chain("ton", "TON"),
    Chain("eos", "EOS"),
    Chain("simulated", "ETH"),  # the chain of the simulator's market
)

CHAIN_BY_SPELLING: dict[str, str] = {spelling: c.name for c in CHAINS for spelling in c.spellings}
"""Every known spelling, lower case and words joined by "-" → name."""

EVM_CHAINS: tuple[str, ...] = tuple(c.name for c in CHAINS if c.is_evm)
"""Chains on which a token id is a number."""

COIN_OF: dict[str, str] = {c.name: c.coin for c in CHAINS}
"""Chain → symbol of its own coin."""
