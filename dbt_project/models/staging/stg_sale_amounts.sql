with source as (
    select * from {{ source("raw", "sales") }}
),

-- what a sale cost beyond the price that the marts compute with
final as (
    select
        chain,
        {{ transaction_of("source") }} as tx_hash,
        delivered_by,
        source,
        source_row,
        -- by way of hugeint: DuckDB casts text of 18 digits to decimal 300 times slower
        try_cast(try_cast(price_raw as hugeint) as decimal(38, 0)) as price_base_units,
        decimals,
        fee_native,
        royalty_native,
        buyer_fee_native,
        case
            when side = 'bid_accepted' then 'seller'
            when side = 'listing_filled' or sale_type = 'primary' then 'buyer'
        end as sender,
        case when superseded_by is null then {{ gas_wei("source") }} end as gas_wei,
        lower(gas_payer) as gas_payer
    from source
)

select * from final
