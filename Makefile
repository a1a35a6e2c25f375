# Marquee. `make help` lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
# A lock names every package: install exactly those. A resolver would follow extras to releases that the lock doesn't name.
LOCK := $(PIP) --no-deps --require-hashes --requirement
# In seconds what takes pip minutes. It doesn't read pip's configuration: where only that names an index, pip does it.
UV_LOCK := VIRTUAL_ENV=$(CURDIR)/$(VENV) uv pip install --quiet --no-deps --require-hashes --requirement
PIP_CHECK := $(BIN)/pip check --disable-pip-version-check >/dev/null
COMPOSE ?= docker compose
SERVICES := auth catalog stream progress thumbnailer
PROTOS := $(shell find proto -name '*.proto')
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Running

.PHONY: run
run: build ## serve http://127.0.0.1:8080 in the foreground (needs Python 3.11+ only)
	@exec marquee serve

.PHONY: demo
demo: $(VENV)/embedded ## make sample films and upload them to a running Marquee
	@marquee demo

.PHONY: build
build: $(VENV)/embedded web/dist/index.html ## install what running needs and build the web site

.PHONY: db-init
db-init: $(VENV)/embedded ## make or migrate the embedded databases without serving
	@marquee migrate

.PHONY: thumb
thumb: $(VENV)/embedded ## make media information and artwork of every video again, by a running Marquee; KIND=thumbnail: only that
	@marquee reprocess $(addprefix --kind ,$(KIND))

.PHONY: services
services: $(VENV)/dev web/dist/index.html ## run five processes on temporary PostgreSQL, RabbitMQ and Redis
	@scripts/install-test-tools.sh
	@exec python -m tests.stacks.services

.PHONY: env
env: ## write .env with fresh secrets for compose, if there is none
	@scripts/make-env

.PHONY: up
up: env ## build and start everything in containers; MARQUEE_DOMAIN=films.example: with HTTPS
	@scripts/set-domain
	@scripts/set-version
	$(COMPOSE) build
	$(COMPOSE) up --detach --wait
	@docker image prune --force --filter label=org.opencontainers.image.title=marquee >/dev/null

.PHONY: upgrade
upgrade: ## bring what runs in containers to this checkout's version, without a failed request
	@scripts/upgrade $(VERSION)

.PHONY: rollback
rollback: ## bring what runs in containers back to the version before
	@scripts/upgrade --back

.PHONY: down
down: ## stop the containers; their data stays
	$(COMPOSE) down

.PHONY: pin-images
pin-images: env ## pin the images that others make to what their tags mean today, in .env
	@scripts/pin-images

.PHONY: images
images: env ## build the container images
	$(COMPOSE) build

## Working on it

.PHONY: test
test: $(VENV)/dev web/dist/index.html ## check everything: lint, types, unit, contract, integration, end to end
	scripts/install-test-tools.sh --with-docker
	scripts/run-tests

.PHONY: check
check: $(VENV)/dev ## the quick part of test: lint, types, unit tests without servers (90 s)
	scripts/run-checks

.PHONY: test-deep
test-deep: $(VENV)/dev ## what tests draw at random (property tests, state machines, fuzzing), many times as often (1 h)
	@scripts/install-test-tools.sh
	scripts/run-deep-tests

.PHONY: mutate
mutate: $(VENV)/dev ## put faults into slots, ledger, ranges, visibility and tokens, and check that tests find 90 % (30 min)
	@scripts/install-test-tools.sh
	scripts/mutate $(GROUP)

.PHONY: loadtest
loadtest: $(VENV)/embedded ## viewers of a running Marquee for one minute: make loadtest VIEWERS=50 (see loadtest/)
	@$(LOCK) requirements/loadtest.txt
	@$(PIP_CHECK)
	@locust --locustfile loadtest/locustfile.py --headless --only-summary \
		--host "$${MARQUEE_URL:-http://127.0.0.1:8080}" --users $(or $(VIEWERS),20) --spawn-rate 10 --run-time 1m

