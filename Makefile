# Kedro Console: `make up` starts it, `make help` lists the rest. Needs make and a Python from 3.11 on, nothing else.
PYTHON ?= python3
PORT ?= 8000
PY := .venv/bin/python
ARGS ?=
MINUTES ?= 10
TIMES ?= 50
DATABASE ?= sqlite
FOLDER ?=

install = $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)

.DEFAULT_GOAL := help
.PHONY: help up test shipped check fix lock cases bench bench-signals bench-ticks bench-pages gallery bench-stores bench-machines bench-crowd attacks chaos kills wheel clean venv venv-dev

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile
	@echo "PYTHON=, PORT=, CONSOLE_VAR= and the settings of docs/configuration.md are taken from the environment."

up: venv ## start everything on http://127.0.0.1:8000 (PORT= another); Ctrl-C stops it
	@exec $(PY) manage.py up --port "$(PORT)" $(ARGS)

ROWS = tests/jobs tests/console/test_turn.py \
	tests/console/test_beat.py::test_what_could_not_be_written_down_is_written_later \
	tests/e2e/test_prepare_beside.py tests/e2e/test_backup.py tests/e2e/test_docs_of_backups.py

ATTACKS = tests/test_attack_matrix.py tests/api/test_openapi_fuzz.py tests/api/test_access.py tests/api/test_input.py \
	tests/test_odd_requests.py tests/attacks

test: venv-dev ## run every test (ARGS="-k name" chooses)
	@$(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder --ignore=tests/shipped $(ARGS)
	@test -n "$(ARGS)" || { echo "The rows once more, on PostgreSQL:"; $(PY) tests/on_postgres.py -m pytest -q -n 3 $(ROWS); }

shipped: venv-dev ## build the images in a bare root and run every role as the manifests say (needs root and debootstrap)
	@$(PY) -m pytest -q -p no:randomly tests/shipped $(ARGS)

check: venv-dev ## lint, format, types, import contracts, Django's checks, migrations, docs
	@.ci/check

fix: venv-dev ## mend what can be mended by a tool
	@$(PY) -m ruff check --fix --quiet . || true
	@$(PY) -m ruff format .
	@$(dir $(PY))djangofmt --quiet templates

lock: venv-dev ## write the exact versions and hashes of *.in (UPGRADE=--upgrade for newer ones)
	@$(PY) -m uv pip compile $(UPGRADE) --quiet --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" --output-file requirements.txt requirements.in
	@$(PY) -m uv pip compile $(UPGRADE) --quiet --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" --output-file requirements-dev.txt requirements-dev.in

cases: venv-dev ## compare the console with plain `kedro run`, case by case (FOLDER=/of/other/projects, ARGS="--only name")
	@PYTHONPATH=.:pipelines $(PY) -m tests.cases $(if $(FOLDER),"$(FOLDER)") $(ARGS)

bench: venv-dev ## measure against plain Kedro and plain Celery, side by side (ARGS=rounds)
	@for each in warm_start fan_out machine_learning report; do PYTHONPATH=pipelines $(PY) -m bench.$$each $(ARGS) || exit 1; echo; done

bench-signals: venv-dev ## the same for rules, quotas and batch queues: by events against by the clock, and a loop under kills
	@for each in signals loop batches; do PYTHONPATH=pipelines $(PY) -m bench.$$each $(ARGS) || exit 1; echo; done

bench-ticks: venv-dev ## due times in real time under kills beside django-celery-beat alone, and a simulated year of them
	@for each in ticks year; do PYTHONPATH=pipelines $(PY) -m bench.$$each || exit 1; echo; done

bench-pages: venv-dev ## every page with 100 runs and with a million, on SQLite and PostgreSQL (ARGS="--runs 100000 --keep FOLDER")
	@PYTHONPATH=pipelines $(PY) -m bench.pages $(ARGS)

bench-stores: venv-dev ## a store that fails, is away and hangs for a minute, and 300 MB from S3
	@for each in store_faults store_download; do PYTHONPATH=pipelines $(PY) -m bench.$$each $(ARGS) || exit 1; echo; done

bench-machines: venv-dev ## three machines whose links are cut, dead, slow and late, and a rolling upgrade (as root)
	@PYTHONPATH=pipelines $(PY) -m bench.machines $(ARGS)

bench-crowd: venv-dev ## 1,000 runs at once, 10,000 open pages, a log of a gigabyte, a million files in one run
	@PYTHONPATH=pipelines $(PY) -m bench.crowd $(ARGS)

attacks: venv-dev ## every address by every method as everybody, and made-up calls, on PostgreSQL (FUZZ_EXAMPLES=100)
	@$(PY) tests/on_postgres.py -m pytest -q -n 2 --dist loadfile $(ATTACKS) $(ARGS)

gallery: venv-dev ## take a picture of each page into docs/gallery (ARGS="--only run"); needs a Chromium
	@PYTHONPATH=pipelines $(PY) -m bench.gallery $(ARGS)

chaos: venv-dev ## break things for MINUTES=10 while runs go on, then audit (DATABASE=postgres, SEED=)
	@PYTHONPATH=.:pipelines $(PY) $(if $(filter postgres,$(DATABASE)),tests/on_postgres.py) -m tests.chaos.run \
	  --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

kills: venv-dev ## kill -9 a child, a worker, everything at TIMES=50 random moments; runs are resumed (SEED=)
	@PYTHONPATH=.:pipelines $(PY) -m tests.chaos.kills --times $(TIMES) $(if $(SEED),--seed $(SEED)) $(ARGS)

wheel: venv-dev ## build dist/kedro_console-VERSION-py3-none-any.whl, which `pip install` and pipx take
	@$(PY) -m hatchling build --target wheel

clean: ## remove the virtual environment and the caches; var/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Its scripts name the folder where they were made: when the tree was moved or copied since, it is made anew.
venv:
	@here="$$(pwd -P)"; \
	if ! $(PY) -c "" 2>/dev/null || [ "$$(cat .venv/place 2>/dev/null || echo "$$here")" != "$$here" ]; then \
	  $(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1)' 2>/dev/null \
	    || { echo "Python 3.11 or newer is needed: name one with PYTHON=/path/to/python3.12."; exit 1; }; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo "$(PYTHON) cannot make a virtual environment: install its venv package (Debian: python3-venv)."; exit 1; }; \
	  echo "Making .venv …"; \
	  rm -rf .venv && $(PYTHON) -m venv .venv || exit 1; \
	fi; \
	echo "$$here" > .venv/place
	@cmp -s requirements.txt .venv/installed || { \
	  echo "Installing the requirements …" && $(call install,requirements.txt) && cp requirements.txt .venv/installed; }

venv-dev: venv
	@cmp -s requirements-dev.txt .venv/installed-dev || { \
	  echo "Installing the requirements of the tests …" && $(call install,requirements-dev.txt) \
	  && cp requirements-dev.txt .venv/installed-dev; }
