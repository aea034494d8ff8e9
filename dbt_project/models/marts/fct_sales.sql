{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=in_dirty_tail("replaced"),
    )
}}

with classified as (
    select * from {{ ref("int_sales_classified") }}
    where exclusion_reason is null
),

{% if is_incremental() %}
tail_tokens as (
    select distinct
        collection,
        token_id
    from classified
    where {{ in_dirty_tail("classified") }}
),

-- the whole past of every token that is classified again
sales as (
    select classified.*
    from classified
    semi join tail_tokens using (collection, token_id)
),

tail_pairs as (  -- noqa: ST03
    select distinct
        collection,
        least(buyer, seller) as one,
        greatest(buyer, seller) as other
    from classified
    where {{ in_dirty_tail("classified") }}
),

-- the last acceptable sales before the tail, which its first outliers are measured against
context as (  -- noqa: ST03
    select
        sale_id,
        collection,
        tx_hash,
        log_index,
        sub_index,
        event_time,
        known_at,
        price_eth
    from {{ this }} as past
    where
        {{ in_dirty_collection("past") }}
        and not {{ in_dirty_tail("past") }}
        and {{ was_acceptable("past") }}
    qualify row_number() over (
        partition by collection
        order by
            known_at desc, event_time desc, tx_hash desc, log_index desc, sub_index desc, sale_id desc
    ) <= 50
),

-- the last sales before the tail between wallets that the market knows, which its first prices are compared with
context_of_known as (  -- noqa: ST03
    select
        {{ columns_of_known() }}
    from {{ this }} as past
    where
        {{ in_dirty_collection("past") }}
        and not {{ in_dirty_tail("past") }}
        and {{ was_acceptable("past") }}
        and {{ is_known_wallet("past.buyer_contacts") }}
        and {{ is_known_wallet("past.seller_contacts") }}
    qualify row_number() over (
        partition by collection
        order by
            known_at desc, event_time desc, tx_hash desc, log_index desc, sub_index desc, sale_id desc
    ) <= {{ var("known_wallet_sales") }}
),

tail_wallets as (  -- noqa: ST03
    select buyer as wallet
    from classified
    where {{ in_dirty_tail("classified") }}
    union
    select seller as wallet
    from classified
    where {{ in_dirty_tail("classified") }}
),

last_positions as (  -- noqa: ST03
    select
        past.collection,
        max(past.seq) as seq
    from {{ this }} as past
    where {{ in_dirty_collection("past") }} and not {{ in_dirty_tail("past") }}
    group by past.collection
),
{% else %}
sales as (
    select * from classified
),
{% endif %}

{% if doubts_new_wallets() -%}
{{ contacts_of_wallets("tail_wallets" if is_incremental() else none) }},

{% endif -%}
-- trades of the same two wallets before, any token of the collection
pair_past as (
    select
        sale_id,
        count(*) over (
            partition by collection, least(buyer, seller), greatest(buyer, seller)
            order by {{ known_order() }}
            rows between unbounded preceding and 1 preceding
        ) as pair_trades
    from classified
    where
        buyer <> seller
        and {{
            "(collection, least(buyer, seller), greatest(buyer, seller)) in (from tail_pairs)"
            if is_incremental() else "true"
        }}
),

-- wash rules use the past only (docs/domain.md, section 1)
with_past as (
    select
        *,
        list(seller) over (
            partition by collection, token_id
            order by {{ known_order() }}
            rows between unbounded preceding and 1 preceding
        ) as former_owners,
        buyer = seller as is_self_trade,
        count(*) filter (where buyer < seller) over pair_before as sold_up,
        count(*) filter (where buyer > seller) over pair_before as sold_down,
        count(buyer) over (
            partition by collection, token_id, buyer
            order by {{ known_order() }}
            rows between unbounded preceding and current row
        ) as times_bought,
        count(seller) over (
            partition by collection, token_id, seller
            order by {{ known_order() }}
            rows between unbounded preceding and current row
        ) as times_sold
    from sales
    window pair_before as (
        partition by collection, token_id, least(buyer, seller), greatest(buyer, seller)
        order by {{ known_order() }}
        rows between unbounded preceding and 1 preceding
    )
),

with_rules as (
    select
        *,
        array_to_string(
            list_filter(
                [
                    case when is_self_trade then 'self_trade' end,
                    case
                        when buyer < seller and sold_down > 0 then 'traded_back'
                        when buyer > seller and sold_up > 0 then 'traded_back'
                    end,
                    case when times_bought >= {{ var("wash_same_token_trades") }} then 'bought_repeatedly' end,
                    case when times_sold >= {{ var("wash_same_token_trades") }} then 'sold_repeatedly' end,
                    case when not is_self_trade and list_contains(former_owners, buyer) then 'bought_back' end
                ],
                lambda rule: rule is not null
            ),
            ','
        ) as wash_rules
    from with_past
    {% if is_incremental() -%}
    where {{ in_dirty_tail("with_past") }}
    {%- endif %}
),

