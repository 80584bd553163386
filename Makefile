# `make demo` and `make test` work in a fresh clone: each first creates .venv from the lock files.

BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo up test check bench setup runtime format lock snapshot clean

help:  ## lists the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

demo: runtime  ## runs a complete study on real data and prints the best schedule
	@$(BIN)/lehr demo $(ARGS)

up: runtime  ## runs a server and a worker on this machine, with SQLite in ./lehr-data
	@$(BIN)/lehr up $(ARGS)

test: setup  ## runs every test; tests that need what this machine lacks are skipped (ARGS="-k NAME" selects)
	@$(BIN)/python -m pytest $(ARGS)

check: setup  ## checks format, lint, types, import contracts and generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/architecture

bench: setup  ## runs the benchmarks, whose results are in benchmarks/*/results.md (NAME=ask runs one)
	@set -e; for script in benchmarks/$(or $(NAME),*)/run.py; do \
		echo "== $$script"; $(BIN)/python "$$script" $(ARGS); \
	done

setup:  ## creates .venv with all development dependencies
	@tools/environment.sh dev

runtime:
	@tools/environment.sh runtime

format: setup  ## formats the code and fixes lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup  ## regenerates the lock files from pyproject.toml (ARGS=--upgrade upgrades to the newest versions)
	$(BIN)/python tools/lock.py $(ARGS)

snapshot: setup  ## regenerates files: the OpenAPI document, four pages of docs/reference, the built-in tasks' schemas
	$(call rewrite,openapi.json,service openapi)
	$(call rewrite,schedules.md,tools.schedules_page)
	$(call rewrite,cli.md,lehr.cli.reference)
	$(call rewrite,parity.md,tools.parity)
	$(BIN)/python -m tools.tasks_page
	$(BIN)/python -m tools.builtin_tasks > service/builtin_tasks.json.new && mv service/builtin_tasks.json.new service/builtin_tasks.json

# Writes to a temporary file first, so that a failing program leaves the page unchanged.
rewrite = $(BIN)/python -m $(2) > docs/reference/$(1).new && mv docs/reference/$(1).new docs/reference/$(1)

clean:  ## removes .venv, caches and the demo's files; keeps lehr-data
	rm -rf .venv .venv.lock .pytest_cache .mypy_cache .ruff_cache .hypothesis .demo demo-data build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
