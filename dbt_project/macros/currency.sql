{# Whether a currency symbol is ether under one of its names. #}
{% macro is_eth(symbol) -%}
    {{ symbol }} in ({% for name in var("eth_equivalents") %}'{{ name }}'{{ ", " if not loop.last }}{% endfor %})
{%- endmacro %}


{#
    The rates of ether among `rates`: its own, or where there are none those of wrapped ether, which is the same.
#}
{% macro rates_of_ether() -%}
    select * from rates
    where
        symbol = 'ETH'
        or ({{ is_eth("symbol") }} and not exists (select 1 from rates where symbol = 'ETH'))
    qualify row_number() over (partition by known_at order by symbol) = 1
{%- endmacro %}


{#
    The rate of an ASOF-joined `int_rates` row, or null when it is too old to be used at `at`.
#}
{% macro fresh_rate(rate, at) -%}
    case
        when {{ at }} - {{ rate }}.known_at <= interval ({{ var("max_rate_age_days") }}) day
            then {{ rate }}.rate_usd
    end
{%- endmacro %}


{#
    Two CTEs, the last one `with_rates`: the relation with `ether_usd` and `currency_usd` as they were known at its
    event_time. Reads the CTEs `rates` and `ether_rates` of the model.
#}
{% macro with_known_rates(relation) -%}
with_ether_rate as (
    select
        {{ relation }}.*,
        {{ fresh_rate("ether", relation ~ ".event_time") }} as ether_usd
    from {{ relation }}
    asof left join ether_rates as ether
        on {{ relation }}.event_time >= ether.known_at
),

with_rates as (
    select
        with_ether_rate.*,
        case
            when with_ether_rate.currency = 'USD' then 1.0
            else {{ fresh_rate("rates", "with_ether_rate.event_time") }}
        end as currency_usd
    from with_ether_rate
    asof left join rates
        on with_ether_rate.currency = rates.symbol and with_ether_rate.event_time >= rates.known_at
)
{%- endmacro %}
