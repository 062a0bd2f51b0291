# A thin index: what the targets do stands in scripts/. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test check stack services chaos score bench bench-ingest bench-core bench-rollups bench-read bench-alarms bench-live dashboards requirements clean

PY := .venv/bin/python

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: ## run everything on embedded parts: broker, store, ingest, API, 22 simulated compounds
	@scripts/setup
	@$(PY) -m courtyard demo $(ARGS)

test: ## run all tests against the real mosquitto and influxd
	@scripts/setup --dev
	@scripts/test $(ARGS)

check: ## format, lint, types, layers, dashboards
	@scripts/setup --dev
	@scripts/check

stack: ## run everything on the real mosquitto and influxd, without Docker (ARGS="--verify --minutes 5")
	@scripts/setup --dev
	@scripts/stack $(ARGS)

services: ## start the real mosquitto and influxd on loopback and print how to use them
	@scripts/setup --dev
	@scripts/services $(ARGS)

chaos: ## hurt ingest, broker and store under load, the long forms (two hours; ARGS="kills" runs one)
	@scripts/chaos $(or $(ARGS),all)

score: ## score every statistic against the simulators' truth, all faults on (22 compounds, 7 days; ARGS="--days 1")
	@scripts/score $(ARGS)

bench: ## run the benchmarks; they print ratios
	@scripts/setup --dev
	@scripts/bench $(ARGS)

bench-ingest: ## ours, a textbook pipeline and Telegraf, on the same broker and influxd (builds Telegraf once)
	@scripts/setup --dev
	@$(PY) -m benchmarks.ingest $(ARGS)

bench-core: ## the numpy core beside DuckDB and Polars, on 12 million rows
	@scripts/setup --dev
	@$(PY) -m benchmarks.core $(ARGS)

bench-rollups: ## a year of rollups, flat queries, late readings, and Flux over raw ones
	@scripts/setup --dev
	@$(PY) -m benchmarks.rollups $(ARGS)

bench-read: ## InfluxDB to columns beside the client's query_data_frame
	@scripts/setup --dev
	@$(PY) -m benchmarks.read $(ARGS)

bench-alarms: ## how soon an alarm follows a reading, beside 5,000 readings a second
	@scripts/setup --dev
	@$(PY) -m benchmarks.alarms $(ARGS)

bench-live: ## how the API answers beside 200 live streams, 100 viewers and 5,000 readings a second
	@scripts/setup --dev
	@$(PY) -m benchmarks.live $(ARGS)

dashboards: ## build Grafana's dashboards and alert rules from their code
	@scripts/setup --dev
	@$(PY) -m grafana.build

requirements: ## compile requirements*.txt from pyproject.toml
	@scripts/setup --dev
	@scripts/compile-requirements

clean: ## remove the virtual environment, caches and data of the demo
	rm -rf .venv var .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
