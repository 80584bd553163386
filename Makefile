# `make demo` and `make test` work in a fresh clone: each makes .venv first, from the lock files.

BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo up test check bench setup runtime format lock snapshot clean

help:  ## these lines
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

demo: runtime  ## the whole main job on real data: from nothing to the best schedule
	@$(BIN)/lehr demo $(ARGS)

up: runtime  ## server and worker on this machine, with SQLite in ./lehr-data
	@$(BIN)/lehr up $(ARGS)

test: setup  ## every test; those for what this machine lacks are skipped, and say so
	@$(BIN)/python -m pytest $(ARGS)

check: setup  ## what continuous integration checks besides: format, lint, types, layers, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/architecture

bench: setup  ## measures: each folder of benchmarks/ has its figures in results.md (NAME=ask runs one)
	@set -e; for script in benchmarks/$(or $(NAME),*)/run.py; do \
		echo "== $$script"; $(BIN)/python "$$script" $(ARGS); \
	done

setup:  ## .venv with everything for development
	@tools/environment.sh dev

runtime:
	@tools/environment.sh runtime

format: setup  ## rewrites the code as `make check` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup  ## rewrites the lock files from pyproject.toml (ARGS=--upgrade takes the newest versions)
	$(BIN)/python tools/lock.py $(ARGS)

snapshot: setup  ## rewrites what docs/reference takes from the code: the OpenAPI document and four pages
	$(call rewrite,openapi.json,service openapi)
	$(call rewrite,schedules.md,tools.schedules_page)
	$(call rewrite,cli.md,lehr.cli.reference)
	$(call rewrite,parity.md,tools.parity)
	$(BIN)/python -m tools.tasks_page
	$(BIN)/python -m tools.builtin_tasks > service/builtin_tasks.json.new && mv service/builtin_tasks.json.new service/builtin_tasks.json

# Through a second file: a program that fails leaves the page as it was.
rewrite = $(BIN)/python -m $(2) > docs/reference/$(1).new && mv docs/reference/$(1).new docs/reference/$(1)

clean:  ## removes .venv, caches and what `make demo` left; lehr-data stays
	rm -rf .venv .venv.lock .pytest_cache .mypy_cache .ruff_cache .hypothesis .demo demo-data build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
