"""Rollups: partials and finished figures of closed buckets, kept in a store of their own, and read from there."""
