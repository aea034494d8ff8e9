{# Every token with known traits has exactly one value of every trait. #}
{% test shares_add_up(model) %}
select
    collection,
    type_code,
    sum(share) as total
from {{ model }}
group by collection, type_code
having abs(sum(share) - 1) > 1e-9
{% endtest %}
