{#
    Views that are only written when their text changes.

    dbt creates, renames and drops every view in every run: two commits of the catalog each, for nothing. The text's
    hash is kept in the view's comment.
#}
{% materialization view, adapter="duckdb" %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type="view") -%}
    {%- set fingerprint = "sql:" ~ local_md5(compiled_code) -%}
    {%- if stored_comment() == fingerprint -%}
        {% call statement("main") %}select 'unchanged'{% endcall %}
    {%- else -%}
        {%- if existing is not none and existing.type != "view" -%}{{ drop_relation_if_exists(existing) }}{%- endif -%}
        {% call statement("main") %}
            create or replace view {{ target_relation }} as ({{ compiled_code }});
            comment on view {{ target_relation }} is '{{ fingerprint }}';
        {% endcall %}
    {%- endif -%}
    {{ adapter.commit() }}
    {{ return({"relations": [target_relation]}) }}
{% endmaterialization %}
