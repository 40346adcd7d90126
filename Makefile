.DEFAULT_GOAL := help
.PHONY: help install test-apps nginx run fleet build test bench platforms check format docs clean

PYTHON ?= python3
VENV := .venv
CALENDAR := examples/calendar
# `make run APP=rails`: the same calendar in another framework; its Makefile installs what it needs.
CONFIG := $(if $(APP),examples/calendar-$(APP)/atc.yml,examples/atc.yml)
STATE := $(if $(APP),.atc/$(APP),.atc)

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed $(CALENDAR)/.venv/.installed ## install what is missing, below this directory

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -m venv --help >/dev/null 2>&1 || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q -e '.[dev]'
	@touch $@

$(CALENDAR)/.venv/.installed: $(CALENDAR)/requirements.txt
	$(PYTHON) -m venv $(CALENDAR)/.venv
	$(CALENDAR)/.venv/bin/pip install -q -r $(CALENDAR)/requirements.txt
	@touch $@

TEST_APPS := tests/platforms/apps
test-apps: $(TEST_APPS)/.venv/.installed

$(TEST_APPS)/.venv/.installed: $(TEST_APPS)/requirements.txt
	$(PYTHON) -m venv $(TEST_APPS)/.venv
	$(TEST_APPS)/.venv/bin/pip install -q -r $(TEST_APPS)/requirements.txt
	@touch $@

nginx:
	@command -v nginx >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends nginx; \
	  else echo "nginx is missing; on Debian: sudo apt-get install nginx" >&2; exit 1; fi; }

run: install nginx $(APP:%=calendar-%) ## serve the ten tenants of examples/atc.yml on http://localhost:8080
	$(VENV)/bin/atc run -c $(CONFIG) --state $(STATE)

calendar-%:
	@$(MAKE) --no-print-directory -C examples/$@

fleet: install nginx ## serve the same ten on four machines of a simulated Fly.io, on http://localhost:8080
	$(VENV)/bin/python -m simulator examples/fleet/machines.yml

build: install nginx ## write the configuration of examples/atc.yml to build/
	$(VENV)/bin/atc build -c examples/atc.yml --state .atc -o build

test: install nginx ## run every test
	$(VENV)/bin/pytest

bench: install nginx ## measure what atc costs; exit 1 when a bar is missed
	$(VENV)/bin/python -m bench

platforms: install nginx ## compare the calendars that are installed, framework by framework
	$(VENV)/bin/python -m bench platforms

check: install ## lint and types, without writing
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

format: install ## format the code
	$(VENV)/bin/ruff check --fix .

docs: install ## write the pages of docs/ that are made from the code
	$(VENV)/bin/atc reference docs

clean: ## remove what was installed and generated
	rm -rf $(VENV) $(CALENDAR)*/.venv $(CALENDAR)*/node_modules $(TEST_APPS)/.venv .atc build dist
