# `make` lists the targets. Each installs what it needs in .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# For training and development. PyTorch's CPU builds are a tenth the size of the CUDA ones that Linux gets from PyPI:
#   make train TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# Passed to the program that a target runs: make test ARGS="-k api -x", make train ARGS=--help
ARGS ?=

# npm starts the tools in node_modules with the Node.js that it finds on the PATH.
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm

PIP := $(BIN)/python -m pip --disable-pip-version-check
PIP_INSTALL := $(PIP) install $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# ---- use ----

.PHONY: run
run: $(VENV)/serve.stamp ## start the app on http://127.0.0.1:5000, for development
	$(BIN)/python flask_app.py $(ARGS)

.PHONY: serve
serve: $(VENV)/serve.stamp ## start the app under gunicorn, as in production
	$(BIN)/python -m gunicorn $(ARGS)

.PHONY: train
train: $(VENV)/train.stamp ## train a network and write runs/mnist_model.pth, its .onnx and CSV files; ARGS="--output FILE" chooses others
	$(BIN)/python train_model.py --output runs/mnist_model.pth $(ARGS)

.PHONY: robustness
robustness: $(VENV)/train.stamp ## measure mnist_model.pth on every set under DIGITS_DATA_DIR, to reports/
	$(BIN)/python evaluate_model.py --robustness $(ARGS)

.PHONY: strings
strings: $(VENV)/dev.stamp ## measure number_model.pth on whole numbers: composed, drawn and on cheques
	$(BIN)/python -m benchmarks.numbers $(ARGS)

# ---- develop ----

# One process per core, with one thread each.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal --durations 10

.PHONY: test
test: $(VENV)/dev.stamp ## run all tests, on all cores
	$(PYTEST) $(ARGS)

.PHONY: coverage
coverage: $(VENV)/dev.stamp ## run all tests and show branches that they miss; takes 1.5 times as long
	$(PYTEST) --cov --cov-report term:skip-covered $(ARGS)

.PHONY: fuzz-api
fuzz-api: $(VENV)/dev.stamp ## test the API with many requests generated from its OpenAPI document
	$(BIN)/python -m pytest tests/web/test_docs.py -k conform --fuzz $(ARGS)

.PHONY: test-cluster
test-cluster: $(VENV)/dev.stamp ## run a batch on two Ray nodes on this machine; installs Ray
	$(PIP_INSTALL) 'ray[data]'
	REQUIRE_RAY=1 $(BIN)/python -m pytest tests/batch/test_ray_cluster.py $(ARGS)

.PHONY: check
check: $(VENV)/dev.stamp node_modules/.package-lock.json ## lint, formatting, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(NPM) run --silent check

.PHONY: animation
animation: $(VENV)/dev.stamp ## record the animation in the README again; needs Chromium
	$(BIN)/python -m docs.record_drawing

.PHONY: format
format: $(VENV)/dev.stamp node_modules/.package-lock.json ## fix formatting, and what the linters can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(NPM) run --silent format

.PHONY: audit
audit: $(VENV)/dev.stamp ## look for known vulnerabilities in the code, the packages and the Dockerfile
	$(BIN)/bandit --quiet --configfile pyproject.toml --severity-level medium --recursive .
	$(BIN)/hadolint Dockerfile
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement requirements.txt

.PHONY: sbom
sbom: $(VENV)/dev.stamp ## list the packages that serving needs, as CycloneDX, in sbom.cdx.json
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --of JSON -o sbom.cdx.json requirements-serve.txt

# ---- proofs: Linux only; chaos, slow-clients, overload and smuggling need nginx ----

# Each prints a report, writes it to benchmarks/results/, and fails if a requirement is not met.
.PHONY: proofs
proofs: soak chaos fuzz fuzz-cost slow-clients overload smuggling ## all of the proofs below; takes one to two hours

.PHONY: soak
soak: $(VENV)/dev.stamp ## 200,000 requests, 30 % hostile: no 5xx, no wrong answer, no memory growth
	$(BIN)/python -m benchmarks.load.soak $(ARGS)

