{# As many rows per collection as another model has under a condition. #}
{% test same_rows(model, model_of, condition) %}
with here as (
    select
        collection,
        count(*) as n
    from {{ model }}
    group by collection
),

there as (
    select
        collection,
        count(*) as n
    from {{ model_of }}
    where {{ condition }}
    group by collection
)

select
    coalesce(here.collection, there.collection) as collection,
    here.n as found,
    there.n as expected
from here
full outer join there on here.collection = there.collection
where here.n is distinct from there.n
{% endtest %}
