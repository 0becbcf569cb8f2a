# Sallyport. The two commands: make demo, make test.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

GO       ?= go
BINARIES := sallyport sallyport-broker sallyport-agent
STATE    ?= .demo
WEB      ?=
SSH      ?=
FUZZTIME ?= 20s
ONLY     ?=
SECONDS  ?=
BENCHARGS ?=
CRASHES  ?= 120
TOOL     := $(GO) tool -modfile=.tools/go.mod

.PHONY: build web binaries demo test browser lint prove bench fuzz peers clean

build: web binaries ## the web application and the three binaries

# The bundle is embedded from broker/web/dist. It is built anew when its source changed.
WEBSOURCE := $(shell find broker/web -path broker/web/node_modules -prune -o -path broker/web/dist -prune -o -path broker/web/e2e -prune -o -type f -print)
web: broker/web/dist/index.html ## the web application, into broker/web/dist
broker/web/dist/index.html: broker/web/node_modules/.package-lock.json $(WEBSOURCE) broker/api/openapi.json
	cd broker/web && npm run --silent shapes && npm run --silent build -- --logLevel warn
broker/web/node_modules/.package-lock.json: broker/web/package.json broker/web/package-lock.json
	@command -v npm >/dev/null || { echo "The web application is built with Node.js 20 or newer and npm. 'make binaries' builds without it."; exit 1; }
	cd broker/web && npm ci --ignore-scripts --no-audit --no-fund

binaries: ## the three binaries alone, static, into bin/
	@mkdir -p bin
	@for b in $(BINARIES); do \
	  echo "build bin/$$b"; \
	  CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/$$b ./cmd/$$b; \
	done

demo: build ## everything on loopback, with a fresh state; ends with Ctrl-C
	@rm -rf '$(STATE)'
	@mkdir -p '$(STATE)'
	@exec bin/sallyport demo --state '$(abspath $(STATE))/state' --ready '$(abspath $(STATE))/ready.json' \
	  $(if $(WEB),--web '$(WEB)') $(if $(SSH),--ssh '$(SSH)')

test: peers build browser ## everything, with real peers, a real browser and the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...

browser: peers build ## the web application in Chromium; pictures go to build/screens
	cd broker/web && npm run --silent check && npx playwright test $(SPECS)

# What no program reaches, and only tests call: the browser's side of an attachment, a
# recording in its own directory as it is being written, a console for tests.
TESTDOORS := ^cmd/internal/simulator/simulatortest/|^session/attach/(client|frame|proof)\.go:.* (NewClient|Client\..*|Proof\.sign|ParseChallenge)$$|^recordings/(reader|source)\.go:.* (Follow|folder\..*)$$

lint: ## formatting, vet, staticcheck, code that nothing reaches
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt these:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	@all=$$($(TOOL) deadcode ./cmd/...); \
	dead=$$(echo "$$all" | grep -vE '$(TESTDOORS)' || true); \
	if [ -n "$$dead" ]; then echo "delete what no program reaches:"; echo "$$dead"; exit 1; fi

prove: $(if $(SECONDS),attacks,everything) ## what a release must pass; SECONDS=900 tries the attacks alone, in about so long

.PHONY: attacks everything
attacks: peers build
	@$(GO) run ./cmd/internal/prove attacks $(if $(SECONDS),-seconds $(SECONDS))

everything: lint test attacks
	CGO_ENABLED=1 $(GO) test -race -count=5 -shuffle=on -timeout 60m ./session/... ./agent/... ./broker/... ./recordings/...
	SALLYPORT_PROVE=1 CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 60m ./recordings ./recordings/exchange ./recordings/replay/... ./broker/audit ./session/files
	SALLYPORT_PROVE=1 $(GO) test -count=1 -timeout 60m -run '^TestClients$$' ./cmd/internal/stories
	SALLYPORT_PROVE=1 $(GO) test -count=1 -v -timeout 30m -run '^TestALongRecordingOpensAtOnce$$' ./cmd/internal/player
	cd broker/web && SALLYPORT_PROVE=1 npx playwright test --project=stories seek
	SALLYPORT_PROVE=1 $(GO) test -count=1 -v -timeout 60m ./cmd/internal/scale
	SALLYPORT_PROVE=1 $(GO) test -count=1 -v -timeout 10m -run '^TestCallsBesideMuch$$' ./broker/access
	$(GO) test -count=1 -timeout 60m -run '^TestLifeOfAGrant$$' ./agent -rapid.checks=2000
	$(GO) test -count=1 -timeout 30m -run '^TestLedgerAgainstItsModel$$' ./agent/ledger -rapid.checks=2000
	SALLYPORT_PROVE=1 $(GO) test -count=1 -v -timeout 10m -run '^TestStopWithEverythingElseStopped$$' ./cmd/internal/crash
	SALLYPORT_CRASHES=$(CRASHES) CGO_ENABLED=1 $(GO) test -race -count=1 -v -timeout 60m ./cmd/internal/crash
	$(GO) run ./cmd/internal/prove fuzz -time 10m
	$(GO) run ./cmd/internal/prove hours

bench: peers ## the table of ratios against OpenSSH; takes a few quiet minutes
	$(GO) test -tags bench -count=1 -timeout 30m -run '^TestTable$$' -v ./cmd/internal/bench $(BENCHARGS)
	$(if $(BENCHARGS),,$(GO) test -tags bench -count=1 -timeout 30m -p 1 -run '^TestFigures$$' -v ./cmd/internal/attached ./cmd/internal/screens)

fuzz: ## every fuzz target for FUZZTIME, or the ones that ONLY names; the hours are kept in .ci/fuzz.tsv
	$(GO) run ./cmd/internal/prove fuzz -time $(FUZZTIME) $(if $(ONLY),-only '$(ONLY)')

peers: ## the programs that the tests talk to
	@.ci/peers
	@$(GO) -C cmd/internal/roundtrip/testdata/zitadel mod download

clean:
	rm -rf bin build broker/web/node_modules agent/modality/mpps/testdata/node_modules '$(STATE)'
	find broker/web/dist -mindepth 1 ! -name .keep -delete
