# `make demo` shows the main job, `make test` proves it; both install what they need.
SHELL := /bin/bash
.DEFAULT_GOAL := build
.PHONY: build release demo install man completions test test-dependencies unit-test integration-test conformance-test bench fuzz format lint docs clean

HALLMARK := $(CURDIR)/.build/debug/hallmark
# With Swift's libraries linked in: it starts faster, takes less memory, and runs where no Swift is installed.
RELEASE := swift build --configuration release --scratch-path .build-release --static-swift-stdlib

# An option of `swift test` with its value, where this Swift has it. All tests at once would hold thousands of files open, and
# Foundation's Process (6.3) reads past the end of a list of more than some 1,300 of them.
if-known = $(shell swift test --help-hidden | grep -q -e $(1) && echo $(1) $(2))

build: .build/.dependencies
	swift build --product hallmark

release: .build/.dependencies
	$(RELEASE) --product hallmark

# The manual pages, one for each verb, and what makes shells complete: both from the command's own definition. PROGRAM is the
# binary that is asked, and installed.
PROGRAM ?= $(CURDIR)/.build-release/release/hallmark
PREFIX ?= /usr/local
SHARED = $(DESTDIR)$(PREFIX)/share

$(CURDIR)/.build-release/release/hallmark: release

man: $(PROGRAM)
	rm -rf man
	scripts/man $(PROGRAM) man

completions: $(PROGRAM)
	mkdir -p completions
	$(PROGRAM) completion bash >completions/hallmark
	$(PROGRAM) completion zsh >completions/_hallmark
	$(PROGRAM) completion fish >completions/hallmark.fish

install: man completions
	install -D --strip --mode 0755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/hallmark
	install -D --mode 0644 --target-directory $(SHARED)/man/man1 man/*.1
	install -D --mode 0644 completions/hallmark $(SHARED)/bash-completion/completions/hallmark
	install -D --mode 0644 completions/_hallmark $(SHARED)/zsh/site-functions/_hallmark
	install -D --mode 0644 completions/hallmark.fish $(SHARED)/fish/vendor_completions.d/hallmark.fish

demo: build
	scripts/demo $(HALLMARK)

# Some unit tests ask openssl, tar and skopeo for their opinion: what they need comes first.
test: test-dependencies unit-test integration-test

test-dependencies:
	scripts/install-test-dependencies

# By name: `--build-tests` may go on to build protoc and the tools of other packages.
unit-test: .build/.dependencies
	swift build --product hallmarkPackageTests
	swift test --skip-build $(call if-known,--experimental-maximum-parallelization-width,16)

integration-test: build test-dependencies
	swift build --product tuf-conformance-client
	swift build --product hallmark-load
	HALLMARK=$(HALLMARK) IntegrationTests/run

# TUF's own suite, which is not on PyPI: TUF_CONFORMANCE names a checkout of it.
conformance-test: .build/.dependencies
	swift build --product tuf-conformance-client
	IntegrationTests/tuf-conformance

# BENCH=… hands options to it, as in `make bench BENCH="--parts registry --rounds 3"`.
bench: release test-dependencies
	scripts/install-test-dependencies wrk nginx-light
	$(RELEASE) --product hallmark-load
	$(RELEASE) --product hallmark-metadata
	$(RELEASE) --product hallmark-updater
	Benchmarks/run $(BENCH)

# FUZZ=… is how many seconds.
fuzz: .build/.dependencies
	swift build --target TUF
	scripts/fuzz $(FUZZ)

format:
	swift format --in-place --parallel --recursive Sources Tests Benchmarks Package.swift

lint:
	swift format lint --strict --parallel --recursive Sources Tests Benchmarks Package.swift

docs: build
	scripts/docs

clean:
	rm -rf .build .build-release man completions

.build/.dependencies: scripts/install-build-dependencies
	scripts/install-build-dependencies
	@mkdir -p .build && touch $@
