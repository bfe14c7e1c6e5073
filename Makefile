# Every target sets up what it needs. `make demo` and `make test` are all that a newcomer has to know.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := .setup
UV_WANTED := uv>=0.13,<0.14
COMPILE := uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --quiet
DEMO_HOME ?= .demo
# These start Flower, whose usual port is one for the whole machine.
ONE_AT_A_TIME := tests/integration/test_flower.py tests/integration/test_flower_run.py \
	tests/integration/test_compose.py tests/unit/cli/test_services_verbs.py
export PATH := $(CURDIR)/$(SETUP)/bin:$(PATH)
export UV_PYTHON_DOWNLOADS := never

.PHONY: setup demo test check chaos bench lock clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	@command -v uv >/dev/null || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lemfarm needs Python 3.11 or newer; name one with make PYTHON=...")' && \
	  $(PYTHON) -m venv $(SETUP) && $(SETUP)/bin/python -m pip install --quiet --disable-pip-version-check '$(UV_WANTED)'; }
	@test -x $(BIN)/python || uv venv --quiet --python $(PYTHON) $(VENV)
	@uv pip sync --quiet --require-hashes --python $(BIN)/python requirements.lock
	@uv pip install --quiet --no-deps --python $(BIN)/python --editable .
	@touch $@

demo: setup
	@demo/show.sh $(BIN)/lemfarm $(DEMO_HOME)
	@echo; echo "Everything lies in $(DEMO_HOME): database, adapters, logs. Look on with"; \
	  echo "  $(BIN)/lemfarm status --home $(DEMO_HOME)        $(BIN)/lemfarm samples list --home $(DEMO_HOME)"; \
	  echo "On a Mac, the same code runs the campaign:"; \
	  echo "  $(BIN)/lemfarm model get mlx-community/gemma-3-27b-it-qat-4bit"; \
	  echo "  $(BIN)/lemfarm plan configs/lek-27b.yaml && $(BIN)/lemfarm run configs/lek-27b.yaml"

test: setup
	@$(BIN)/python -m pytest -q $(ONE_AT_A_TIME)
	@$(BIN)/python -m pytest -q -n 3 --dist worksteal -m "not chaos or subset" $(ONE_AT_A_TIME:%=--ignore=%) tests

chaos: setup
	@$(BIN)/python -m pytest -q -m chaos tests/chaos

bench: setup
	@$(BIN)/python bench/run.py

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --config pyproject.toml --no-logo 2>/dev/null || $(BIN)/lint-imports
	@cp requirements.lock $(SETUP)-lock && $(COMPILE) --output-file $(SETUP)-lock && \
	  diff -u requirements.lock $(SETUP)-lock && rm -f $(SETUP)-lock || \
	  { rm -f $(SETUP)-lock; echo "requirements.lock is out of step with pyproject.toml: run make lock" >&2; exit 1; }

lock: setup
	@$(COMPILE) --output-file requirements.lock

clean:
	rm -rf $(VENV) $(SETUP) $(DEMO_HOME)
