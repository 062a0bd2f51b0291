"""Ingest: subscribe → spool (durable) → acknowledge → decode → write; what is bad goes to the dead letters."""
