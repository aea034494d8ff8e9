with source as (
    select * from {{ source("raw", "exchange_rates") }}
    where rate > 0
),

-- one rate per symbol and known_at; the finer series wins, then the first source by name
final as (
    select
        symbol,
        known_at,
        rate as rate_usd,
        granularity,
        event_time,
        source
    from source
    qualify row_number() over (
        partition by symbol, known_at
        order by granularity = 'hour' desc, event_time desc, source asc, rate asc
    ) = 1
)

select * from final
