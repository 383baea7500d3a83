# Platen: the commands a person types. Each installs what it needs first.

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help demo test bench bench-guard packages build fmt samples build-deps test-deps bench-deps

help:
	@echo "make demo        carry sample scans from a hot folder to a signature, and stay up (ONCE=1: end by itself)"
	@echo "make test        every test"
	@echo "make packages    .deb files in $(TARGET)/packages"
	@echo "make bench       benchmark tables, beside tesseract and OCRmyPDF (BENCH_FLAGS=--quick: a dozen pages)"
	@echo "make bench-guard the steps of page processing against their bounds, on any machine"
	@echo "make build       release binaries"
	@echo "make samples     make the sample scans in testdata/samples anew"

build-deps:
	@packaging/build-deps.sh

test-deps:
	@packaging/build-deps.sh --test

bench-deps:
	@packaging/build-deps.sh --bench

# All programs at once: cargo would build what they share a second time for a smaller set of them.
build: build-deps
	$(CARGO) build --locked --release --workspace --bins

# Starts cloud and agent under var/demo, drops the samples into var/demo/inbox, and follows them to their ends.
demo: build
	$(TARGET)/release/platen-demo $(if $(ONCE),--once) --programs $(TARGET)/release --state var/demo

packages: build
	packaging/make-packages.sh $(TARGET)/release $(TARGET)/packages

fmt:
	$(CARGO) fmt --all

samples: build test-deps
	$(TARGET)/release/platen-testdata

# The programs are built first because the end-to-end tests start them.
test: test-deps
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) build --locked --workspace --bins
	$(MAKE) packages
	$(CARGO) test --locked --workspace --doc --quiet
	$(CARGO) nextest run --locked --workspace

# BENCH_FLAGS: --quick for a dozen pages, --rounds N for medians, --write docs/benchmarks.md to renew the tables there.
bench: build bench-deps
	$(TARGET)/release/platen-bench --programs $(TARGET)/release --peers $(TARGET)/bench/peers $(BENCH_FLAGS)

# Fails and names the step of page processing that takes longer than its bound, in passes over the page.
bench-guard: build-deps
	$(CARGO) bench --locked --workspace --bench ratios
