# `make` alone explains the targets. Everything they need beyond Go, make and git they install
# themselves, as Go modules and npm packages.

# One set of flags everywhere: others would compile everything a second time.
export GOFLAGS := -trimpath
# The tools' own modules are found by their folder, never through a workspace.
export GOWORK := off

STATIC  := CGO_ENABLED=0
BIN     := bin
GO_TOOL := go tool -modfile=internal/tools/go.mod

# The race detector needs a C compiler; a machine without one runs the tests without it.
RACE := $(if $(shell command -v $(firstword $(or $(CC),gcc)) 2>/dev/null),-race)

.DEFAULT_GOAL := help
.PHONY: help
help: ## explain the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/logfence
	@mkdir -p $(BIN)
	@$(STATIC) go build -o $(BIN)/logfence ./cmd/logfence

.PHONY: run
run: build ## a demo: a real Loki with two tenants' logs, and logfence in front of it
	@$(STATIC) go build -o $(BIN)/logfence-demo ./cmd/logfence-demo
	@exec $(BIN)/logfence-demo

.PHONY: loki
loki: ## find or build the Loki and logcli that the demo and the tests run
	@$(STATIC) go run ./internal/demo/findloki

# Tests of one goroutine that look at many texts or bytes. The race detector finds nothing in them, and makes minutes of seconds.
LONG_LOOPS := '^(TestReprint|TestPatternsPrinted|TestLokisOwnQueries|FuzzReprint|FuzzQuery|FuzzPatternSelector|TestExportOfLongLines|TestContextIsBounded)$$'

# What is run before a second configuration of Loki: everything about fresh logs, once more with caches and stored patterns.
ISOLATION := '^(TestQueriesMatchAlphaAlone|TestHostileQueriesMatchAlphaAlone|TestEndpointsMatchAlphaAlone|TestSeriesMatchAlphaAlone|TestPatternsMatchAlphaAlone|TestEveryTenantSeesItsOwn)$$/^(ingester|[0-9]+)$$'

.PHONY: test
test: loki proxies ## run every test, those against a real Loki included
	go test $(RACE) -count=1 -timeout=20m -skip $(LONG_LOOPS) ./...
	$(STATIC) go test -count=1 -run $(LONG_LOOPS) ./internal/tenancy ./internal/httpapi
	LOGFENCE_TEST_LOKI_CONFIG=caches-and-patterns $(STATIC) go test -count=1 -timeout=20m -run $(ISOLATION) ./internal/e2e
	$(STATIC) go test -C internal/tools ./...
	@$(MAKE) --no-print-directory test-reference
	@$(MAKE) --no-print-directory test-typescript
	@$(MAKE) --no-print-directory test-explore
	@$(MAKE) --no-print-directory test-conformance

.PHONY: test-lokis
test-lokis: ## run the tests of isolation before each version of Loki in each configuration (VERSIONS, CONFIGURATIONS), and print the table of docs/lokis.md
	@$(STATIC) go run ./internal/demo/lokis -versions "$(VERSIONS)" -configurations "$(CONFIGURATIONS)"

.PHONY: test-memory
test-memory: loki ## run the tests of the memory budget: the worst case in a real process, and random mixes (FOR, default 2m)
	LOGFENCE_TEST_LOAD=memory $(STATIC) go test -count=1 -timeout 20m -run '^TestMemoryBudget$$' -v ./internal/e2e
	LOGFENCE_TEST_LOAD=memory LOGFENCE_TEST_LOAD_TIME=$(or $(FOR),2m) go test $(RACE) -count=1 -timeout 2h -run '^(TestOrderOfResources|TestTinyBudget)$$' -v ./internal/limits ./internal/httpapi

.PHONY: test-proxies
test-proxies: proxies ## run the tests behind nginx and haproxy, with live tails that are silent for 75 seconds
	LOGFENCE_TEST_LOAD=proxies $(STATIC) go test -count=1 -timeout 20m -run 'Prox|BelowAPath|RollingRestart' -v ./deploy

