{# A number lies between two bounds where it is given. #}
{% test range(model, column, low, high) %}
select *
from {{ model }}
where {{ column }} not between {{ low }} and {{ high }}
{% endtest %}
