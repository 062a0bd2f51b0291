"""Dashboards as code: built from the kinds' declarations, written as JSON that Grafana provisions."""