.PHONY: test-conformance
test-conformance: loki internal/tools/node/node_modules ## run day.arazzo.yaml with Redocly Respect, against a real logfence and Loki
	$(STATIC) go test -count=1 -run '^TestADay$$' ./internal/conformance -redocly $(CURDIR)/internal/tools/node/node_modules/.bin/redocly

.PHONY: test-typescript
test-typescript: build ## test the TypeScript client in Node and Chromium, against a real logfence and Loki
	gen/typescript/test/run.sh $(CURDIR)/$(BIN)/logfence "$$($(STATIC) go run ./internal/demo/findloki)"

.PHONY: test-explore
test-explore: build ## test the log explorer in Chromium, against a real logfence and Loki
	$(STATIC) go build -o $(BIN)/stack ./internal/demo/stack
	internal/web/explore/test/run.sh $(CURDIR)/$(BIN)/logfence $(CURDIR)/$(BIN)/stack "$$($(STATIC) go run ./internal/demo/findloki)" $(ARGS)

.PHONY: test-explore-all
test-explore-all: ## test the log explorer in every look and in Firefox as well, as CI does every night
	LOGFENCE_TEST_EXPLORE_ALL=1 $(MAKE) --no-print-directory test-explore

.PHONY: screenshots
screenshots: build ## make the pictures of the README, in internal/web/explore/screenshots
	$(STATIC) go build -o $(BIN)/stack ./internal/demo/stack
	MAIN=test/screenshots.ts internal/web/explore/test/run.sh $(CURDIR)/$(BIN)/logfence $(CURDIR)/$(BIN)/stack "$$($(STATIC) go run ./internal/demo/findloki)"

.PHONY: test-reference
test-reference: build ## run the tests of the reference in Chromium (needs Node; SCREENSHOTS=folder keeps pictures)
	sh internal/tools/node/reference/test.sh $(CURDIR)/$(BIN)/logfence

.PHONY: bench
bench: build $(BIN)/bench nginx loki ## measure logfence beside httputil.ReverseProxy, and write internal/bench/README.md (BEFORE=binary: beside an earlier build, too; ROUNDS, default 6)
	$(BIN)/bench -logfence $(BIN)/logfence -before "$(BEFORE)" -rounds $(or $(ROUNDS),6) -loki "$$($(STATIC) go run ./internal/demo/findloki)"

.PHONY: bench-check
bench-check: build $(BIN)/bench nginx ## fail when logfence exceeds a budget of cost
	$(BIN)/bench -logfence $(BIN)/logfence -before "$(BEFORE)" -rounds $(or $(ROUNDS),3) -check

.PHONY: $(BIN)/bench
$(BIN)/bench:
	@mkdir -p $(BIN)
	@$(STATIC) go build -o $@ ./internal/bench

# A program of Debian's, by its name and package: the bench fails without nginx, and the tests of docs/proxies.md are skipped.
debian = @command -v $(1) >/dev/null || [ -x /usr/sbin/$(1) ] || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { \
	echo "installing $(1) by apt-get (once)"; \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(2); } >/dev/null || true; }

.PHONY: nginx
nginx:
	$(call debian,nginx,nginx-light)

.PHONY: proxies
proxies: nginx ## install nginx and haproxy, which the tests of docs/proxies.md run (Debian, as root)
	$(call debian,haproxy,haproxy)

.PHONY: bench-go
bench-go: ## run the Go benchmarks, in a form that benchstat reads
	$(STATIC) go test -run '^$$' -bench . -benchmem ./...

# Minimizing is bounded: by default it may take longer than the search, and stall it.
FUZZ := $(STATIC) go test -run '^$$' -fuzztime $(or $(FUZZTIME),2m) -fuzzminimizetime 10x

