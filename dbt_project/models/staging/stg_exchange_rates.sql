with source as (
    {{ by_source("exchange_rates") }}
    where rate > 0
),

-- one rate per symbol and known_at: of the preferred source, then of the finer series
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
        order by priority asc, granularity = 'hour' desc, event_time desc, source asc, rate asc
    ) = 1
)

select * from final
