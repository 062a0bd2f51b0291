"""The numpy core: columns in, statistics out. It does no I/O.

From the bottom: `edges` cuts a span into buckets; `ragged` and `holds` lay sampled series over them; `gauge`, `state`,
`counter`, `event` and `pair` are the kernels, one for each signal of docs/design.md §4, and return partials that add
up; `reducers` is the table that turns a declared statistic into what it reads and how it is computed; `requirements`
and `evaluate` are what callers use.
"""
