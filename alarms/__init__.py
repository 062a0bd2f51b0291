"""Alarms: what needs hands, since when, and what became of it."""
