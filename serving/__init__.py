"""Serving: what was published, for programs and people that look things up.

Here: the store that point look-ups read (`store`), what an answer says (`views`), and the HTTP interface (`api`).
Not here: computing an estimate (`ml`), or deciding when to publish (`orchestration`).
"""
