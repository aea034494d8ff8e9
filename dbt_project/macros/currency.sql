{# Whether a currency symbol is ether under one of its names. #}
{% macro is_eth(symbol) -%}
    {{ symbol }} in ({% for name in var("eth_equivalents") %}'{{ name }}'{{ ", " if not loop.last }}{% endfor %})
{%- endmacro %}


{#
    The rate of an ASOF-joined `int_rates` row, or null when it is too old to mean anything at `at`.
#}
{% macro fresh_rate(rate, at) -%}
    case
        when {{ at }} - {{ rate }}.known_at <= interval ({{ var("max_rate_age_days") }}) day
            then {{ rate }}.rate_usd
    end
{%- endmacro %}
