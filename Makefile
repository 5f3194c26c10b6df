# Two commands matter: `make demo` and `make test`. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CACHE := $(or $(FLYWHEEL_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/flywheel)
export FLYWHEEL_CACHE := $(CACHE)
# Outside the checkout, so that a fresh clone builds what changed only.
export CARGO_TARGET_DIR ?= $(CACHE)/target
# For the programs that are built without the test bed.
export GOCACHE ?= $(CACHE)/go-build

TESTBED := $(CACHE)/bin/testbed
# The tests' bed keeps its state apart from the one that somebody works with.
STATE := $(or $(FLYWHEEL_STATE),$(or $(XDG_STATE_HOME),$(HOME)/.local/state)/flywheel)
TEST_STATE := $(patsubst %-test,%,$(STATE))-test
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := $(CACHE)/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
HURL_VERSION := 8.0.1
HURL := $(CACHE)/tools/hurl-$(HURL_VERSION)/bin/hurl
# Loads what `make env` prints. The assignment fails where it does; eval would not.
ENV := printed=$$($(TESTBED) env); set -a; eval "$$printed"; set +a

##@ The two commands
.PHONY: demo test
demo: up ## from documents to HTTPS names that answer; SPEC=FILE for one of yours
	@$(ENV); e2e/scripts/demo.sh $(SPEC)
# With clippy-driver around every ordinary build, told as `cargo clippy -- -D warnings`
# tells it: our crate is linted, one build of it serves all stages, and the
# dependencies are the ones the tests have built, not a second graph.
test check: export RUSTC_WORKSPACE_WRAPPER := clippy-driver
test check: export CLIPPY_ARGS := -D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
test: vacant ## run every test, on a bare machine too, with a table of times
	@e2e/scripts/stages.sh programs check test-fast test-kit test-scaffold test-payments test-control-plane test-bed test-e2e

##@ The test bed
.PHONY: up down env status programs vacant
up: $(TESTBED) ## start cluster, forge, DNS, edge and controller; mend what is broken
	@$(TESTBED) up
down: testbed-there ## end and remove all of it
	@$(TESTBED) down
env: testbed-there ## print export lines: eval "$(make env)"
	@$(TESTBED) env
status: testbed-there ## list what runs
	@$(TESTBED) status
programs: $(TESTBED) ## build every program the test bed runs, start nothing
	@$(TESTBED) build

# There is room for one full bed on a machine: better told now than in an hour.
vacant: $(TESTBED)
	@FLYWHEEL_STATE='$(TEST_STATE)' $(TESTBED) vacant

##@ Tests
.PHONY: check test-fast test-kit test-scaffold test-payments conformance-scaffold conformance-gate test-control-plane test-bed test-e2e test-external-dns fuzz soak soak-loop
check: $(TESTBED) $(CARGO_DENY) ## formatting, lints, licences, sources, generated files
	cargo fmt --check
	cargo fmt --check --manifest-path e2e/x402/Cargo.toml
	cargo fmt --check --manifest-path e2e/doubles/Cargo.toml
	cargo build --locked --bins --examples
	cargo test --locked --no-run --lib --test it --test e2e
	$(CARGO_DENY) --offline check bans licenses sources --hide-inclusion-graph
	$(CARGO_TARGET_DIR)/debug/flywheel generate --check
	@helm=$$($(TESTBED) program helm) && PATH="$$helm:$$PATH" manifests/render.sh --check
	e2e/scripts/check-go.sh
test-fast: ## what needs no server but its own: under a minute once built
	cargo test --locked --lib
	@# These are test-scaffold's, which has Bun.
	cargo test --locked --test it -- --skip scaffold:: --skip room::
	cd e2e/testbed && go test -short ./...
test-kit: $(TESTBED) ## the factory repository's kit, under Bun
	@e2e/scripts/test-kit.sh
test-scaffold: $(TESTBED) ## every document as a package, under Bun; FLYWHEEL_SPECS names more documents
	@e2e/scripts/test-scaffold.sh
test-payments: $(TESTBED) ## a wallet pays services, on a chain and by a facilitator of its own
	@$(TESTBED) with-payments e2e/scripts/test-payments.sh
conformance-scaffold: $(TESTBED) ## a row for each document: read, built, checked, asked over HTTP; DIR=FOLDER of documents
	@$(if $(DIR),FLYWHEEL_REQUIRE_SPECS=1 FLYWHEEL_SPECS='$(abspath $(DIR))') e2e/scripts/test-scaffold.sh scaffold::checked::every_package || exit 1
conformance-gate: $(TESTBED) ## a row for each test of the smoke-test plan in FLYWHEEL_SPECS, against generated services
	@e2e/scripts/test-scaffold.sh scaffold::smoke::every_test
test-control-plane soak-loop: export CLUSTER := no-node
test-control-plane soak-loop test-e2e: export FLYWHEEL_STATE := $(TEST_STATE)
test-control-plane: $(TESTBED) ## what needs a real API server, forge, zone and edge, and no node
	@trap '$(TESTBED) down' EXIT; $(TESTBED) up; $(ENV); \
	e2e/scripts/scenarios.sh control_plane::; e2e/scripts/scenarios.sh --test-threads 1 no_node:: --skip soak::
