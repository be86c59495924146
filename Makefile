# What is done with this project, one word each. Every target installs what it needs (tests/setup.sh).

CARGO ?= cargo
FUZZ_SECONDS ?= 60
CHAOS_COMMANDS ?= 100000
BUF := tests/schema/node_modules/.bin/buf
# What the console is made of: it is built again where something of it is newer.
WEB_SOURCES := $(shell find web/src web/public bindings/typescript/fleetwire bindings/typescript/google -type f) \
  $(wildcard web/*.json web/*.ts web/*.mjs) web/index.html docs/schema/openapi.json
CARGO_DENY := .tools/cargo-deny-0.20.2/bin/cargo-deny

.PHONY: help
help: ## This list.
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18

.PHONY: demo
demo: $(if $(shell command -v npm),web,without-web) ## Build, start a platform and an agent with a device behind it, print the URL to open.
	$(CARGO) build --locked --bins
	$(CARGO) run --locked --quiet --bin fleetwire -- demo

.PHONY: web
web: web/dist/index.html ## Build the console, which the platform's program then has in it. Wants Node.js.

web/dist/index.html: $(WEB_SOURCES) web/node_modules/.made-from
	cd web && npm run --silent build

# The mark is that of tests/setup/node.sh.
web/node_modules/.made-from: web/package-lock.json
	cmp -s $< $@ || (cd web && npm ci --loglevel=error --no-audit --no-fund </dev/null)
	cp $< $@

.PHONY: without-web
without-web:
	@echo "There is no Node.js: the platform is built without its console."

.PHONY: setup
setup: ## Install what the tests need: packages of other registries, a browser.
	sh tests/setup.sh

.PHONY: test
test: test-bindings test-web test-rust ## Run every test.

.PHONY: test-rust
test-rust: setup web
	$(CARGO) test --locked

.PHONY: test-bindings
test-bindings: setup
	.tools/python/bin/python -m pytest -q bindings/python
	cd bindings/typescript && npm test --silent
	cd bindings/go && go vet ./... && go test -count=1 ./...

.PHONY: test-web
test-web: setup web
	cd web && npm run --silent test

.PHONY: bench
bench: setup ## Measure beside the yardsticks; BENCH="--help" says what, BENCH="bulk echo" chooses.
	sh benches/setup.sh
	$(CARGO) bench --locked --bench tunnel -- $(BENCH)

.PHONY: chaos
chaos: setup ## The proof of delivery with CHAOS_COMMANDS (100000), over an hour; FLEETWIRE_SEED=N repeats a run.
	FLEETWIRE_CHAOS_COMMANDS=$(CHAOS_COMMANDS) $(CARGO) test --locked --release --test chaos -- --nocapture proof

.PHONY: thirty-days
thirty-days: setup ## Thirty simulated days with a command a minute over one connection: nothing grows.
	FLEETWIRE_CHAOS_DAYS=30 $(CARGO) test --locked --release --test chaos -- --nocapture days

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZ_SECONDS (60) on its kept corpus.
	sh fuzz/run.sh $(FUZZ_SECONDS)

.PHONY: fuzz-canary
fuzz-canary: ## Check that each fuzz target finds a fault put in on purpose.
	sh fuzz/canary.sh $(FUZZ_SECONDS)

.PHONY: lint
lint: setup deny ## Check format, lints for each set of features, dependencies and the schema's style.
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features -- -D warnings
	for features in agent platform cli; do \
	  $(CARGO) clippy --locked --lib --bins --no-default-features --features $$features -- -D warnings || exit 1; \
	done
	cd web && npm run --silent check
	$(BUF) lint
	$(BUF) format --diff --exit-code --exclude-path proto/google

.PHONY: deny
deny: $(CARGO_DENY)
	$(CARGO_DENY) --log-level error check --hide-inclusion-graph licenses bans sources

# A tool from Cargo's registry, in a folder that is named after its version. It runs for seconds:
# built without optimisation it is there in a quarter of the time.
$(CARGO_DENY): folder = $(patsubst %/bin/,%,$(dir $@))
$(CARGO_DENY):
	CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --locked --debug --root $(folder) \
	  --target-dir .tools/build $(notdir $@)@$(patsubst $(notdir $@)-%,%,$(notdir $(folder)))
	rm -rf .tools/build

.PHONY: bindings
bindings: setup ## Generate the Python, TypeScript and Go bindings from the schema.
	rm -rf bindings/go/api bindings/go/google bindings/go/link bindings/python/fleetwire \
	  bindings/python/google bindings/typescript/fleetwire bindings/typescript/google
	$(BUF) generate

.PHONY: docs
docs: setup ## Write the reference of the protocol and the documents in docs/schema from the schema.
	FLEETWIRE_UPDATE=1 $(CARGO) test --locked --test it documents

.PHONY: screenshots
screenshots: setup web ## Take the documentation's pictures again, in Chromium; those of all the console's pages are in target/pictures.
	$(CARGO) build --locked --bins
	tests/browser/screenshots.sh
	mkdir -p target/pictures
	FLEETWIRE_TEST_PICTURES=$(CURDIR)/target/pictures $(CARGO) test --locked --test it web::
	for page in overview command alert; do cp target/pictures/$$page.png docs/images/; done
	cp target/pictures/alerts-phone-dark.png docs/images/

.PHONY: release-schema
release-schema: setup ## Keep the schema as that of the version in Cargo.toml: later ones stay compatible with it.
	sh tests/schema/release.sh
