# Two commands a newcomer needs: `make demo` and `make test`. Both create the environment they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-long lint check clean

demo: $(VENV)/.ready  ## run the whole pipeline on the embedded digits, to a report page
	$(BIN)/sleepdefense run --out demo --resume

test: $(VENV)/.ready  ## run the default test suite
	$(BIN)/python -m pytest -q -rs -n 2 --dist loadfile --no-loadscope-reorder

test-long: $(VENV)/.ready  ## run the tests that the default suite leaves out
	$(BIN)/python -m pytest -q -rs -n 2 --dist loadfile -m long tests

lint: $(VENV)/.ready  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: test lint

$(VENV)/.ready: constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,cluster]"
	touch $@

clean:
	rm -rf $(VENV) build demo .numba_cache .mypy_cache .ruff_cache .pytest_cache
