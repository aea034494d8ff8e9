{# The order in which sales became known. While data arrive in this order, new rows are added at its end only. #}
{% macro known_order() -%}
    known_at, event_time, tx_hash, log_index, sub_index, sale_id
{%- endmacro %}
