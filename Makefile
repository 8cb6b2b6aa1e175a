# make demo   the example's `make on-ec2-train` on a local EC2: no account, no bill
# make test   everything that CI runs
# make quick  before each commit: all of that which needs no local EC2
# All set up what they need, as root or as a user with sudo, and are quick the second time.

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin

# Compiled modules are kept: without them each of the tests' thousand programs compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

# uv trusts what the system trusts, as pip does: a company's own certificates too (its older name, then its newer).
export UV_NATIVE_TLS = 1
export UV_SYSTEM_CERTS = 1

.PHONY: help demo test quick test-vm test-long test-engines check format lint types tests docs coverage bench bench-quick bench-compare bench-sync bench-env bench-sweep setup clean
.DEFAULT_GOAL := help

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## the system packages and the virtual environment

$(VENV)/.installed: pyproject.toml scripts/setup.sh
	@PYTHON=$(PYTHON) scripts/setup.sh $(VENV)
	@touch $@

$(VENV)/.test-tools: $(VENV)/.installed
	@PYTHON=$(PYTHON) scripts/setup.sh $(VENV) test
	@touch $@

# Of the system's packages only those without which nothing is tested: no Debian is needed.
$(VENV)/.quick-tools: pyproject.toml scripts/setup.sh
	@PYTHON=$(PYTHON) scripts/setup.sh $(VENV) quick
	@touch $@

demo: setup ## a recipe of examples/project on an instance of the local EC2
	@PATH="$(BIN):$$PATH" scripts/demo.sh

test: $(VENV)/.test-tools ## set up, then all the checks: what CI runs
	@$(MAKE) --no-print-directory check

quick: $(VENV)/.quick-tools ## format, lint, types, every test that needs no local EC2
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@PATH="$(BIN):$$PATH" $(BIN)/pytest -q -n 3 --hypothesis-profile quick -m "not local_ec2 and not slow and not long"

check: format lint types tests docs ## format, lint, types, tests, docs

format: setup
	@$(BIN)/ruff format --check .

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

types: setup
	@$(BIN)/mypy

# Whole stories first, which take longest: one that begins last would be waited for alone. Most of it is waiting.
tests: setup
	@PATH="$(BIN):$$PATH" $(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder -m "not long" \
		tests/scenarios tests/commands tests/remote tests

coverage: setup ## what the tests reach; it takes twice the time of the tests alone
	@PATH="$(BIN):$$PATH" $(BIN)/coverage run -m pytest -n 3 --dist loadfile
	@$(BIN)/coverage combine -q && $(BIN)/coverage report

docs: setup
	@$(BIN)/python scripts/docs.py --check

test-vm: $(VENV)/.test-tools ## the guard on a machine that really boots (QEMU; some minutes, apart from `test`)
	@PATH="$(BIN):$$PATH" $(BIN)/pytest -q -x -s --tb=short tests/vm/guard_vm.py

# In an environment of its own: these bring other versions of what the tests stand on.
test-long: $(VENV)/.test-tools ## the stories of which `make test` has fewer cases, all of them
	@PATH="$(BIN):$$PATH" $(BIN)/pytest -q -n 3 --dist loadfile -m long

test-engines: $(VENV)/.test-tools ## all runners of docs/runners.md, a real Sphinx, Dask and MPICH on two instances
	@$(BIN)/uv venv -q --allow-existing --python $(BIN)/python $(VENV)/engines
	@VIRTUAL_ENV=$(VENV)/engines $(BIN)/uv pip install -q -e '.[dev,engines]'
	@PATH="$(BIN)/../engines/bin:$$PATH" $(VENV)/engines/bin/pytest -q tests/scenarios/test_runners.py tests/make/test_sphinx.py tests/local/test_engines.py

bench-sync: setup ## syncs beside bare rsync with the same options (some minutes)
	@PATH="$(BIN):$$PATH" $(BIN)/python scripts/bench_sync.py

bench-env: $(VENV)/.test-tools ## what an environment takes there, beside plain uv sync (a minute; needs PyPI)
	@PATH="$(BIN):$$PATH" $(BIN)/python scripts/bench_env.py

bench-sweep: setup ## a sweep on machines that are up, beside plain make -j over ssh (a minute)
	@PATH="$(BIN):$$PATH" $(BIN)/python scripts/bench_sweep.py

bench: setup ## each figure beside its floor, written to docs/performance.md (a quarter of an hour)
	@PATH="$(BIN):$$PATH" PYTHONPATH=scripts $(BIN)/python -m bench

bench-quick: setup ## the most important of them, in a minute
	@PATH="$(BIN):$$PATH" PYTHONPATH=scripts $(BIN)/python -m bench --quick

bench-compare: setup ## starts and a warm run of this commit beside those of another: REV=…
	@PATH="$(BIN):$$PATH" PYTHONPATH=scripts $(BIN)/python -m bench --compare "$(or $(REV),HEAD~1)"

clean: ## everything that was made here
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