.PHONY: fuzz
fuzz: ## look for queries, cursors and tokens that pass where they must not (FUZZTIME each, default 2m)
	$(FUZZ) -fuzz '^FuzzQuery$$' ./internal/tenancy
	$(FUZZ) -fuzz '^FuzzPatternSelector$$' ./internal/tenancy
	$(FUZZ) -fuzz '^FuzzReprint$$' ./internal/tenancy
	$(FUZZ) -fuzz '^FuzzCursor$$' ./internal/pages
	$(FUZZ) -fuzz '^FuzzQuery$$' ./internal/hint
	$(FUZZ) -fuzz '^FuzzVerify$$' ./internal/auth
	$(FUZZ) -fuzz '^FuzzClaims$$' ./internal/auth
	$(FUZZ) -fuzz '^FuzzReadCredential$$' ./internal/auth
	$(FUZZ) -fuzz '^FuzzShape$$' ./internal/auth
	$(FUZZ) -fuzz '^FuzzSecondOpinion$$' ./internal/auth

.PHONY: fuzz-cost
fuzz-cost: ## look for queries that cost more to parse than is taken, or are refused and cost little (FUZZTIME, default 2m)
	GOMAXPROCS=1 $(FUZZ) -parallel=1 -fuzz '^FuzzCost$$' ./internal/tenancy
	GOMAXPROCS=1 LOGFENCE_COST_SEARCH=$(or $(FUZZTIME),2m) $(STATIC) go test -timeout 0 -v -run '^TestCostSearch$$' ./internal/tenancy

# Rebuilt when its module changes.
$(BIN)/gremlins: internal/tools/mutation/go.mod internal/tools/mutation/go.sum
	@mkdir -p $(BIN)
	$(STATIC) go build -C internal/tools/mutation -o $(CURDIR)/$@ github.com/go-gremlins/gremlins/cmd/gremlins

# One worker: the tests of a package measure times, and use all cores by themselves. Each mutant that no test
# notices is listed as LIVED.
.PHONY: mutate
mutate: $(BIN)/gremlins ## change the code of some packages and list the changes that no test notices (PACKAGES; takes hours)
	@for p in $(or $(PACKAGES),tenancy access loki httpapi); do \
		$(STATIC) $(BIN)/gremlins unleash --workers 1 --timeout-coefficient 20 --output-statuses lt $(MUTATE) ./internal/$$p || exit 1; \
	done

.PHONY: generate
generate: ## generate openapi.yaml from spec/, and gen/ from openapi.yaml
	$(STATIC) go run -C internal/tools ./spec -repo $(CURDIR)
	$(STATIC) go generate ./gen/...

.PHONY: generate-typescript
generate-typescript: generate gen/typescript/node_modules ## generate the TypeScript client from openapi.yaml (needs Node)
	npm --silent --prefix gen/typescript run generate

gen/typescript/node_modules: gen/typescript/package-lock.json
	npm ci --prefix gen/typescript --no-fund --no-audit
	@touch $@

.PHONY: reference
reference: generate internal/tools/node/node_modules ## build the reference in gen/reference (needs Node)
	node internal/tools/node/reference/build.mjs

.PHONY: explore
explore: internal/web/explore/node_modules ## build the log explorer in gen/explore (needs Node)
	npm --silent --prefix internal/web/explore run build

internal/web/explore/node_modules: internal/web/explore/package-lock.json
	npm ci --prefix internal/web/explore --no-fund --no-audit
	@touch $@

.PHONY: site
site: internal/tools/node/node_modules ## build the reference as one page for a static site in bin/site (needs Node)
	@mkdir -p $(BIN)/site
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true internal/tools/node/node_modules/.bin/redocly build-docs openapi.yaml -o $(BIN)/site/index.html --inlineBundle
	cp openapi.yaml $(BIN)/site/

.PHONY: lint
lint: $(BIN)/golangci-lint ## run the linters
	$(STATIC) $(BIN)/golangci-lint run ./...

.PHONY: lint-spec
lint-spec: internal/tools/node/node_modules ## run the linters of openapi.yaml, Redocly and Spectral with OWASP's rules (needs Node)
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true internal/tools/node/node_modules/.bin/redocly lint
	internal/tools/node/node_modules/.bin/spectral lint --quiet --fail-severity hint --ruleset internal/tools/node/spectral.yaml openapi.yaml

