{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=in_dirty_tail("replaced"),
    )
}}

with sales as (
    select * from {{ ref("stg_sales") }}
),

rates as (
    select * from {{ ref("stg_exchange_rates") }}
),

ether_rates as (
    {{ rates_of_ether() }}
),

bids as (
    select * from {{ ref("stg_listings") }}
    where side = 'bid' and event_kind <> 'filled' and token_id is not null
),

{% if is_incremental() %}
tail as (
    select * from sales
    where {{ in_dirty_tail("sales") }}
),

tail_transactions as (
    select distinct
        chain,
        tx_hash
    from tail
    where has_tx_hash
),

tail_tokens as (
    select distinct
        collection,
        token_id
    from tail
),

-- what a row is compared with: its transaction, and the other sales of its token
compared as (
    select sales.* from sales
    where
        (sales.chain, sales.tx_hash) in (from tail_transactions)
        or (sales.collection, sales.token_id) in (from tail_tokens)
),
{% else %}
compared as (
    select * from sales
),
{% endif %}

-- an accepted bid that was logged with price zero sold at the live bid (docs/domain.md, section 1)
unpriced as (
    select
        sale_id,
        delivered_by,
        source_row,
        collection,
        token_id,
        event_time,
        known_at
    from compared
    where price_native = 0
),

accepted_bids as (
    select
        unpriced.sale_id,
        unpriced.delivered_by,
        unpriced.source_row,
        any_value(bids.price_native) as price_native,
        any_value(bids.currency) as currency
    from unpriced
    asof inner join bids
        on
            unpriced.collection = bids.collection
            and unpriced.token_id = bids.token_id
            and unpriced.known_at > bids.known_at
    where
        bids.event_kind = 'created'
        and bids.price_native > 0
        and bids.event_time < unpriced.event_time
        and coalesce(bids.valid_until > unpriced.event_time, true)
    group by all
),

priced_in_currency as (
    select
        compared.* exclude (price_native, currency),
        coalesce(accepted_bids.price_native, compared.price_native) as price_native,
        coalesce(accepted_bids.currency, compared.currency) as currency
    from compared
    left join accepted_bids
        on
            compared.sale_id = accepted_bids.sale_id
            and compared.delivered_by is not distinct from accepted_bids.delivered_by
            and compared.source_row = accepted_bids.source_row
),

-- the rates that were known when the sale happened
{{ with_known_rates("priced_in_currency") }},

in_ether as (
    select
        *,
        case
            when {{ is_eth("currency") }} then price_native
            else price_native * currency_usd / nullif(ether_usd, 0)
        end as price_eth,
        case
            when {{ is_eth("currency") }} then price_native * ether_usd
            else price_native * currency_usd
        end as price_usd,
        not is_superseded and price_native > 0 as is_report
    from with_rates
),

-- A row is classified only by rows known no later than itself, and by those of a preferred source; a report that
-- arrives from one classifies earlier ones again (mark_changes). Most transactions hold one row and need no comparison.
shared_transactions as (
    select
        chain,
        tx_hash
    from in_ether
    group by all
    having count(*) > 1
),

single_rows as (
    select
        in_ether.*,
        1 as report_number,
        {{ reporter("in_ether") }} as first_reporter,
        1 as tokens_in_tx
    from in_ether
    anti join shared_transactions using (chain, tx_hash)
),

rows_of_shared_transactions as (
    select
        in_ether.*,
        row_number() over (
            partition by
                in_ether.sale_id, in_ether.is_superseded
            order by
                in_ether.priority, in_ether.known_at, in_ether.time_uncertainty_s, in_ether.source, in_ether.source_row
        ) as report_number,
        first_value({{ reporter("in_ether") }}) over (
            partition by
                in_ether.chain, in_ether.tx_hash, in_ether.collection, in_ether.token_id, in_ether.is_report
            order by
                in_ether.priority, in_ether.known_at, in_ether.time_uncertainty_s, in_ether.source, in_ether.source_row
        ) as first_reporter,
        row_number() over (
            partition by
                in_ether.chain, in_ether.tx_hash, in_ether.collection, in_ether.token_id, in_ether.is_superseded
            order by in_ether.known_at
        ) = 1 and not in_ether.is_superseded as is_new_token
    from in_ether
    semi join shared_transactions using (chain, tx_hash)
),

