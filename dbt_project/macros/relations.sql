{#
    What the lake has, read from DuckLake's own tables.

    dbt-duckdb asks `information_schema.tables`, for which DuckDB estimates the size of every table: DuckLake then reads the
    statistics of all files, for each schema. And it asks for the schemas of a database named with quotes: it finds none,
    and creates all of them in every run.
#}
{% macro duckdb__list_relations_without_caching(schema_relation) %}
    {%- set catalog = "__ducklake_metadata_" ~ schema_relation.database | replace('"', "") -%}
    {% call statement("list_relations_without_caching", fetch_result=True) -%}
        with relations as (
            select schema_id, table_name as name, 'table' as type from {{ catalog }}.ducklake_table
            where end_snapshot is null
            union all
            select schema_id, view_name, 'view' from {{ catalog }}.ducklake_view where end_snapshot is null
        )

        select
            '{{ schema_relation.database }}' as database,
            relations.name,
            schemas.schema_name as schema,
            relations.type
        from relations
        inner join {{ catalog }}.ducklake_schema as schemas using (schema_id)
        where schemas.end_snapshot is null and lower(schemas.schema_name) = '{{ schema_relation.schema | lower }}'
    {%- endcall %}
    {{ return(load_result("list_relations_without_caching").table) }}
{% endmacro %}


{% macro duckdb__list_schemas(database) %}
    {%- set sql -%}
        select schema_name
        from duckdb_schemas()
        where lower(database_name) = '{{ (database or target.database) | replace('"', "") | lower }}'
    {%- endset -%}
    {{ return(run_query(sql)) }}
{% endmacro %}