.PHONY: bench
bench: $(VENV)/embedded ## measure the stream service beside nginx and others, and the media pipeline (15 min; QUICK=1: 3 min), write docs/benchmarks*.md
	@scripts/install-test-tools.sh --bench
	@$(LOCK) requirements/bench.txt
	@$(PIP_CHECK)
	@python -m loadtest.bench --docs docs $(if $(QUICK),--quick)
	@python -m loadtest.pipeline --docs docs $(if $(QUICK),--quick)

.PHONY: bench-search
bench-search: $(VENV)/embedded ## measure lists, rows and search on SQLite and PostgreSQL, up to 100,000 films (25 min; SCALE=0.1: a tenth of it, 8 min; QUICK=1: 3 min), write docs/benchmarks-search.md after a full run
	@scripts/install-test-tools.sh --bench
	@$(LOCK) requirements/bench.txt
	@$(PIP_CHECK)
	@python -m loadtest.search --docs docs $(if $(QUICK),--quick) $(if $(SCALE),--scale $(SCALE))

.PHONY: lint
lint: $(VENV)/dev ## ruff, mypy, import contracts, length of files, proto lint, freshness of what is generated and of the seeded faults
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint-types lint-code lint-generated

.PHONY: lint-types lint-code lint-generated
lint-types:
	mypy
lint-code:
	ruff check .
	ruff format --check .
	scripts/check-length
	scripts/check-words
	lint-imports
lint-generated:
	scripts/check-proto
	scripts/check-generated
	scripts/mutate --check

.PHONY: format
format: $(VENV)/dev ## format the Python code
	ruff check --fix .
	ruff format .

.PHONY: proto
proto: $(VENV)/dev ## generate the gRPC and event stubs
	scripts/generate-proto libs/protos

.PHONY: migration
migration: $(VENV)/dev ## write a revision of a service's tables from its models: make migration SERVICE=catalog NAME=add_series
	@scripts/new-migration "$(SERVICE)" "$(NAME)"

.PHONY: openapi
openapi: $(VENV)/embedded ## write the merged OpenAPI document that the web site serves
	python -m apps.marquee.openapi web/public/openapi.json

.PHONY: docs
docs: $(VENV)/dev ## write docs/reference and the gateway's table of aliases from the code
	python -m apps.marquee.reference .

.PHONY: lock
lock: $(VENV)/dev ## pin every dependency set anew; KEEP=1: only what pyproject.toml adds or drops
	@for name in $(SERVICES) embedded loadtest bench dev uv; do \
		uv pip compile --quiet --universal --python-version 3.11 --group $$name --generate-hashes \
			--no-emit-index-url --no-header --no-annotate $(if $(KEEP),,--upgrade) --output-file requirements/$$name.txt; \
	done

.PHONY: clean
clean: ## remove what was built; data in var/ stays
	rm -rf $(VENV) .cache web/dist web/node_modules
	find . -name __pycache__ -prune -exec rm -rf {} +

## Files

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Marquee needs Python 3.11 or newer; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making the virtual environment"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/embedded: requirements/embedded.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what running needs"
	@$(LOCK) requirements/embedded.txt
	@$(PIP_CHECK)
	@$(PIP) --no-build-isolation --no-deps -e .
	@touch $@

# The set for developing contains the one for running.
$(VENV)/dev: requirements/dev.txt requirements/uv.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what developing needs"
	@$(LOCK) requirements/uv.txt
	@$(UV_LOCK) requirements/dev.txt || $(LOCK) requirements/dev.txt
	@$(PIP_CHECK)
	@$(PIP) --no-build-isolation --no-deps -e .
	@touch $(VENV)/embedded $@

WEB_SOURCES := $(shell find web/src web/docs web/public -type f) web/index.html web/package.json web/vite.config.ts web/compress.mjs

web/node_modules/.package-lock.json: web/package-lock.json | $(VENV)/embedded
	@echo "Installing what the web site is built with"
	@cd web && npm ci --no-audit --no-fund --silent
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES) | $(VENV)/embedded
	@echo "Building the web site"
	@cd web && npm run build --silent
	@touch $@
