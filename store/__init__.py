"""Where readings are kept: one protocol (`store.protocol`), and two stores, DuckDB and InfluxDB, that fulfil it."""
