# Everything is made in .venv, from the pinned requirements; nothing outside this directory is touched.
# Another Python: make run PYTHON=python3.13. More for pytest: make test ARGS="tests/sse -x".

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.PHONY: help run test soak check evaluate bench bench-quick clean
.NOTPARALLEL:

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /make \1	/p' Makefile

run: export PETSTORE_DEMO ?= 1
run: .venv/run.stamp ## start the demo shop
	@$(BIN)/python -m petstore.settings
	@exec $(BIN)/gunicorn -c gunicorn.conf.py wsgi:app

test: .venv/test.stamp ## run the tests
	@$(BIN)/python -m pytest $(ARGS)

soak: .venv/test.stamp ## the long tests, for some minutes: cuts, kills and reloads, stuck readers, a drain, bad requests
	@$(BIN)/python -m tests.soak $(ARGS)

check: .venv/test.stamp ## check format, lint, types and architecture
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_architecture.py

evaluate: .venv/test.stamp ## measure how good the recommendations are, with customers whose tastes are planted
	@$(BIN)/python -m tests.evaluate

BENCH := bench/.build/load bench/.build/writer bench/.peers/made.stamp .venv/run.stamp

bench: $(BENCH) ## measure us beside our peers, for about two hours (ARGS="--only petstore,nchan" for some)
	@bench/.peers/python/bin/python -m bench.run $(ARGS)

bench-quick: $(BENCH) ## the same for two minutes: us, nchan and the limit
	@bench/.peers/python/bin/python -m bench.run --quick $(ARGS)

clean: ## remove what can be made again; var/ holds the shop's data and stays
	rm -rf .venv bench/.build bench/.peers .schemathesis .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says that a step has ended well, so that the next `make` skips it; one that was cut short is done again.
# Whoever names a Python of another version than that of .venv has it made anew; without a name, what is there is used.
ifneq ($(origin PYTHON),file)
ifneq ($(shell '$(PYTHON)' --version 2>&1 || true),$(shell $(BIN)/python --version 2>&1 || true))
.PHONY: .venv/made.stamp
endif
endif
.venv/made.stamp:
	@command -v '$(PYTHON)' >/dev/null || \
		{ echo "'$(PYTHON)' was not found: install Python 3.11 or later, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$('$(PYTHON)' --version 2>&1) is too old: name a Python 3.11 or later: make PYTHON=/path/to/python3" >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "'$(PYTHON)' can't make virtual environments: install its venv package (on Debian: apt install python3-venv)" >&2; exit 1; }
	@'$(PYTHON)' -m venv --clear .venv
	@touch $@

.venv/run.stamp: requirements.txt .venv/made.stamp
	@echo "Installing requirements.txt into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/test.stamp: requirements-test.txt requirements-llm.txt requirements.txt .venv/made.stamp
	@echo "Installing requirements-test.txt into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	@touch $@

bench/.build/%: bench/%.c
	@mkdir -p bench/.build
	@$(CC) -std=c11 -O2 -Wall -Wextra -o $@ $<

bench/.peers/made.stamp: requirements-bench.txt bench/peers/install.sh bench/peers/package.json .venv/made.stamp
	@echo "Installing the benchmarks' peers into bench/.peers ..."
	@$(BIN)/python -m venv --clear bench/.peers/python
	@bench/.peers/python/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@if bench/peers/install.sh bench/.peers; then touch $@; else echo "Going on without; the next make tries again."; fi