test-bed: $(TESTBED) ## the test bed itself: three times up and down, every part killed and healed
	cd e2e/testbed && go test -count=1 -timeout 20m -p 1 -tags bed ./...
test-e2e: vacant ## everything together, on the whole test bed
	@trap '$(TESTBED) down' EXIT; $(TESTBED) up; $(ENV); cargo test --locked --test e2e -- --test-threads 1 cluster::
test-external-dns: up ## external-dns itself beside Flywheel in one zone; builds it first, about 2 min
	@mkdir -p $(CACHE)/bin && cd e2e/external-dns && go build -o $(CACHE)/bin/external-dns .
	@$(ENV); export EXTERNAL_DNS=$(CACHE)/bin/external-dns; cargo test --locked --test e2e -- --ignored external_dns::
fuzz: SECONDS ?= 60
fuzz: $(CARGO_FUZZ) ## plans, answers and payment headers at random, SECONDS each; wants the nightly toolchain
	@for target in plan shape payment; do \
		mkdir -p $(CACHE)/fuzz/corpus/$$target; \
		PATH="$(dir $(CARGO_FUZZ)):$$PATH" CARGO_TARGET_DIR=$(CACHE)/fuzz/target cargo +nightly fuzz run $$target $(CACHE)/fuzz/corpus/$$target fuzz/seeds/$$target \
			-- -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1; \
	done
soak: $(TESTBED) ## what is too long for every run: SOAK_ROUNDS times up, kill something, heal, down; soak-loop
	@e2e/scripts/soak.sh
soak-loop: $(TESTBED) ## a controller's death at each boundary alone, then SOAK_ROUNDS random ones from SOAK_SEED
	@trap '$(TESTBED) down' EXIT; $(TESTBED) up; $(ENV); e2e/scripts/scenarios.sh --test-threads 1 --nocapture no_node::soak::

##@ Measurements
.PHONY: bench-up bench-rest bench-scaffold bench-gate
bench-up: export FLYWHEEL_STATE := $(TEST_STATE)
bench-up: vacant ## seconds from nothing to up, again, and down; last line is JSON
	@e2e/scripts/bench-up.sh
bench-rest: up ## calls of API server and forge while nothing happens; last line is JSON
	@$(ENV); e2e/scripts/bench-rest.sh
bench-scaffold: needs ## milliseconds from a document to its package, beside copier; FLYWHEEL_SPECS; last line is JSON
	@e2e/scripts/bench-scaffold.sh
bench-gate: $(HURL) ## milliseconds of a gate of 80 tests, beside Hurl; last line is JSON
	@e2e/scripts/bench-gate.sh $(HURL)

##@ Files that are generated
.PHONY: generate
generate: up ## CRDs, references, rendered manifests
	$(CARGO_TARGET_DIR)/debug/flywheel generate
	@$(ENV); manifests/render.sh

.PHONY: needs help testbed-there
needs:
	@e2e/scripts/needs.sh

# go build decides itself whether anything is to be done.
.PHONY: $(TESTBED)
$(TESTBED): needs
	@mkdir -p $(dir $@) && cd e2e/testbed && go build -o $@ .

# What only looks or ends does so with the program that started the bed, even
# where nothing could be built.
testbed-there:
	@[ -x $(TESTBED) ] || $(MAKE) $(TESTBED)

# In a directory of its own: its dependencies are nobody else's.
$(CARGO_DENY):
	@echo "building cargo-deny $(CARGO_DENY_VERSION) (about 1 min)"
	@# Not optimised: it runs for a second, and whoever waits for it waits for its build.
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	RUSTC_WORKSPACE_WRAPPER= CARGO_PROFILE_DEV_DEBUG=false CARGO_TARGET_DIR=$$tmp cargo install --debug cargo-deny --version $(CARGO_DENY_VERSION) --locked --quiet --root $(dir $(patsubst %/,%,$(dir $@)))

$(CARGO_FUZZ):
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	CARGO_TARGET_DIR=$$tmp cargo install cargo-fuzz --version $(CARGO_FUZZ_VERSION) --locked --quiet --root $(dir $(patsubst %/,%,$(dir $@)))

# It links libxml2 and libcurl, whose headers it needs: libxml2-dev,
# libcurl4-openssl-dev and libclang-dev on Debian.
$(HURL):
	@pkg-config --exists libxml-2.0 libcurl || { echo "Hurl needs libxml2-dev, libcurl4-openssl-dev and libclang-dev (Debian)" >&2; exit 1; }
	@echo "building Hurl $(HURL_VERSION) (about 5 min)"
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	CARGO_TARGET_DIR=$$tmp cargo install hurl --version $(HURL_VERSION) --locked --quiet --root $(dir $(patsubst %/,%,$(dir $@)))

help:
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
