# `make demo` and `make test` need Python 3.11 or newer, make and git; everything else goes into .venv.
PYTHON ?= python3
DATASET ?= digits
DATA ?= data
STORE ?= predictions
EPOCHS ?= 5
# The folder with MNIST's raw files: tests and benchmarks that need them take it from here.
MNIST ?=
PYTEST ?=
# Which tests: a folder, a file, with pytest's own options (ONLY='tests/analysis/ask -k epochs'). All of them in two processes.
ONLY ?= tests
WORKERS = $(if $(filter tests,$(ONLY)),-n 2 --dist loadfile)

BIN := .venv/bin
MNIST_OPTION := $(if $(MNIST),--mnist="$(MNIST)")

.PHONY: demo bundled test test-core slow lint bench clean

demo: .venv/demo
	$(BIN)/secondguess demo --train --no-page --store "$(STORE)" -- --dataset $(DATASET) --data "$(DATA)" --epochs $(EPOCHS) --overwrite
	@export SECONDGUESS_STORE="$(STORE)"; PATH="$(CURDIR)/$(BIN):$$PATH"; \
	show() { printf '\n$$ %s\n' "$$*"; "$$@"; }; \
	printf '\n1. Which images are seen differently after 1 and after $(EPOCHS) epochs?\n'; \
	show secondguess ask disagreements cnn@1 cnn@$(EPOCHS) --limit 4; \
	printf '\n2. How do the errors fall over time?\n'; \
	show secondguess ask errors-over-time cnn double; \
	printf '\n3. What does each model get wrong, the double one left, the baseline right?\n'; \
	show secondguess ask errors-by-guess double@$(EPOCHS) cnn@$(EPOCHS) --ids 1; \
	printf '\nThe command is $(BIN)/secondguess; `$(BIN)/secondguess ask` lists the questions.\n'; \
	printf 'Look at it all in a browser: $(BIN)/secondguess view --store "$(STORE)"\n'

# What `secondguess demo` unpacks, trained anew.
bundled: .venv/demo
	rm -rf build/bundled
	$(BIN)/secondguess demo --train --no-page --store build/bundled -- --wandb off
	for run in cnn double; do $(BIN)/secondguess export $$run analysis/demo/$$run.zip --overwrite --store build/bundled; done

test: .venv/dev
	$(BIN)/python -m pytest $(ONLY) -m "not slow" $(WORKERS) $(MNIST_OPTION) $(PYTEST)

# Asking, recording with NumPy, importing and the page, without PyTorch's gigabytes; what trains is skipped, and says so.
test-core: .venv-core/test
	.venv-core/bin/python -m pytest $(ONLY) -m "not slow" $(WORKERS) $(MNIST_OPTION) $(PYTEST)

slow: .venv/dev
	$(BIN)/python -m pytest $(ONLY) -m slow $(WORKERS) $(MNIST_OPTION) $(PYTEST)

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py tests/test_layout.py

bench: .venv/dev
	@test -n "$(MNIST)" || { echo "make bench needs MNIST's raw files: make bench MNIST=folder" >&2; exit 2; }
	$(BIN)/python tests/benchmarks/bench_recording.py $(MNIST_OPTION)
	$(BIN)/python tests/benchmarks/bench_asking.py $(MNIST_OPTION)
	$(BIN)/python tests/benchmarks/bench_comparing.py $(MNIST_OPTION)
	$(BIN)/python tests/benchmarks/bench_dynamics.py
	$(BIN)/python tests/benchmarks/bench_importing.py $(MNIST_OPTION)
	$(BIN)/python tests/benchmarks/bench_tables.py
	$(BIN)/python tests/benchmarks/bench_buckets.py
	$(BIN)/python tests/benchmarks/bench_page.py $(MNIST_OPTION)
	$(BIN)/python tests/benchmarks/bench_clients.py $(MNIST_OPTION)
	$(BIN)/python tests/benchmarks/bench_training.py $(MNIST_OPTION)
	$(BIN)/python tests/benchmarks/bench_device.py $(MNIST_OPTION)

.venv/demo: pyproject.toml | .venv
	$(BIN)/python -m pip install --quiet --editable '.[train]'
	@touch $@

.venv/dev: pyproject.toml | .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

.venv-core/test: pyproject.toml | .venv-core
	.venv-core/bin/python -m pip install --quiet --editable '.[test]'
	@touch $@

.venv .venv-core:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "secondguess needs Python 3.11 or newer, $(PYTHON) is older; name another one: make PYTHON=python3.12 …" >&2; exit 2; }
	$(PYTHON) -m venv $@

clean:
	rm -rf .venv .venv-core build dist *.egg-info
