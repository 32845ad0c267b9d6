# Every command of the project: `make help` lists them.
PYTHON ?= python3
HOME_DIR ?= .alphagrad
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-compile
# On all cores, where pip takes one. What does not compile is, as with pip, no error: libraries carry files for other Pythons.
COMPILE := $(BIN)/python -m compileall -qq -j 0 .venv alphagrad api optim scheduler studies tuner || true

.DEFAULT_GOAL := help
.PHONY: help run stop serve test test-setup test-tools chaos fuzz docs docs-cli docs-serve check gates style types format bench dist check-wheel lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/run-ready ## install, start the service, tune AlphaGrad on CartPole over REST, show the result
	@$(BIN)/alphagrad demo --home $(HOME_DIR)

stop: ## stop the service that `make run` left up
	@$(BIN)/alphagrad demo --home $(HOME_DIR) --stop

serve: .venv/run-ready ## run the API and a worker in the foreground
	@$(BIN)/alphagrad serve --home $(HOME_DIR)

test: test-setup ## install, then run every test but the longest, which `make chaos` runs
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m "not long" -n 2 --dist loadfile --no-loadscope-reorder

chaos: test-setup ## kill workers, servers and databases for an hour; docs/reliability.md has the figures
	@CHAOS_SCALE=full CONTRACT_EXAMPLES=300 $(BIN)/python -m pytest tests/tuner/test_contract.py tests/tuner/test_ray_nodes.py tests/chaos

fuzz: test-setup ## ten thousand and more requests that schemathesis makes up, on both databases
	@FUZZ_SECONDS=150 $(BIN)/python -m pytest -s tests/api/test_fuzz.py --timeout 3600

docs: .venv/docs-ready ## build the documentation into site/; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "open site/index.html, or with search: make docs-serve"

docs-serve: .venv/docs-ready ## show the documentation on 127.0.0.1:8001, anew when a page changes
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --dev-addr 127.0.0.1:8001

docs-cli: .venv/run-ready ## write docs/cli.md from the commands
	@$(BIN)/python scripts/docs_cli.py

check: style ## ruff, then mypy and import-linter beside the tests: those that wait leave mypy a core
	@$(MAKE) -s -j 2 types test

gates: style types

style: test-setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: test-setup
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: .venv/test-ready ## let ruff rewrite the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: .venv/test-ready ## time the optimizer and the import, quickly; docs/optimizer.md has the whole figures
	@$(BIN)/python benchmarks/imports.py
	@$(BIN)/python benchmarks/optimizer.py --quick

dist: .venv/test-ready ## build the source archive and, from it, the wheel into dist/
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist .

check-wheel: .venv/test-ready ## build the wheel and use it as a stranger would; FULL=1 installs its dependencies anew
	@$(BIN)/python scripts/check_wheel.py $(if $(FULL),--full)

lock: ## resolve every version anew and write constraints.txt
	@scripts/lock $(PYTHON)

clean: ## remove the environment and what tools left behind
	rm -rf .venv build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The system's tools are installed while pip works.
test-setup:
	@$(MAKE) -s -j 2 .venv/test-ready test-tools

test-tools:
	@scripts/test-tools

.venv/bin/python:
	@$(PYTHON) -m venv .venv

.venv/run-ready: pyproject.toml constraints.txt $(wildcard */_*.[ch]) | .venv/bin/python
	@echo "installing alphagrad into .venv (about 2 GB, once)"
	@$(PIP) --editable .
	@$(COMPILE)
	@touch $@

.venv/docs-ready: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing what builds the documentation into .venv"
	@$(PIP) --editable ".[docs]"
	@touch $@

.venv/test-ready: pyproject.toml constraints.txt $(wildcard */_*.[ch]) | .venv/bin/python
	@echo "installing alphagrad and its test tools into .venv (about 3 GB, once)"
	@$(PIP) --editable ".[test]"
	@$(COMPILE)
	@touch $@ .venv/run-ready .venv/docs-ready
