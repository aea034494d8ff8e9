{{ config(materialized="view") }}

with custody as (
    select * from {{ ref("custody_contracts") }}
    where wraps is not null
),

transfers as (
    select * from {{ ref("stg_transfers") }}
),

-- a wrapper that keeps the token ids: the wrapped token and the one in the wrapper are one
final as (
    select distinct
        t.collection,
        t.token_id,
        u.collection as wrapped_collection,
        custody.address as wrapper
    from transfers as t
    inner join custody on t.chain = custody.chain and t.contract = custody.address
    inner join transfers as u
        on t.chain = u.chain and custody.wraps = u.contract and t.token_id = u.token_id
    where t.collection <> u.collection
)

select * from final
