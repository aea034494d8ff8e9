{{
    config(
        materialized="incremental",
        incremental_strategy="replace_scope",
        replaces=is_dirty_position("replaced"),
    )
}}

with wrapped as (
    select * from {{ ref("int_wrapped_tokens") }}
),

transfers as (
    select * from {{ ref("stg_transfers") }}
    {% if is_incremental() -%}
    where {{ is_dirty_position("stg_transfers") }}
    {%- endif %}
),

-- one report of each transfer: that of the source which knew the token's part of the transaction first
first_reports as (
    select *
    from transfers
    qualify
        first_value(source) over (
            partition by chain, collection, token_id, tx_hash
            order by known_at, source, source_row
        ) = source
        and row_number() over (
            partition by chain, collection, token_id, tx_hash, log_index, sub_index
            order by known_at, source, source_row
        ) = 1
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
    where t.quantity > 0
)

select * from final
