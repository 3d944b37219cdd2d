# makar: `make demo` and `make test` work on a bare machine with Python 3.11 or newer and a package registry.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export OMP_NUM_THREADS ?= 1

.PHONY: install demo test test-slow check format bench clean

install: $(STAMP)

# torch comes first and by pip, so that a CPU build is taken where one is at hand; the constraints hold it in place.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip uv
	$(BIN)/python -m pip install -q "$$(grep '^torch==' constraints.txt)" "$$(grep '^numpy==' constraints.txt)"
	$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[test,cluster]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/makar compare digits --families all --budget 10s --seeds 2 --out runs/demo

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

check: $(STAMP)
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_structure.py

format: $(STAMP)
	$(BIN)/ruff format src tests benchmarks examples
	$(BIN)/ruff check --fix src tests benchmarks examples

bench: $(STAMP)
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python benchmarks/digits.py --budget 10s --seeds 1

clean:
	rm -rf runs out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
