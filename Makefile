# All that a fresh machine needs is make and python3 (3.11 or newer); works with the make 3.81 of macOS, too.
# ARGS goes on to the program: `make test ARGS="tests/kalman -k nile"`, `make up ARGS="--port 8123"`.

PYTHON ?= python3
EXTRAS ?= serving,imaging,local,operator,dev
ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/installed

.DEFAULT_GOAL := help
.PHONY: help install up test test-slow images cluster-assets cluster-up cluster-down test-cluster lint format bench-accounts bench-anomaly bench-bombs bench-finance bench-http bench-imaging bench-indicators bench-jobs bench-live bench-market bench-metrics bench-statespace bench-uploads bench-validation pins clean clean-data

help: ## print these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## install Luna and its tools into .venv

# `exec`: luna is make's own child. A SIGTERM to make is passed on to its children, not to theirs.
up: $(INSTALLED) ## start Luna on this machine until Ctrl-C
	@exec $(BIN)/luna up $(ARGS)

# Tests of the operator and the chart need an API server; one that the environment names need not be built.
CLUSTER := $(if $(KUBECONFIG)$(KUBEBUILDER_ASSETS),,cluster-assets)

# Tests empty the Redis that they are given, and compare all of a cluster's Accounts: two workers would meet there.
WORKERS := $(if $(KUBECONFIG)$(LUNA_TEST_REDIS_URL),0,2)

test: $(INSTALLED) $(CLUSTER) ## run the tests, but those that take minutes
	@exec $(BIN)/pytest -m "not slow" -n $(WORKERS) $(ARGS)

test-slow: $(INSTALLED) $(CLUSTER) ## run the tests that take minutes
	@exec $(BIN)/pytest -m slow $(ARGS)

# Outside the checkout, for all of them: LUNA_CLUSTER_ASSETS, else ~/.cache/luna/cluster/<version>.
cluster-assets: $(BIN)/python ## build the Kubernetes API server that tests use, minutes, once
	@exec $(BIN)/python -m tests.cluster.assets

# Root on Debian or Ubuntu, x86-64, without a registry: docs/node.md. With KUBECONFIG, the chart on that cluster. ARGS are
# options of `helm upgrade`: make cluster-up ARGS="--set serving.workers.cpu.min=2".
cluster-up: $(INSTALLED) ## run Luna on a real Kubernetes node on this machine; the first time an hour
	@exec $(BIN)/python -m tests.cluster.node up $(ARGS)

cluster-down: $(INSTALLED) ## end the node of cluster-up, put the machine back as it was
	@exec $(BIN)/python -m tests.cluster.node down

test-cluster: $(INSTALLED) ## delete pods of cluster-up's Luna under load, write docs/reliability.md
	@LUNA_TEST_NODE=1 exec $(BIN)/pytest -m slow tests/cluster_node $(ARGS)

lint: $(INSTALLED) ## check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(INSTALLED) ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench-accounts: $(INSTALLED) cluster-assets ## measure the operator, minutes; ARGS="--accounts 300" is a short run
	@exec $(BIN)/python -m benchmarks.accounts $(ARGS)

bench-anomaly: $(INSTALLED) ## measure model alerts, half an hour; ARGS="speed" is a minute
	@exec $(BIN)/python -m benchmarks.anomaly $(ARGS)

bench-bombs: $(INSTALLED) ## measure a Kalman call beside decompression bombs, two minutes
	@exec $(BIN)/python -m benchmarks.bombs $(ARGS)

bench-finance: $(INSTALLED) ## measure the finance engines beside their peers, minutes; ARGS=--quick is one
	@exec $(BIN)/python -m benchmarks.finance $(ARGS)

bench-http: $(INSTALLED) ## measure Luna beside its peers (needs wrk)
	@exec $(BIN)/python -m benchmarks.http $(ARGS)

bench-validation: $(INSTALLED) ## measure the validation of tables beside pyarrow, a minute
	@exec $(BIN)/python -m benchmarks.validation $(ARGS)

bench-imaging: $(INSTALLED) ## measure the validation of X-ray images beside their decoding, a minute
	@exec $(BIN)/python -m benchmarks.imaging $(ARGS)

bench-indicators: $(INSTALLED) ## measure indicators beside TA-Lib and pandas-ta-classic, minutes
	@exec $(BIN)/python -m benchmarks.indicators $(ARGS)

