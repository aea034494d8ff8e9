"""What the present owner has paid and taken before: SQL for ``query``.

What is here: the supplier ``dealings``, states of a wallet in a collection. What is not: who owns a token (a column
``owner`` of the spine: the seller of a past sale, the holder of a token that is valued now).

The concept. Some wallets sell below the market and some above it, some buy only bargains. The surprise of a wallet's
past sales and purchases in the collection, shrunk by three without one, carries over to its next sale
(docs/domain.md, section 5.2).
"""

from ml.features.trait_residuals import SURPRISE_CLIP

#: Deals without surprise that a wallet's mean is shrunk by.
OWNER_SHRINK_DEALS = 3

OWNER_SUPPLIERS = f"""
deals as (
    select
        index_rows.collection, index_rows.seq, index_rows.known_at,
        greatest(-{SURPRISE_CLIP}, least({SURPRISE_CLIP}, coalesce(innovation_a, 0))) as surprise,
        unnest([seller, buyer]) as wallet, unnest([true, false]) as sold
    from index_rows
    inner join scoped_sales using (sale_id)
),
dealings as (
    select
        collection, wallet, seq,
        coalesce(sum(surprise) filter (sold) over so_far, 0) as sold_surprise,
        count(*) filter (sold) over so_far as sold,
        coalesce(sum(surprise) filter (not sold) over so_far, 0) as bought_surprise,
        count(*) filter (not sold) over so_far as bought,
        max(known_at) filter (not sold) over so_far as bought_at
    from deals
    where wallet is not null
    window so_far as (partition by collection, wallet order by seq)
)
"""
