{#
    How models of moves and lots build everything within memory: in parts.

    What they compute for a token depends on that token alone. So when there are more rows than memory holds at once
    (ASSAY_LAKE_ROWS_AT_ONCE, from the memory limit), a build of everything computes one part of the tokens after the
    other, all in one transaction. A part is chosen by the number of the token: a wrapped token and the token in its
    wrapper have the same number, and one collection with millions of tokens is divided, too.

    A model that can do so has `in_parts=true` in its config and reads its inputs `where in_scope(...)`.
#}

{# The tokens a model computes at once: those that changed, those of a part, or all. #}
{% macro in_scope(alias) -%}
    {%- if is_incremental() -%}
        {{ is_dirty_position(alias) }}
    {%- elif number_of_parts() > 1 -%}
        hash({{ alias }}.token_id) % {{ number_of_parts() }} = getvariable('part')
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}


{# Whether a model computes some of the tokens only. #}
{% macro is_scoped() -%}
    {{ return(is_incremental() or number_of_parts() > 1) }}
{%- endmacro %}


{# In how many parts a build of everything computes what it computes for each token. #}
{% macro number_of_parts() %}
    {%- if not execute -%}{{ return(1) }}{%- endif -%}
    {%- if "number_of_parts" not in graph -%}
        {%- set rows_at_once = env_var("ASSAY_LAKE_ROWS_AT_ONCE", "0") | int -%}
        {%- set parts = 1 -%}
        {%- if rows_at_once > 0 -%}
            {%- set question -%}
                select (select count(*) from {{ source("raw", "sales") }})
                    + (select count(*) from {{ source("raw", "transfers") }})
            {%- endset -%}
            {%- set parts = run_query(question).columns[0].values()[0] // rows_at_once + 1 -%}
        {%- endif -%}
        {%- do graph.update({"number_of_parts": parts | int}) -%}
    {%- endif -%}
    {{ return(graph["number_of_parts"]) }}
{% endmacro %}


{# The statements that fill a model's table part by part. #}
{% macro build_in_parts(existing, target_relation, query) -%}
    {% if existing is none -%}
    create table {{ target_relation }} as select * from ({{ query }}) as nothing limit 0;
    {% else -%}
    delete from {{ target_relation }};
    {% endif -%}
    {% for part in range(number_of_parts()) -%}
    set variable part = {{ part }};
    insert into {{ target_relation }} by name
    {{ query }};
    {% endfor -%}
    reset variable part
{%- endmacro %}