counted as (
    select
        rows_of_shared_transactions.* exclude (is_new_token),
        sum(rows_of_shared_transactions.is_new_token::integer) over (
            partition by rows_of_shared_transactions.chain, rows_of_shared_transactions.tx_hash
            order by rows_of_shared_transactions.known_at
            range between unbounded preceding and current row
        )::integer as tokens_in_tx
    from rows_of_shared_transactions
),

with_context as (
    select * from single_rows
    union all by name
    select * from counted
),

-- Without a transaction hash two sources, or two files of one, report the same sale if token, price, parties and time
-- agree.
with_reporter as (
    select
        *,
        {{ reporter("with_context") }}
        || ' '
        || coalesce(regexp_extract(source_row, '^(.*):[^:]*$', 1), '') as reporter
    from with_context
),

tokens_reported_twice as (
    select
        collection,
        token_id
    from with_reporter
    where is_report
    group by all
    having min(reporter) <> max(reporter) and not bool_and(has_tx_hash)
),

reported_twice as (
    select with_reporter.*
    from with_reporter
    semi join tokens_reported_twice using (collection, token_id)
    where with_reporter.is_report
),

reported_by_other_source as (
    select distinct
        later.sale_id,
        later.delivered_by,
        later.source,
        later.source_row
    from reported_twice as later
    inner join reported_twice as earlier
        on
            later.collection = earlier.collection
            and later.token_id = earlier.token_id
            and later.reporter <> earlier.reporter
            and (earlier.priority, earlier.known_at, earlier.time_uncertainty_s, earlier.reporter)
            < (later.priority, later.known_at, later.time_uncertainty_s, later.reporter)
            and coalesce(later.buyer = earlier.buyer, true)
            and coalesce(later.seller = earlier.seller, true)
            and abs(later.price_eth - earlier.price_eth)
            <= {{ var("same_price_tolerance") }} * greatest(later.price_eth, earlier.price_eth)
            and abs(epoch(later.event_time) - epoch(earlier.event_time))
            <= later.time_uncertainty_s + earlier.time_uncertainty_s
    where not (later.has_tx_hash and earlier.has_tx_hash)
),

classified as (
    select
        with_context.*,
        case
            when with_context.is_superseded then 'superseded'
            when with_context.report_number > 1 then 'duplicate'
            when with_context.price_native is null then 'missing_price'
            when with_context.price_native = 0 then 'zero_price'
            when with_context.price_eth is null then 'no_rate'
            when {{ reporter("with_context") }} <> with_context.first_reporter then 'duplicate_other_source'
            when reported_by_other_source.sale_id is not null then 'duplicate_other_source'
            when with_context.sale_type = 'primary' then 'primary_sale'
            when with_context.is_bundle_share then 'bundle'
        end as exclusion_reason
    from with_context
    left join reported_by_other_source
        on
            with_context.sale_id = reported_by_other_source.sale_id
            and with_context.delivered_by is not distinct from reported_by_other_source.delivered_by
            and with_context.source = reported_by_other_source.source
            and with_context.source_row = reported_by_other_source.source_row
),

final as (
    select
        sale_id,
        exclusion_reason,
        chain,
        collection,
        contract,
        token_id,
        tx_hash,
        log_index,
        sub_index,
        event_time,
        time_uncertainty_s,
        as_of,
        known_at,
        price_native,
        currency,
        price_eth,
        price_usd,
        quantity,
        greatest(coalesce(declared_n_in_tx, 1), tokens_in_tx)::bigint as n_in_tx,
        sale_type,
        marketplace,
        buyer,
        seller,
        delivered_by,
        source,
        source_row
    from classified
    {% if is_incremental() -%}
    where {{ in_dirty_tail("classified") }}
    {%- endif %}
)

select * from final
