{#
    How models of tokens are built within memory: in parts.

    What moves and lots compute for a token depends on that token alone, and what is known of a token's traits on its
    collection. So when there are more rows to compute than memory holds at once, such a model computes one part of the
    tokens or collections after the other, in one transaction. Parts of tokens are chosen by the number of the token: a
    wrapped token and the token in its wrapper have the same number, and a collection with millions of tokens is divided,
    too.

    A model that can do so has `bytes_a_row` in its config, the memory that its statement takes for each raw sale and
    transfer (ADR 70), and reads its inputs `where in_part(...)`.
#}

{# The rows of the part that is being computed; all rows, if there is one part. #}
{% macro in_part(alias, key="token_id") -%}
    {%- if number_of_parts() > 1 -%}
        hash({{ alias }}.{{ key }}) % {{ number_of_parts() }} = getvariable('part')
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}


{# Moves and lots: the tokens of the part, and of them those that can have changed. #}
{% macro in_scope(alias) -%}
    {{ in_part(alias) }} and {{ is_dirty_position(alias) if is_incremental() else "true" }}
{%- endmacro %}


{# Whether a model computes some of the tokens only at a time. #}
{% macro is_scoped() -%}
    {{ return(is_incremental() or number_of_parts() > 1) }}
{%- endmacro %}


{# In how many parts this run computes what changed, or all of a table that is built whole. #}
{% macro number_of_parts() %}
    {%- if not execute -%}{{ return(1) }}{%- endif -%}
    {%- set memory = env_var("ASSAY_LAKE_MEMORY_BYTES") | int -%}
    {%- set bytes = rows_to_compute("all") * config.require("bytes_a_row") -%}
    {%- if bytes > memory and is_incremental() -%}
        {%- set bytes = rows_to_compute("changed") * config.require("bytes_a_row") -%}
    {%- endif -%}
    {{ return(bytes // memory + 1) }}
{% endmacro %}


{# Raw sales and transfers: `all`, or of what `changed`, tokens or the traits of a collection; counted once a run. #}
{% macro rows_to_compute(which) %}
    {%- set key = "rows_of_" ~ which -%}
    {%- if key not in graph -%}
        {%- set question -%}
            select sum(counted.row_count)
            from (
                {% for table in ["sales", "transfers"] -%}
                select count(*) as row_count from {{ source("raw", table) }} as one
                {% if which == "changed" -%}
                where {{ is_dirty_position("one") }} or {{ in_dirty_entity("one", "token_traits") }}
                {%- endif %}
                {{ "union all" if not loop.last }}
                {% endfor -%}
            ) as counted
        {%- endset -%}
        {%- do graph.update({key: run_query(question).columns[0].values()[0] | int}) -%}
    {%- endif -%}
    {{ return(graph[key]) }}
{% endmacro %}


{# The statements that replace a model's rows in a condition, part by part; of a table that is not there yet, all. #}
{% macro build_in_parts(existing, target_relation, query, condition) -%}
    {% if existing is none -%}
    create table {{ target_relation }} as select * from ({{ query }}) as nothing limit 0;
    {% else -%}
    delete from {{ target_relation }} as replaced
    where {{ condition }};
    {% endif -%}
    {% for part in range(number_of_parts()) -%}
    set variable part = {{ part }};
    insert into {{ target_relation }} by name
    {{ query }};
    {% endfor -%}
    reset variable part
{%- endmacro %}