bench-jobs: $(INSTALLED) ## measure the queue of jobs, a minute or two
	@exec $(BIN)/python -m benchmarks.jobs $(ARGS)

bench-live: $(INSTALLED) ## measure updates to many WebSockets, two minutes; ARGS="--active 100 --quiet 500" is a short run
	@exec $(BIN)/python -m benchmarks.live $(ARGS)

bench-market: $(INSTALLED) ## measure the import of prices beside pyarrow, minutes; ARGS="--bars 1000000" is a short run
	@exec $(BIN)/python -m benchmarks.market $(ARGS)

bench-metrics: $(INSTALLED) ## measure live metrics beside VictoriaMetrics and Prometheus, minutes; ARGS=--quick is a short run
	@exec $(BIN)/python -m benchmarks.metrics $(ARGS)

bench-uploads: $(INSTALLED) ## measure teams that upload and validate at once, minutes; ARGS="--teams 6" is a short run
	@exec $(BIN)/python -m benchmarks.uploads $(ARGS)

# Peers that are not installed are left out: `make install EXTRAS=serving,imaging,local,operator,dev,bench` has them all.
bench-statespace: $(INSTALLED) ## measure the filter beside its peers, minutes; ARGS=--quick is one
	@exec $(BIN)/python -m benchmarks.statespace $(ARGS)

# Further options of the build go in IMAGE_ARGS: --build-arg EXTRAS=serving,imaging,gpu, --build-arg BASE_IMAGE=..., --network host.
ENGINE ?= $(notdir $(shell command -v podman || command -v docker))
TAG ?= $(shell awk -F '"' '/^version = / { print $$2; exit }' pyproject.toml)
IMAGE_ARGS ?=
images: ## build the container images with podman or docker, minutes
	@test -n "$(ENGINE)" || { \
	  echo "Neither podman nor docker is on PATH. On Debian and Ubuntu: apt install podman" >&2; exit 1; }
	$(ENGINE) build $(IMAGE_ARGS) --file operator/Dockerfile --tag luna-operator:$(TAG) .
	$(ENGINE) build $(IMAGE_ARGS) --file serving/Dockerfile --tag luna-serving:$(TAG) .

# uv keeps the pins that still fit. It prints no index: the file serves whatever mirror pip uses.
pins: $(BIN)/python ## renew requirements.txt; all to their newest with ARGS=--upgrade
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@cp requirements.txt .venv/pins.txt
	$(BIN)/uv pip compile pyproject.toml --universal --extra serving --extra imaging --extra local --extra operator --extra dev --quiet \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --output-file .venv/pins.txt $(ARGS)
	@{ echo "# Constraints: every dependency of all extras but gpu and bench, pinned for every platform."; \
	   echo "# Renew with \`make pins\` after a change in pyproject.toml, with \`make pins ARGS=--upgrade\` for newer versions."; \
	   grep -v '^#' .venv/pins.txt; } > .venv/requirements.txt
	@mv .venv/requirements.txt requirements.txt
	@rm .venv/pins.txt

clean: ## remove .venv and every cache, but no data
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-data: ## remove .luna: accounts, keys and usage of `make up`
	rm -rf .luna

# The pipe shows the few large downloads of the many. Its status is awk's: a file tells pip's.
$(INSTALLED): pyproject.toml requirements.txt | $(BIN)/python
	@echo "Installing Luna and its dependencies into .venv (some minutes the first time)"
	@rm -f $@.failed
	@{ $(BIN)/python -m pip install --no-input --disable-pip-version-check --progress-bar off \
	     --constraint requirements.txt --editable '.[$(EXTRAS)]' || touch $@.failed; } \
	  | tee .venv/install.log | awk '/Downloading .*\([0-9][0-9][0-9.]* MB\)/ { print; fflush() }; \
	         /^Installing collected/ { print "  Installing " NF - 3 " packages"; fflush() }'
	@if test -e $@.failed; then tail -n 15 .venv/install.log >&2; exit 1; fi
# Else the processes of the first start would compile the same modules side by side.
	@$(BIN)/python -m compileall -q serving migrations operator
	@touch $@

# Interrupted, make removes the target, and the next run starts anew.
.DELETE_ON_ERROR:
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Luna needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)"; \
	  echo "If there is another one, name it: make install PYTHON=python3.12"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; } >&2
	@$(PYTHON) -m venv --clear .venv
