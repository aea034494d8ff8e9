{# Positions of a collection's arm's-length sales are 1 to n without gaps, in the order they became known. #}
{% test known_order_positions(model) %}
with ordered as (
    select
        collection,
        seq,
        known_at,
        lag(known_at) over (partition by collection order by seq) as previous_known_at
    from {{ model }}
    where is_arms_length
)

select
    collection,
    count(*) as sales,
    max(seq) as last_position
from ordered
group by collection
having count(*) <> max(seq) or count(distinct seq) <> max(seq) or bool_or(known_at < previous_known_at)
{% endtest %}
