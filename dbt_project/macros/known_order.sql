{# The order in which we learnt about sales. It only ever grows at its end while data arrive in known order. #}
{% macro known_order() -%}
    known_at, event_time, tx_hash, log_index, sub_index, sale_id
{%- endmacro %}
