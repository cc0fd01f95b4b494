# `make demo` shows the main job, `make test` proves it; both install what they need.
SHELL := /bin/bash
.DEFAULT_GOAL := build
.PHONY: build release demo test unit-test integration-test bench format lint docs clean

HALLMARK := $(CURDIR)/.build/debug/hallmark

build: .build/.dependencies
	swift build --product hallmark

release: .build/.dependencies
	swift build --configuration release --scratch-path .build-release --product hallmark

demo: build
	scripts/demo $(HALLMARK)

test: unit-test integration-test

# One build makes the tests and the command that the integration tests drive.
unit-test: .build/.dependencies
	swift build --build-tests
	swift test --skip-build

integration-test: .build/.dependencies
	scripts/install-test-dependencies
	@test -x $(HALLMARK) || swift build --product hallmark
	HALLMARK=$(HALLMARK) IntegrationTests/run

# BENCH=… hands options to it, as in `make bench BENCH="--parts registry --rounds 3"`.
bench: release
	swift build --configuration release --scratch-path .build-release --product hallmark-load
	scripts/install-test-dependencies wrk
	Benchmarks/run $(BENCH)

format:
	swift format --in-place --parallel --recursive Sources Tests Benchmarks Package.swift

lint:
	swift format lint --strict --parallel --recursive Sources Tests Benchmarks Package.swift

docs: build
	scripts/docs

clean:
	rm -rf .build .build-release

.build/.dependencies: scripts/install-build-dependencies
	scripts/install-build-dependencies
	@mkdir -p .build && touch $@
