# Everything here sets up what it needs: a machine with python3 (3.10 or newer) and make is enough.
# `make PYTHON=python3.13 test` takes another interpreter.

PYTHON ?= python3
VENV ?= .venv
BENCH_VENV ?= .venvs/bench
LABELS ?= .venvs/labels
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test browser test-all lint types wheel-check bench labels matrix transparency soak clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The file is newer than pyproject.toml when the environment holds what pyproject.toml asks for.
$(READY): pyproject.toml agent/lastcall.pth agent/lastcall.start
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Lastcall needs Python 3.10 or newer, and $(PYTHON) is %d.%d; try: make PYTHON=python3.12" % sys.version_info[:2] or 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(READY)  ## the chat service with two workers and real clients, watched; then its report
	$(BIN)/python examples/legacy_chat/demo.py
	$(BIN)/python examples/pydantic_v2/demo.py

test: $(READY)  ## the fast suite
	$(BIN)/python -m pytest -q -m 'not slow and not browser' -n auto

browser: $(READY)  ## the web page in a real browser, if chromium is here
	$(BIN)/python -m pytest -q -m 'browser and not slow' -n auto tests/test_web_browser.py

test-all: $(READY)  ## every test that can run here
	TEST_EXAMPLES=all $(BIN)/python -m pytest -q -n auto

lint: $(READY)  ## ruff
	$(BIN)/ruff check

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

wheel-check: $(READY)  ## build the wheel, install it in an empty environment, see the agent start and stay silent
	$(BIN)/python -m pytest -q tests/test_wheel.py

matrix: $(READY)  ## the suite on every interpreter found among 3.10 to 3.15, wrapt in C and in Python
	$(BIN)/python tests/matrix.py

transparency: $(READY)  ## other projects' own test suites, with and without the agent
	$(BIN)/python tests/transparency/run.py

bench: $(READY)  ## the tables of the README: hot path against peers, start-up, memory
	test -x $(BENCH_VENV)/bin/python || $(BIN)/python -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --requirement benchmarks/requirements.txt --editable .
	$(BENCH_VENV)/bin/python -m pip install --quiet --no-deps --requirement benchmarks/requirements-alone.txt
	$(BENCH_VENV)/bin/python benchmarks/hotpath.py
	$(BENCH_VENV)/bin/python benchmarks/hotpath_exporters.py
	$(BENCH_VENV)/bin/python benchmarks/startup.py

labels: $(READY)  ## how well `scan` finds, on 146 labelled libraries (2 GB to download, nothing of it is run)
	test -e $(LABELS)/.ready || $(BIN)/python -m pip install --quiet --no-deps --only-binary :all: --python-version 3.11 \
	  --target $(LABELS) --requirement tests/labels/requirements.txt
	touch $(LABELS)/.ready
	$(BIN)/python tests/labels/measure.py $(LABELS)
	LASTCALL_LABELLED=$(LABELS) $(BIN)/python -m pytest -q tests/test_scan_labels.py

soak: $(READY)  ## long runs: kill -9 at random instants, an outage of the backends, all examples of property tests
	$(BIN)/python -m pytest -q -m slow --timeout 1800
	TEST_EXAMPLES=all $(BIN)/python -m pytest -q -n auto $$(grep -l 'how_many import' tests/test_*.py)

clean:  ## remove what the other targets made
	rm -rf $(VENV) .venvs build dist .cache .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find examples -name .lastcall -type d -prune -exec rm -rf {} +
