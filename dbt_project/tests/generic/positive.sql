{# A number is above zero where it is given: a missing price is null, never 0. #}
{% test positive(model, column) %}
select *
from {{ model }}
where {{ column }} <= 0
{% endtest %}
