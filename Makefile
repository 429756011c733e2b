# What each target does is in CONTRIBUTING.md. `make quickstart` and `make test` need Go, make and git only.

VERSION  ?= 0.1.0
COMMIT   := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
STAMP    := $(VERSION)$(if $(COMMIT),+$(COMMIT))
PLUGINS  := $(patsubst plugins/%/main.go,%,$(wildcard plugins/*/main.go))
GOBUILD  := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(STAMP)'
TOOL     := go tool -modfile=tools/go.mod
FUZZTIME ?= 30s

# The race detector needs a C compiler.
RACE := $(if $(shell command -v $${CC:-cc} 2>/dev/null),-race)

.PHONY: build quickstart test e2e fuzz bench lint generate check-generated clean

build: bin/keyway $(addprefix bin/,$(PLUGINS))

# go build knows what is current, so every target asks it.
.PHONY: bin/keyway $(addprefix bin/,$(PLUGINS))
bin/keyway:
	@$(GOBUILD) -o $@ ./host/cmd/keyway
$(addprefix bin/,$(PLUGINS)): bin/%:
	@$(GOBUILD) -o $@ ./plugins/$*

quickstart: build
	@sh examples/quickstart/run.sh

test:
	$(if $(RACE),,@echo 'make test: no C compiler, so the race detector is off' >&2)
	go vet ./...
	go test $(RACE) ./...

# Needs python3 with venv; installs the servers that it tests against into .cache on its first run.
e2e:
	go vet -tags e2e ./...
	rm -rf .cache/conformance
	go test $(RACE) -tags e2e -count=1 -timeout 20m ./e2e/...
	$(MAKE) fuzz
	go run ./e2e/conformance/table

fuzz:
	go run ./e2e/fuzz -fuzztime $(FUZZTIME)

bench:
	go run ./bench

lint:
	$(TOOL) golangci-lint run --build-tags e2e ./...
	cd sdk/proto && go tool -modfile=../../tools/go.mod buf lint
	cd sdk/proto && for old in ../../e2e/skew/*/keyway; do go tool -modfile=../../tools/go.mod buf breaking --against "$${old%/keyway}" || exit 1; done

generate:
	cd sdk/proto && go tool -modfile=../../tools/go.mod buf generate
	go generate ./...

# In a clean checkout: what is generated is what is committed.
check-generated: generate
	@git diff --exit-code -- . || { echo 'generated files are not current: run make generate and commit' >&2; exit 1; }

clean:
	rm -rf bin

# 1,000 kills and 50 stops of plugins under 2,000 requests a second, among others. The short form is part of e2e.
.PHONY: chaos bench-swap
chaos:
	go test -tags e2e -count=1 -v -timeout 15m -run TestChaos ./e2e/chaos -chaos.long

# 100 swaps under 2,000 requests a second, beside the same load without swaps.
bench-swap:
	go test -tags e2e -count=1 -v -timeout 15m -run TestSwapsUnderLoad ./bench/swap