.PHONY: lint-typescript
lint-typescript: internal/tools/node/node_modules ## run the linter and check the format of TypeScript, with Biome (needs Node)
	internal/tools/node/node_modules/.bin/biome check --error-on-warnings

.PHONY: format-typescript
format-typescript: internal/tools/node/node_modules ## fix the format of TypeScript, and what the linter can fix
	internal/tools/node/node_modules/.bin/biome check --write

# No package needs its install script; one reports the installation to its maker.
internal/tools/node/node_modules: internal/tools/node/package-lock.json
	npm ci --prefix internal/tools/node --ignore-scripts --no-fund --no-audit
	@touch $@

# Rebuilt when its module changes.
$(BIN)/golangci-lint: internal/tools/lint/go.mod internal/tools/lint/go.sum
	@echo "building golangci-lint (once, about three minutes)"
	@mkdir -p $(BIN)
	$(STATIC) go build -C internal/tools/lint -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

# Rebuilt when their module changes.
$(BIN)/helm $(BIN)/kubeconform: internal/tools/helm/go.mod internal/tools/helm/go.sum
	@echo "building $(@F) (once; helm takes about three minutes)"
	@mkdir -p $(BIN)
	$(STATIC) go build -C internal/tools/helm -o $(CURDIR)/$@ $(if $(findstring helm,$(@F)),helm.sh/helm/v3/cmd/helm,github.com/yannh/kubeconform/cmd/kubeconform)

$(BIN)/schemas/_definitions.json: internal/tools/helm/schemas/main.go
	$(STATIC) go run -C internal/tools/helm ./schemas -out $(CURDIR)/$(BIN)/schemas

.PHONY: check-deploy
check-deploy: $(BIN)/helm $(BIN)/kubeconform $(BIN)/schemas/_definitions.json ## check the chart and the rest of deploy/
	$(STATIC) go test -count=1 ./deploy -tools $(CURDIR)/$(BIN)

# Rebuilt when their module changes.
$(BIN)/goreleaser $(BIN)/cyclonedx-gomod: internal/tools/release/go.mod internal/tools/release/go.sum
	@echo "building $(@F) (once; goreleaser takes about five minutes)"
	@mkdir -p $(BIN)
	$(STATIC) go build -C internal/tools/release -o $(CURDIR)/$@ $(if $(findstring gore,$(@F)),github.com/goreleaser/goreleaser/v2,github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod)

.PHONY: release
release: $(BIN)/goreleaser $(BIN)/cyclonedx-gomod ## make a draft release of the tag that is checked out (CI does)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/goreleaser release --clean

.PHONY: release-check
release-check: $(BIN)/goreleaser $(BIN)/cyclonedx-gomod ## make what a release is made of in dist/, for this machine alone, and publish nothing
	$(BIN)/goreleaser check
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/goreleaser build --snapshot --clean --single-target

.PHONY: generated
generated: generate generate-typescript reference explore ## fail when openapi.yaml or gen/ is stale
	@git diff --exit-code -- openapi.yaml gen || { echo "openapi.yaml or gen/ is stale: run 'make generate generate-typescript reference explore' and commit it" >&2; exit 1; }
	@test -z "$$(git status --porcelain -- gen)" || { git status --short -- gen; echo "gen/ has files that are not committed" >&2; exit 1; }

.PHONY: terms
terms: ## list the words that docs/terms.md replaces, and fail when there are more than 5
	@$(STATIC) go run -C internal/tools ./terms -repo $(CURDIR) -budget 5

.PHONY: tidy
tidy: ## fail when go.mod is not tidy
	go mod tidy -diff

.PHONY: breaking
breaking: ## fail when openapi.yaml breaks what the last release promised
	$(STATIC) go run -C internal/tools ./breaking -repo $(CURDIR)

.PHONY: check
check: breaking generated tidy terms lint lint-spec lint-typescript check-deploy ## what CI runs beside the tests
