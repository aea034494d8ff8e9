{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=is_dirty_position("replaced"),
        bytes_a_row=1500,
    )
}}

with wrapped as (
    select * from {{ ref("int_wrapped_tokens") }}
),

transfers as (
    select * from {{ ref("stg_transfers") }}
    where {{ in_scope("stg_transfers") }}
),

reports as (
    select
        * exclude (tx_hash),
        {{ transaction_of("transfers") }} as tx_hash,
        not starts_with(tx_hash, 'row:') as has_tx_hash,
        {{ reporter("transfers") }} as reporter
    from transfers
),

-- of a token's part of a transaction, the report of the preferred source, or of the one that knew it first
first_reports as (
    select *
    from reports
    qualify
        first_value(reporter) over (
            partition by chain, collection, token_id, tx_hash
            order by priority, known_at, time_uncertainty_s, source, source_row
        ) = reporter
        and row_number() over (
            partition by chain, collection, token_id, tx_hash, log_index, sub_index
            order by priority, known_at, time_uncertainty_s, source, source_row
        ) = 1
),

-- without a transaction hash two sources report the same transfer if token, units, parties and time agree
tokens_reported_twice as (
    select
        collection,
        token_id
    from first_reports
    group by all
    having min(reporter) <> max(reporter) and not bool_and(has_tx_hash)
),

reported_twice as (
    select first_reports.*
    from first_reports
    semi join tokens_reported_twice using (collection, token_id)
),

reported_by_other_source as (
    select distinct
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
            and later.quantity = earlier.quantity
            and coalesce(later.from_address = earlier.from_address, true)
            and coalesce(later.to_address = earlier.to_address, true)
            and abs(epoch(later.event_time) - epoch(earlier.event_time))
            <= later.time_uncertainty_s + earlier.time_uncertainty_s
    where not (later.has_tx_hash and earlier.has_tx_hash)
),

final as (
    select
        t.chain,
        coalesce(wrapped.wrapped_collection, t.collection) as collection,
        t.token_id,
        t.tx_hash,
        t.log_index,
        t.sub_index,
        t.event_time,
        t.time_uncertainty_s,
        t.known_at,
        -- the wrapper gives a wrapped token for the one it takes
        case
            when t.from_address = {{ zero_address() }} and wrapped.wrapper is not null then wrapped.wrapper
            else coalesce(t.from_address, '')
        end as from_wallet,
        case
            when {{ is_burn("t.to_address") }} and wrapped.wrapper is not null then wrapped.wrapper
            when {{ is_burn("t.to_address") }} then {{ zero_address() }}
            else coalesce(t.to_address, '')
        end as to_wallet,
        t.quantity
    from first_reports as t
    left join wrapped on t.collection = wrapped.collection and t.token_id = wrapped.token_id
    anti join reported_by_other_source as other
        on
            t.delivered_by is not distinct from other.delivered_by
            and t.source = other.source
            and t.source_row = other.source_row
    where t.quantity > 0
)

select * from final
