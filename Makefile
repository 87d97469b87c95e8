# Needs Python 3.11 or newer and make. Everything lands in .venv and build/, which `make clean` removes.

PYTHON ?= python3
WORKERS ?= 2
TORCH := torch>=2.9,<2.14
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-input

.PHONY: demo test test-long test-gpu lint bench clean venv bench-venv

demo: venv  ## compile, train, export and compare a network on handwritten digits
	$(BIN)/python benchmarks/demo.py

test: venv  ## lint, then every test that is neither long nor needs a GPU
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest -n $(WORKERS) -m "not long and not gpu"

test-long: venv  ## the long tests
	$(BIN)/pytest -n $(WORKERS) -m "long and not gpu" --timeout 3600

test-gpu: venv  ## what needs a CUDA device
	$(BIN)/pytest -m gpu --timeout 1800

lint: venv  ## ruff, then mypy and the guards of the layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest -q --durations 0 tests/packaging

bench: bench-venv  ## each figure of the README
	@for script in benchmarks/*.py; do [ -e "$$script" ] || continue; echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What was installed: pyproject.toml, the place and the interpreter. The stamp is written last, so that a broken install is repeated.
FINGERPRINT = { cat pyproject.toml; pwd; $(PYTHON) -V; } | cksum

venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"netdsl needs Python 3.11 or newer, found {sys.version.split()[0]}: make PYTHON=python3.12 ...")'
	@if [ "$$($(FINGERPRINT))" != "$$(cat .venv/test.stamp 2>/dev/null)" ]; then set -e; \
	    echo "make: creating .venv: downloads PyTorch, ONNX, ONNX Runtime and the test tools (about 0.5 GB; with the"; \
	    echo "make: default PyTorch build for Linux some 3 GB more of CUDA libraries). This happens once."; \
	    rm -f .venv/test.stamp .venv/bench.stamp; \
	    $(PYTHON) -m venv .venv; \
	    $(PIP) "$(TORCH)"; \
	    $(PIP) --editable ".[test]"; \
	    $(FINGERPRINT) > .venv/test.stamp; \
	fi

bench-venv: venv
	@if ! cmp -s .venv/test.stamp .venv/bench.stamp; then set -e; \
	    echo "make: adding the packages that the benchmarks compare with (about 0.2 GB). This happens once."; \
	    $(PIP) --editable ".[bench]"; \
	    cp .venv/test.stamp .venv/bench.stamp; \
	fi
