"""The numpy core: columns in, statistics out. It does no I/O.

From the bottom: `edges` cuts a span into buckets; `ragged` and `holds` lay sampled series over them; `gauge`, `state`,
`counter`, `event` and `pair` are the kernels, one for each signal of docs/design.md §4. `partials` are what they make,
numbers that merge over time; `view` lays out the rows that they are made of, `figures` the partials that figures are
made of. `reducers` is the table that says of a declared statistic what it reads, which partials it is made of, and how;
`requirements` and `evaluate` are what callers use.
"""
