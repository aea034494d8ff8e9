"""The traits of a collection's tokens as a matrix, and what two tokens share.

Here: reading codes, weights and names of traits, and the similarity kernel of the index. Not here: prices.

Concept: the index calls two tokens similar by the information of the trait values they share: with w = √(−ln share of
the value), similarity is Σ w over shared values / √(W₁ W₂), W the sum of a token's weights. 1 is the same traits, 0
none in common. `ml.index.chunks` and `ml.index.factor.trait_similarity` are the same formula, compiled.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from ml.index.params import IndexParams
from ml.models.traits import read_trait_types

Float = npt.NDArray[np.float64]

TRAIT_COUNT = "trait_count"
"""The type that marts.dim_tokens adds last: how many traits a token has."""


@dataclass(frozen=True)
class TokenTraits:
    """Traits of all tokens of a collection, sorted by token id.

    Attributes:
        token_id: Arrow strings, length n.
        codes: Trait codes, shape (n, types), -1 for a token without traits.
        weights: Weight of each trait, shape (n, types), 0 where unknown.
        values: Trait values as text, shape (n, types); "" where unknown.
        types: Names of the types.
        rarity_pct: 0 common … 1 rarest, NaN without traits, shape (n,).
    """

    token_id: pa.Array
    codes: npt.NDArray[np.int64]
    weights: Float
    values: npt.NDArray[np.object_]
    types: list[str]
    rarity_pct: Float

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def has_traits(self) -> npt.NDArray[np.bool_]:
        """Which tokens have traits."""
        return np.asarray((self.weights > 0).any(axis=1), np.bool_)

    @property
    def scale(self) -> Float:
        """1 / √W of each token, 0 without traits."""
        total = self.weights.sum(axis=1)
        return np.where(total > 0, 1.0 / np.sqrt(np.where(total > 0, total, 1.0)), 0.0)

    def positions(self, token_ids: pa.Array) -> npt.NDArray[np.int64]:
        """Where each id stands among the tokens."""
        return np.asarray(pc.index_in(token_ids, self.token_id).to_numpy(zero_copy_only=False), np.int64)

    def subset(self, rows: npt.NDArray[np.int64]) -> TokenTraits:
        """The same for some of the tokens, in that order."""
        return TokenTraits(
            self.token_id.take(pa.array(rows)),
            self.codes[rows],
            self.weights[rows],
            self.values[rows],
            self.types,
            self.rarity_pct[rows],
        )

    def labels(self, type_number: int) -> list[str]:
        """`Type: value` of one type for every token, "" where unknown."""
        name = self.types[type_number]
        column = self.values[:, type_number]
        if name == TRAIT_COUNT:
            return [f"Number of traits: {value}" if value else "" for value in column]
        return [f"{name}: {value}" if value else "" for value in column]

    def one_hot(self) -> sparse.csr_matrix:
        """√w · 1/√W at each trait value: the product of two rows is their similarity, shape (n, values)."""
        rows, columns = np.nonzero(self.weights > 0)
        _, code = np.unique(self.codes[rows, columns], return_inverse=True)
        entries = np.sqrt(self.weights[rows, columns]) * self.scale[rows]
        shape = (len(self), int(code.max(initial=-1)) + 1)
        return sparse.csr_matrix((entries, (rows, code)), shape=shape)


def read_traits(con: duckdb.DuckDBPyConnection, collection: str, params: IndexParams) -> TokenTraits:
    """Traits of all tokens of a collection.

    Args:
        con: Connection with marts.dim_tokens and marts.dim_trait_values.
        collection: Whose tokens.
        params: Parameters of the index: the least information of a trait value.
    """
    table = con.execute(
        """
        select token_id, trait_codes, trait_information, trait_values, rarity_pct
        from marts.dim_tokens where collection = $1 order by token_id
        """,
        [collection],
    ).to_arrow_table()
    count = table.num_rows
    codes_list = table["trait_codes"].combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(codes_list), 0).to_numpy(zero_copy_only=False)
    width = int(lengths.max(initial=0))
    has_traits = lengths == width if width else np.zeros(count, bool)
    codes = np.full((count, width), -1, np.int64)
    weights = np.zeros((count, width))
    values = np.full((count, width), "", dtype=object)
    if has_traits.any():
        keep = table.filter(pa.array(has_traits))
        shape = (int(has_traits.sum()), width)
        codes[has_traits] = pc.list_flatten(keep["trait_codes"]).to_numpy().reshape(shape)
        information = pc.list_flatten(keep["trait_information"]).to_numpy().reshape(shape)
        weights[has_traits] = np.sqrt(np.maximum(information, params.min_information))
        names = pc.fill_null(pc.list_flatten(keep["trait_values"]).cast(pa.string()), "none")
        values[has_traits] = names.to_numpy(zero_copy_only=False).reshape(shape)
    rarity = table["rarity_pct"].cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return TokenTraits(
        table["token_id"].combine_chunks(), codes, weights, values, _types(con, collection, width), rarity
    )


def _types(con: duckdb.DuckDBPyConnection, collection: str, width: int) -> list[str]:
    """Names of the trait types in the order of the lists: by name, the trait count last."""
    found = read_trait_types(con, [collection]).get(collection, ())
    return list(found) if len(found) == width else [f"trait {number + 1}" for number in range(width)]