.PHONY: chaos
chaos: $(VENV)/dev.stamp ## kill a worker every second for five minutes, under load
	$(BIN)/python -m benchmarks.load.chaos $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/dev.stamp ## 20,000 hostile pictures
	$(BIN)/python -m benchmarks.load.fuzz $(ARGS)

.PHONY: fuzz-cost
fuzz-cost: $(VENV)/dev.stamp ## processor time for every part of a request at 10 to 1,000 KB
	$(BIN)/python -m benchmarks.load.cost $(ARGS)

.PHONY: slow-clients
slow-clients: $(VENV)/dev.stamp ## 300 clients that never finish their requests, for a minute
	$(BIN)/python -m benchmarks.load.slow_clients $(ARGS)

.PHONY: overload
overload: $(VENV)/dev.stamp ## ten times the load that the server can handle, for a minute
	$(BIN)/python -m benchmarks.load.overload $(ARGS)

.PHONY: smuggling
smuggling: $(VENV)/dev.stamp ## check that nginx and gunicorn agree where ambiguous HTTP/1 requests end
	$(BIN)/python -m benchmarks.load.smuggling $(ARGS)

.PHONY: bench
bench: $(VENV)/dev.stamp ## speed, memory and start-up time, compared with a bare Flask view
	$(BIN)/python -m benchmarks.load.serving $(ARGS)

.PHONY: clean
clean: ## remove the virtual environment and all caches
	rm -rf $(VENV) node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

# ---- languages ----

# Babel reads whose sentences are to be translated in [tool.babel] of pyproject.toml.
.PHONY: translations
translations: $(VENV)/dev.stamp ## bring translations/ up to the sentences in the code; then translate in messages.po, and repeat
	$(BIN)/pybabel -q extract -F pyproject.toml --project=mnist-digit-recognizer --add-location=file --sort-by-file -o $(VENV)/messages.pot .
	$(BIN)/pybabel -q update -i $(VENV)/messages.pot -d translations -w 120 --no-fuzzy-matching --ignore-obsolete \
		--ignore-pot-creation-date
	$(BIN)/pybabel -q compile -d translations --statistics

# ---- dependencies ----

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; PYTHON=... names one" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# A stamp is as old as the last installation from its file. Each file contains the ones before it.
$(VENV)/serve.stamp: requirements-serve.txt | $(BIN)/python
	$(PIP) install --require-hashes --no-compile -r $<
	@touch $@

$(VENV)/train.stamp: requirements.txt | $(BIN)/python
	$(PIP_INSTALL) -r $<
	@touch $@ $(VENV)/serve.stamp

$(VENV)/dev.stamp: requirements-dev.txt | $(BIN)/python
	$(PIP_INSTALL) -r $<
	@touch $@ $(VENV)/train.stamp $(VENV)/serve.stamp

# What checks the scripts of the page, in the versions that package-lock.json pins.
node_modules/.package-lock.json: package-lock.json $(VENV)/dev.stamp
	$(NPM) ci --no-audit --no-fund
	@touch $@

# The largest set is resolved first; the smaller ones start from its versions, so that all three agree. The lock is
# made with CPU builds of torch, whose dependencies every platform shares, and names no build: installers choose one,
# which is why only the set without torch has hashes.
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(if $(TORCH_INDEX),PIP_EXTRA_INDEX_URL=$(TORCH_INDEX)) \
	$(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --no-emit-options \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host pyproject.toml

.PHONY: lock
lock: $(VENV)/dev.stamp ## renew requirements*.txt from pyproject.toml, to the newest versions that fit
	$(COMPILE) --upgrade --extra train --extra batch --extra dev -o requirements-dev.txt
	cp requirements-dev.txt requirements.txt
	$(COMPILE) --extra train --extra batch -o requirements.txt
	cp requirements.txt requirements-serve.txt
	$(COMPILE) --generate-hashes -o requirements-serve.txt
	sed -i.orig -E 's/^(torch==[0-9.]+)\+.*/\1/' requirements*.txt && rm requirements*.txt.orig