-- a wallet that nobody names is not doubted: its number stays null
with_contacts as (
    {% if doubts_new_wallets() -%}
    select
        with_rules.*,
        case when with_rules.buyer is not null then coalesce(buyers.met, 0) end as buyer_contacts,
        case when with_rules.seller is not null then coalesce(sellers.met, 0) end as seller_contacts
    from with_rules
    asof left join contacts as buyers
        on with_rules.buyer = buyers.wallet and {{ long_before("with_rules.known_at") }} > buyers.known_at
    asof left join contacts as sellers
        on with_rules.seller = sellers.wallet and {{ long_before("with_rules.known_at") }} > sellers.known_at
    {%- else -%}
    select
        *,
        null::bigint as buyer_contacts,
        null::bigint as seller_contacts
    from with_rules
    {%- endif %}
),

washed as (
    select
        *,
        wash_rules <> '' as is_wash,
        wash_rules = ''
        and n_in_tx = 1
        and quantity = 1
        and price_eth >= {{ var("least_price_eth") }} as is_acceptable
    from with_contacts
),

acceptable as (
    select
        sale_id,
        collection,
        tx_hash,
        log_index,
        sub_index,
        event_time,
        known_at,
        price_eth
    from washed
    where is_acceptable
    {% if is_incremental() -%}
    union all
    select * from context
    {%- endif %}
),

-- Not recursive: a flagged price still counts in the percentiles of the next, or a crash would flag everything after it.
-- The median is compared, too, because six dust sales in one hour move the 10th percentile down to dust.
floors as (
    select
        sale_id,
        quantile_cont(price_eth, 0.1) over previous_50 as p10,
        quantile_cont(price_eth, 0.5) over previous_50 as p50,
        quantile_cont(price_eth, 0.9) over previous_50 as p90,
        count(*) over previous_50 as sales_before
    from acceptable
    window previous_50 as (
        partition by collection
        order by {{ known_order() }}
        rows between 50 preceding and 1 preceding
    )
),

{% if doubts_new_wallets() -%}
{{ new_wallet_prints("washed", "context_of_known" if is_incremental() else none) }},
{%- else -%}
new_wallet_prints as (
    select sale_id from washed
    where false
),
{%- endif %}

with_outliers as (
    select
        washed.*,
        new_wallet_prints.sale_id is not null as is_new_wallet_print,
        coalesce(
            floors.sales_before >= {{ var("low_outlier_min_sales") }}
            and washed.price_eth < greatest(
                floors.p10 * {{ var("low_outlier_share") }}, floors.p50 * {{ var("low_outlier_median_share") }}
            ),
            false
        ) as is_low_outlier,
        -- Honest pairs trade repeatedly, too. The sign of a manipulated price is its distance from the median, which a
        -- few such prices do not move, in units of the narrower side of the spread, which they cannot widen alone.
        coalesce(
            washed.is_acceptable
            and pair_past.pair_trades >= {{ var("wash_pair_trades") }}
            and floors.sales_before >= {{ var("low_outlier_min_sales") }}
            and abs(ln(washed.price_eth / floors.p50)) > greatest(
                ln({{ var("wash_pair_price_ratio") }}),
                {{ var("wash_pair_spreads") }} * least(ln(floors.p50 / floors.p10), ln(floors.p90 / floors.p50))
            ),
            false
        ) as is_pair_print
    from washed
    left join floors on washed.sale_id = floors.sale_id
    left join pair_past on washed.sale_id = pair_past.sale_id
    left join new_wallet_prints on washed.sale_id = new_wallet_prints.sale_id
),

positions as (
    select
        with_outliers.sale_id,
        row_number() over (
            partition by with_outliers.collection
            order by {{ known_order() }}
        ) {%- if is_incremental() %} + coalesce(last_positions.seq, 0) {%- endif %} as seq
    from with_outliers
    {% if is_incremental() -%}
    left join last_positions on with_outliers.collection = last_positions.collection
    {%- endif %}
    where
        with_outliers.is_acceptable
        and not with_outliers.is_low_outlier
        and not with_outliers.is_pair_print
        and not with_outliers.is_new_wallet_print
),

final as (
    select
        with_outliers.sale_id,
        with_outliers.chain,
        with_outliers.collection,
        with_outliers.token_id,
        with_outliers.tx_hash,
        with_outliers.log_index,
        with_outliers.sub_index,
        with_outliers.event_time,
        with_outliers.time_uncertainty_s,
        with_outliers.as_of,
        with_outliers.known_at,
        positions.seq,
        with_outliers.price_native,
        with_outliers.currency,
        with_outliers.price_eth,
        with_outliers.price_usd,
        with_outliers.buyer,
        with_outliers.seller,
        with_outliers.marketplace,
        with_outliers.n_in_tx,
        with_outliers.buyer_contacts,
        with_outliers.seller_contacts,
        with_outliers.is_wash or with_outliers.is_pair_print or with_outliers.is_new_wallet_print as is_wash,
        case
            when with_outliers.is_pair_print then 'repeated_pair'
            when with_outliers.is_new_wallet_print then 'new_wallet'
            else nullif(with_outliers.wash_rules, '')
        end as wash_rules,
        with_outliers.is_low_outlier,
        positions.seq is not null as is_arms_length,
        with_outliers.delivered_by,
        with_outliers.source
    from with_outliers
    left join positions on with_outliers.sale_id = positions.sale_id
)

select * from final
-- one collection is read in a quarter of the time where its rows lie together
order by collection, known_at, sale_id
