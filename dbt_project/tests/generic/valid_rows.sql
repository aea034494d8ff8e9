{#
    Rows that break a rule about single rows, or share a key. One test for all rules of a model, so that it is read once.

    key: columns that name a row: given, and once. required: columns that are given. allowed: column to its values.
    positive: numbers above zero where given (a missing price is null, never 0). between: column to two bounds.
#}
{% test valid_rows(model, key=[], required=[], allowed={}, positive=[], between={}) %}
{%- set rules = [] -%}
{%- for column in key + required -%}
    {%- do rules.append((column ~ " is null", column ~ " is null")) -%}
{%- endfor -%}
{%- for column, values in allowed.items() -%}
    {%- set listed = [] -%}
    {%- for value in values -%}{%- do listed.append("'" ~ value ~ "'" if value is string else value) -%}{%- endfor -%}
    {%- do rules.append((column ~ " not in (" ~ listed | join(", ") ~ ")", column ~ " is another value")) -%}
{%- endfor -%}
{%- for column in positive -%}
    {%- do rules.append((column ~ " <= 0", column ~ " is not above zero")) -%}
{%- endfor -%}
{%- for column, bounds in between.items() -%}
    {%- do rules.append((column ~ " not between " ~ bounds[0] ~ " and " ~ bounds[1], column ~ " is out of bounds")) -%}
{%- endfor -%}
{%- set shown = key or (required + allowed.keys() | list + positive + between.keys() | list) -%}
{%- if rules %}
select
    {{ shown | unique | join(", ") }},
    case
        {%- for condition, meaning in rules %}
        when {{ condition }} then '{{ meaning }}'
        {%- endfor %}
    end as broken_rule
from {{ model }}
where {{ rules | map("first") | join(" or ") }}
{% endif -%}
{%- if key %}
union all
select
    {{ key | join(", ") }},
    'several rows with this key' as broken_rule
from {{ model }}
group by {{ key | join(", ") }}
having count(*) > 1
{% endif -%}
{% endtest %}
