# `make run` serves the console, `make test` runs its tests; `make help` lists the rest.
# It takes make, git and Python 3.11 or newer: all else is installed below .local/.

.DEFAULT_GOAL := help
ARGS ?=

# Without compiled files every process would compile all its libraries again: a start takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

VENV := .local/venv
PYTHON := $(VENV)/bin/python

.PHONY: help run test test-long check lint format lock wheel clean venv

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

run: venv  ## serve the console with PostgreSQL, Redis and S3 beside it, until Ctrl-C
	@exec $(PYTHON) -m embedded run

test: venv  ## run the tests on servers of their own: make test ARGS="tests/audit -k sealing"
	@exec $(PYTHON) -m embedded test $(ARGS)

test-long: venv  ## the tests at their full sizes: 20 kills, 64 KB patterns, 2,500 deletions
	@DAGY_TEST_LONG=1 exec $(PYTHON) -m embedded test $(ARGS)

check: venv  ## all that CI runs: linters, types, import contracts, migrations, tests
	@exec .ci/check $(PYTHON) $(ARGS)

lint: venv  ## the linters and the type checker alone
	@exec .ci/check $(PYTHON) --no-tests

format: venv  ## format the code in place
	@$(PYTHON) -m ruff check --fix --quiet .
	@$(PYTHON) -m ruff format .

lock: venv  ## pin requirements/*.in, with hashes: make lock ARGS=--upgrade for newer versions
	@cd requirements && for name in base dev; do \
	  ../$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --custom-compile-command "make lock" $(ARGS) $$name.in -o $$name.txt || exit 1; \
	done
	@cd requirements && echo uv | ../$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(ARGS) - -o uv.txt

wheel: venv  ## build the SDK's wheel, which customers install, into .local/dist
	@cd dagy && ../$(PYTHON) -m hatchling build --target wheel --directory ../.local/dist
	@ls .local/dist/*.whl

clean:  ## remove the virtual environment, the embedded servers' data and all caches
	@.ci/clean

venv:
	@.ci/venv $(VENV) requirements/uv.txt requirements/base.txt requirements/dev.txt
