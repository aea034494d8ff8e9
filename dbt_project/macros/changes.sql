{#
    Find what changed in raw since the last complete run.

    Every mart row depends only on rows known no later than itself (docs/architecture.md, two clocks), so a
    changed raw row with `known_at` k can touch its collection only from k on. With several sources a report of a
    preferred one also decides about earlier reports of the same sale. `ops.dirty_collections` holds that k per
    collection, `ops.dirty_entities` the same for listings and traits, `ops.dirty_tokens` the tokens that were sold or
    moved. They stay readable after the run: the index and
    the features replay the same tails.

    The position is a lake snapshot (`ops.mart_watermark`) and moves only when every model succeeded, so after a
    run that was killed the next one processes the same changes. Without a usable position, and after the text of a model
    changed, everything is dirty from the beginning.
#}
{% macro mark_changes() %}
    {%- if not execute or flags.WHICH not in ["run", "build"] -%}{{ return("select 1") }}{%- endif -%}
    {%- set db = target.database -%}
    {%- set now = run_query("select id from ducklake_current_snapshot('" ~ db ~ "')").columns[0].values()[0] | int -%}
    {%- set since = last_processed_snapshot() -%}
    {%- if flags.FULL_REFRESH or a_text_changed() -%}{%- set since = none -%}{%- endif -%}
    {%- do graph.update({"builds_everything": since is none}) -%}
    {%- do log(
        "changes in raw: " ~ ("everything" if since is none else "snapshots " ~ (since + 1) ~ " to " ~ now), info=true
    ) -%}
    {%- set statements -%}
        -- one transaction, and no new tables: after each of those every connection reads the whole catalog again
        begin transaction;
        delete from {{ db }}.ops.mart_run;
        insert into {{ db }}.ops.mart_run by name
        select {{ now }}::bigint as snapshot_id, {{ since is none }} as is_full, now() at time zone 'UTC' as started_at;
        delete from {{ db }}.ops.dirty_collections;
        delete from {{ db }}.ops.dirty_entities;
        delete from {{ db }}.ops.dirty_tokens;
        delete from {{ db }}.ops.dirty_positions;
        {% if since is none -%}
        -- If this run does not end, some models are of another text than others: the next one builds everything, too.
        delete from {{ db }}.ops.mart_watermark;
        {{ everything_is_dirty() }}
        {%- else %}{{ dirty_since(since + 1, now) }}{% endif %}
        commit;
    {%- endset -%}
    {{ return(statements) }}
{% endmacro %}


{# The snapshot up to which the marts are complete; none if there is none or its change feed is gone. #}
{% macro last_processed_snapshot() %}
    {%- set db = target.database -%}
    {%- set question -%}
        with watermark as (
            select max(snapshot_id) as snapshot_id from {{ db }}.ops.mart_watermark where rules = '{{ lot_rules() }}'
        ),

        first_readable as (
            select min(snapshot_id) as snapshot_id from ducklake_snapshots('{{ db }}') where snapshot_id > 0
        ),

        -- a table that was recreated after the position has no change feed from there on
        raw_tables as (
            select max(tables.begin_snapshot) as made_at
            from __ducklake_metadata_{{ db }}.ducklake_table as tables
            inner join __ducklake_metadata_{{ db }}.ducklake_schema as schemas using (schema_id)
            where
                schemas.schema_name = 'raw'
                and schemas.end_snapshot is null
                and tables.end_snapshot is null
                and tables.table_name in ('sales', 'transfers', 'listings', 'token_traits', 'exchange_rates')
        )

        select watermark.snapshot_id
        from watermark, first_readable, raw_tables
        where
            watermark.snapshot_id >= raw_tables.made_at
            and watermark.snapshot_id >= first_readable.snapshot_id
    {%- endset -%}
    {%- set rows = run_query(question).rows -%}
    {{ return(rows[0][0] | int if rows | length and rows[0][0] is not none else none) }}
{% endmacro %}


{% macro everything_is_dirty() %}
    {%- set db = target.database %}
    insert into {{ db }}.ops.dirty_collections by name
    select
        collection,
        timestamp '1970-01-01' as from_known_at
    from {{ source("raw", "sales") }}
    group by collection;

    insert into {{ db }}.ops.dirty_entities by name
    {% for entity in ["listings", "token_traits"] %}
    select '{{ entity }}' as entity, collection, timestamp '1970-01-01' as from_known_at
    from {{ source("raw", entity) }}
    group by collection
    {{ "union all" if not loop.last }}
    {% endfor %};
    -- no rows in dirty_tokens and dirty_positions: a full run does not select single tokens
{% endmacro %}


{% macro change_feed(table, first, last) -%}
    ducklake_table_changes('{{ target.database }}', 'raw', '{{ table }}', {{ first }}, {{ last }})
{%- endmacro %}


{% macro dirty_since(first, last) %}
    {%- set db = target.database -%}
    create or replace temporary table changed_sales as
    select
        chain, tx_hash, collection, token_id, event_time, time_uncertainty_s, known_at, delivered_by,
        lower(buyer) as buyer, lower(seller) as seller
    from {{ change_feed("sales", first, last) }};

    {% if doubts_new_wallets() -%}
    create or replace temporary table changed_wallets as
    select wallet, min(known_at) as known_at
    from (
        select buyer as wallet, known_at from changed_sales
        union all
        select seller, known_at from changed_sales
    )
    where wallet <> {{ zero_address() }}
    group by wallet;
    {%- endif %}

    create or replace temporary table changed_rates as
    select
        case when symbol = 'WETH' then 'ETH' else symbol end as symbol,
        min(known_at) as known_at
    from {{ change_feed("exchange_rates", first, last) }}
    group by 1;

    create or replace temporary table changed_listings as
    select collection, token_id, known_at, side
    from {{ change_feed("listings", first, last) }};

    insert into {{ db }}.ops.dirty_entities by name
    select 'listings' as entity, collection, min(known_at) as from_known_at
    from (
        select collection, known_at from changed_listings
        union all
        select listings.collection, listings.known_at
        from {{ source("raw", "listings") }} as listings
        inner join changed_rates as rates on listings.currency = rates.symbol and listings.event_time >= rates.known_at
        where not {{ is_eth("listings.currency") }}
    )
    group by collection
    union all
    select 'token_traits', collection, min(known_at)
    from {{ change_feed("token_traits", first, last) }}
    group by collection;

    insert into {{ db }}.ops.dirty_tokens by name
    select collection, token_id from changed_sales
    union
    select collection, token_id from {{ change_feed("transfers", first, last) }};

    insert into {{ db }}.ops.dirty_collections by name
    with touched as (
        select collection, known_at from changed_sales
        union all
        -- a transaction can span collections: its number of sales changes for all of them
        select sales.collection, sales.known_at
        from {{ source("raw", "sales") }} as sales
        inner join changed_sales as changed
            on sales.chain = changed.chain and sales.tx_hash = changed.tx_hash and sales.known_at >= changed.known_at
        where changed.tx_hash not like 'row:%'
        {% if has_several_sources() -%}
        union all
        -- the reports of other sources of the same sale, also the earlier ones
        select sales.collection, sales.known_at
        from {{ source("raw", "sales") }} as sales
        inner join changed_sales as changed
            on
                sales.collection = changed.collection
                and sales.token_id = changed.token_id
                and sales.delivered_by <> changed.delivered_by
        where
            sales.tx_hash = changed.tx_hash
            or abs(epoch(sales.event_time) - epoch(changed.event_time))
            <= sales.time_uncertainty_s + changed.time_uncertainty_s
        {% endif -%}
        union all
        {% if doubts_new_wallets() -%}
        -- whom a wallet has met decides about its later sales, in any collection
        {% for party in ["buyer", "seller"] -%}
        select sales.collection, sales.known_at
        from {{ source("raw", "sales") }} as sales
        inner join changed_wallets
            on
                lower(sales.{{ party }}) = changed_wallets.wallet
                and {{ long_before("sales.known_at") }} > changed_wallets.known_at
        where {{ long_before("sales.known_at") }} > (select min(known_at) from changed_wallets)
        union all
        {% endfor -%}
        {% endif -%}
        -- a new rate changes the prices of later sales; the rate of ether also converts every sale to dollars
        select sales.collection, sales.known_at
        from {{ source("raw", "sales") }} as sales
        inner join changed_rates as rates on sales.event_time >= rates.known_at
        where {{ is_eth("rates.symbol") }} or rates.symbol = sales.currency
        union all
        -- a bid prices an accepted bid that was logged with price zero
        select sales.collection, sales.known_at
        from {{ source("raw", "sales") }} as sales
        inner join changed_listings as listings using (collection, token_id)
        where listings.side = 'bid' and sales.price_native = 0 and sales.known_at >= listings.known_at
    )

    select collection, min(known_at) as from_known_at
    from touched
    group by collection;

    insert into {{ db }}.ops.dirty_positions by name
    with moved as (
        select collection, token_id from {{ db }}.ops.dirty_tokens
        union
        -- how many wallets a transaction gives tokens to makes it an airdrop, for all of them
        select transfers.collection, transfers.token_id
        from {{ source("raw", "transfers") }} as transfers
        inner join {{ change_feed("transfers", first, last) }} as changed
            on transfers.chain = changed.chain and transfers.tx_hash = changed.tx_hash
        where changed.tx_hash not like 'row:%'
        union
        -- prices in ether and dollars, and what is excluded
        select sales.collection, sales.token_id
        from {{ source("raw", "sales") }} as sales
        inner join {{ db }}.ops.dirty_collections as dirty
            on sales.collection = dirty.collection and sales.known_at >= dirty.from_known_at
        {% if var("airdrop_basis") == "value" -%}
        union
        select moves.collection, moves.token_id
        from {{ db }}.intermediate.int_moves as moves
        inner join {{ db }}.ops.dirty_collections as dirty
            on moves.collection = dirty.collection and moves.event_time > dirty.from_known_at
        where moves.is_airdrop
        union
        select moves.collection, moves.token_id
        from {{ db }}.intermediate.int_moves as moves
        inner join changed_rates as rates on moves.event_time >= rates.known_at
        where moves.is_airdrop and {{ is_eth("rates.symbol") }}
        {%- endif %}
    ),

    -- a wrapped token and the token in the wrapper are one
    contracts as (
        select distinct chain, collection, token_id, contract from {{ source("raw", "transfers") }}
        where
            contract in (select address from {{ db }}.staging.custody_contracts where wraps is not null)
            or contract in (select wraps from {{ db }}.staging.custody_contracts)
    ),

    twins as (
        select distinct
            contracts.collection,
            contracts.token_id,
            other.collection as other_collection
        from contracts
        inner join {{ db }}.staging.custody_contracts as custody
            on contracts.chain = custody.chain and contracts.contract in (custody.address, custody.wraps)
        inner join contracts as other
            on
                other.chain = custody.chain
                and other.contract in (custody.address, custody.wraps)
                and other.token_id = contracts.token_id
        where custody.wraps is not null
    ),

    moved_or_twin as (
        select collection, token_id from moved
        union
        select twins.other_collection, token_id from moved inner join twins using (collection, token_id)
    ),

    {% if states_gas() -%}
    -- the gas of a transaction is split by price over all that moved in it
    in_transactions as (
        select chain, tx_hash, collection, token_id, {{ has_gas() }} as has_gas from {{ source("raw", "sales") }}
        union all
        select chain, tx_hash, collection, token_id, {{ has_gas() }} as has_gas from {{ source("raw", "transfers") }}
        union all
        -- as it was before a row was removed
        select chain, tx_hash, collection, token_id, true as has_gas
        from {{ db }}.intermediate.int_moves
        where move_id in (select move_id from {{ db }}.intermediate.int_move_gas)
    ),

    with_gas as (
        select distinct chain, tx_hash from in_transactions
        where has_gas
    ),

    beside as (
        select distinct other.collection, other.token_id
        from moved_or_twin
        inner join in_transactions as own using (collection, token_id)
        inner join with_gas on own.chain = with_gas.chain and own.tx_hash = with_gas.tx_hash
        inner join in_transactions as other on own.chain = other.chain and own.tx_hash = other.tx_hash
        where not starts_with(own.tx_hash, 'row:')
    )
    {%- else -%}
    beside as (select collection, token_id from moved where false)
    {%- endif %}

    select collection, token_id from moved_or_twin
    union
    select collection, token_id from beside
    union
    select twins.other_collection, token_id from beside inner join twins using (collection, token_id);
{% endmacro %}


{# Move the position on, if this run built every model. #}
{% macro advance_watermark(results) %}
    {%- if not execute or flags.WHICH not in ["run", "build"] -%}{{ return("select 1") }}{%- endif -%}
    {%- set done = results | selectattr("status", "equalto", "success") | map(attribute="node.unique_id") | list -%}
    {%- set missing = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type == "model" and node.unique_id not in done -%}
        {%- do missing.append(node.name) -%}
    {%- endfor -%}
    {%- if missing -%}
        {%- do log("position in raw not moved: not built in this run: " ~ missing | join(", "), info=true) -%}
        {{ return("select 1") }}
    {%- endif -%}
    {%- set statements -%}
        begin transaction;
        delete from {{ target.database }}.ops.mart_watermark;
        insert into {{ target.database }}.ops.mart_watermark (snapshot_id, finished_at, rules)
        select snapshot_id, now() at time zone 'UTC', '{{ lot_rules() }}' from {{ target.database }}.ops.mart_run;
        commit;
    {%- endset -%}
    {{ return(statements) }}
{% endmacro %}
