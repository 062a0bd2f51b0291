"""The vocabulary that all parts speak: kinds, fields, units, topics, payloads, inventory. It does no I/O."""
