# Everything runs from .venv, which is made from the locks in requirements/.
# Needs make and Python 3.11 or newer:  make test PYTHON=python3.13

PYTHON ?= python3
REACTOR ?= default
# Wheels only, so that no build step runs that is not locked.
WHEELS ?= --only-binary :all:
MARKS ?= agents or package_network or slow or soak

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Whoever has the development tools has what the demo needs.
DEMO := $(if $(wildcard .venv/dev.ready),dev,demo)

# Tests of agents are among the marked ones, and npm is here to install those.
HAS_NPM := $(shell command -v npm 2>/dev/null)
AGENTS := $(and $(findstring agents,$(MARKS)),$(HAS_NPM),agents)
SERVERS := $(and $(findstring package_network,$(MARKS)),$(HAS_NPM),conformance mcp-servers)
# Not `npm ci`: that wants the binaries of every platform in the lock, and some are
# not to be had everywhere.
NPM ?= npm install --no-save --no-audit --no-fund --loglevel=error

.PHONY: help demo test test-all lint format pytest marked agents conformance \
	mcp-servers coverage docs bench audit wheel lock clean
.DELETE_ON_ERROR:
.SECONDARY:

help:
	@echo 'make demo      show the main job; no key, no network to a model'
	@echo 'make test      lint, types, tests, documentation'
	@echo 'make test-all  the same, and the slow tests'
	@echo 'make bench     measure; see docs/performance.rst'
	@echo 'make docs      build docs/_build/html'
	@echo 'make agents    install the agents that some slow tests run; needs npm'
	@echo 'make conformance, mcp-servers    the same for the tests of tools'
	@echo 'make lint, format, coverage, audit, wheel, lock, clean'

demo: .venv/$(DEMO).ready
	$(BIN)/modelplex demo

test: lint pytest docs

test-all: test marked

lint: .venv/dev.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/dev.ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

pytest: .venv/dev.ready
	$(BIN)/python -m pytest --reactor=$(REACTOR) $(ARGS)

# The tests that `pytest` leaves out; pytest says 5 when there are none.
marked: .venv/dev.ready $(AGENTS) $(SERVERS)
	$(BIN)/python -m pytest --reactor=$(REACTOR) -m '$(MARKS)' $(ARGS) \
		|| test $$? -eq 5

# What npm has: agents, and the SDKs for Node. Their tests skip without them.
agents: .venv/agents/installed .venv/node/installed

.venv/agents/installed: tests/agents/package-lock.json | .venv/dev.ready
.venv/node/installed: tests/integration/node/package-lock.json | .venv/dev.ready

# The official suite for MCP servers, and the Node that it wants.
conformance: .venv/conformance/installed

.venv/conformance/installed: tests/conformance/package-lock.json | .venv/dev.ready

# Tool servers, and clients of them. Those in Python want different versions of the
# same library, so each has an environment of its own.
PYTHON_SERVERS := $(notdir $(basename $(wildcard tests/mcp_servers/python/*.txt)))
mcp-servers: .venv/mcp-servers/installed \
	$(PYTHON_SERVERS:%=.venv/mcp-servers/%/installed)

.venv/mcp-servers/installed: tests/mcp_servers/package-lock.json | .venv/dev.ready

.venv/mcp-servers/%/installed: tests/mcp_servers/python/%.txt | .venv/dev.ready
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check install -q \
		--require-hashes --no-deps $(WHEELS) -r $<
	@touch $@

NPM_TREES := agents node conformance mcp-servers
$(NPM_TREES:%=.venv/%/installed):
	mkdir -p $(@D)
	cp $(<D)/package.json $(<D)/package-lock.json $(@D)
	cd $(@D) && $(NPM)
	@touch $@

coverage: .venv/dev.ready
	$(BIN)/python -m pytest --cov --cov-report=term --cov-report=xml $(ARGS)

docs: .venv/dev.ready
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

bench: .venv/dev.ready
	$(BIN)/python -m benchmarks $(ARGS)
	$(BIN)/python -m benchmarks tools $(TOOLS_ARGS)

audit: .venv/dev.ready
	$(BIN)/bandit -q -c pyproject.toml -r modelplex twisted
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements/runtime.txt

wheel: .venv/dev.ready
	$(BIN)/python -m hatchling build -t wheel

# .venv/X.locked: what requirements/X.txt names, and nothing else.
# .venv/X.ready: Modelplex itself too, from this folder.
.venv/%.locked: requirements/%.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed: make PYTHON=python3.13' >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(PIP) install -q --require-hashes --no-deps $(WHEELS) -r $<
	@touch $@

.venv/%.ready: .venv/%.locked pyproject.toml
	$(PIP) install -q --no-build-isolation --no-deps -e .
	@touch $@

# `make lock` keeps every version that is still allowed;
# `make lock LOCK=--upgrade` takes the newest. UV is any uv you have.
UV ?= $(BIN)/uv
COMPILE = $(UV) pip compile -q --universal --python-version 3.11 \
	--fork-strategy fewest --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock' $(LOCK)

lock:
	$(COMPILE) pyproject.toml --group dev -o requirements/dev.txt
	$(COMPILE) pyproject.toml --group demo -c requirements/dev.txt \
		-o requirements/demo.txt
	$(COMPILE) pyproject.toml -c requirements/dev.txt -o requirements/runtime.txt
	$(COMPILE) --group build -c requirements/dev.txt -o requirements/build.txt
	for one in tests/mcp_servers/python/*.in; do \
		$(COMPILE) $$one -o $${one%.in}.txt || exit 1; done

clean:
	rm -rf .venv build dist docs/_build htmlcov .coverage* coverage.xml \
		.mypy_cache .pytest_cache .ruff_cache .hypothesis \
		twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
