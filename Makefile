# The only two commands that a new machine needs: `make demo` and `make test`.
# They need python3 (3.11 or newer, with venv or pip), git and make; the rest is fetched below.

UV_PIN  := 0.13.9
PYTHON3 ?= python3
DEMO    ?= sandbox
BENCH   ?= migrate
WORKERS ?= 4
ARGS    ?=

# Any uv on PATH that works and suits [tool.uv] required-version, else our own, private one.
UV_HOME := .bootstrap/uv-$(UV_PIN)
UV      := $(shell uv cache dir >/dev/null 2>&1 && command -v uv || echo $(UV_HOME)/bin/uv)
RUN     := $(UV) run --frozen
SYNCED  := .venv/.synced

# One environment whatever the shell brings along; a cache of our own where HOME can't hold one.
# Bytecode is kept: without it every worker of the tests compiles all of them again.
unexport VIRTUAL_ENV PYTHONHOME PYTHONDONTWRITEBYTECODE
export UV_PROJECT_ENVIRONMENT := .venv
ifneq ($(shell test -w "$$HOME" && echo writable),writable)
export UV_CACHE_DIR ?= $(CURDIR)/.bootstrap/uv-cache
export PIP_NO_CACHE_DIR ?= 1
endif
# Trust whom the machine trusts, as git and pip do: a company's proxy may sign with its own root.
ifneq ($(wildcard /etc/ssl/cert.pem /etc/ssl/certs/*.crt /etc/pki/tls/certs/*.crt),)
export UV_SYSTEM_CERTS ?= true
endif

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint ruff types layers format check smoke bench clean

help: ## show this help
	@echo 'usage: make TARGET'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

demo: $(SYNCED) ## watch reccli at work on a local Twilio, S3 and Airtable
	$(RUN) reccli $(DEMO) $(ARGS)

test: $(SYNCED) ## run the tests (ARGS="-k name" picks some, WORKERS=0 runs them in one process)
	$(RUN) pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-all: $(SYNCED) ## run them all: the ledger's on both databases, with many more examples
	$(RUN) pytest -n $(WORKERS) --dist worksteal -m '' --hypothesis-profile exhaustive $(ARGS)

lint: ruff types layers ## run every static check

ruff: $(SYNCED) ## check style and format
	$(RUN) ruff check
	$(RUN) ruff format --check

types: $(SYNCED) ## check the types
	$(RUN) mypy

layers: $(SYNCED) ## check that dependencies point down only
	$(RUN) lint-imports --no-logo

format: $(SYNCED) ## fix what can be fixed by itself
	$(RUN) ruff check --fix
	$(RUN) ruff format

check: lint test ## lint and test

smoke: $(SYNCED) ## build the wheel, install it alone in a new environment, and start it
	rm -rf build/smoke
	$(UV) build --quiet --out-dir build/smoke
	$(UV) export --quiet --frozen --no-dev --no-emit-project --output-file build/smoke/locked.txt
	$(UV) venv --quiet build/smoke/venv
	$(UV) pip install --quiet --python build/smoke/venv --constraints build/smoke/locked.txt build/smoke/*.whl
	cd build/smoke && venv/bin/reccli --version && venv/bin/reccli --help
	cd build/smoke && venv/bin/reccli config init && cmp reccli.toml ../../config.example.toml

bench: $(SYNCED) ## measure a migration (BENCH=intake the webhook, BENCH=streams media streams)
	$(RUN) python -m bench.$(BENCH) $(ARGS)

clean: ## remove everything that these targets made
	rm -rf .bootstrap .venv build dist htmlcov .coverage .coverage.* coverage.xml \
	  .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find bench src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(SYNCED): pyproject.toml uv.lock $(filter $(UV_HOME)/%,$(UV))
	$(UV) sync --frozen
	@touch $@

# A virtual environment keeps uv away from the system; without ensurepip, pip puts it in a folder.
$(UV_HOME)/bin/uv:
	@rm -rf $(UV_HOME)
	@echo 'No uv on PATH: fetching uv $(UV_PIN) into $(UV_HOME)'
	@set -e; \
	pip='-m pip install --quiet --disable-pip-version-check --only-binary :all:'; \
	if $(PYTHON3) -m venv $(UV_HOME) >/dev/null 2>&1; then \
	  $(UV_HOME)/bin/python $$pip 'uv==$(UV_PIN)'; \
	elif $(PYTHON3) -m pip --version >/dev/null 2>&1; then \
	  rm -rf $(UV_HOME); \
	  $(PYTHON3) $$pip --target $(UV_HOME) 'uv==$(UV_PIN)'; \
	else \
	  rm -rf $(UV_HOME); \
	  echo 'error: $(PYTHON3) has neither venv nor pip' >&2; \
	  echo 'fix:   apt-get install python3-venv   (or install uv: https://docs.astral.sh/uv)' >&2; \
	  exit 1; \
	fi
	@test -x $@ && touch $@
