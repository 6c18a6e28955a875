# Gatehouse. `make help` lists what there is.
BUILD ?= build
ASAN  := build-asan
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
KILLS ?= 10000
CONFIG ?= etc/gatehouse.dev.yaml

all: build ## build the gateway into build/ (installs what is missing)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

build:
	@tools/install-deps build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >/dev/null
	@ninja -C $(BUILD) $(NINJAFLAGS)

run: build ## run the gateway on the embedded defaults: mail in on 127.0.0.1:2525, out into var/mail
	@mkdir -p var
	@exec $(BUILD)/gatehouse serve -c $(CONFIG)

asan:
	@tools/install-deps test
	@test -f $(ASAN)/build.ninja || meson setup $(ASAN) -Dtests=true -Dbuildtype=debugoptimized \
	    -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja -C $(ASAN) $(NINJAFLAGS)

test: asan ## all tests, built with ASan and UBSan; TESTS=pattern for some
	@tools/run-tests $(ASAN) $(TESTS)

check: ## format, layers, headers, banned functions, both compilers without a warning
	@tools/install-deps test
	@tools/check-layers
	@tools/check-format
	@tools/check-banned
	@tools/check-headers
	@tools/check-warnings

format: ## lay out the C sources as .clang-format says
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: build ## install; DESTDIR= and PREFIX= (/usr/local) as usual
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@ninja -C $(BUILD) >/dev/null
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

haraka: ## install Haraka and its plugins from npm where tests/e2e/test_haraka.py looks for them
	@mkdir -p /var/tmp/gatehouse-test-haraka
	@cd /var/tmp/gatehouse-test-haraka && npm install --no-audit --no-fund --ignore-scripts --omit=dev \
	    --omit=optional --prefix . Haraka@3.3.4 haraka-plugin-rspamd@1.6.1 haraka-plugin-spamassassin@1.1.2

bench: build ## all of bench/, against SpamAssassin and Postfix on this host
	@tools/install-deps test
	@for b in bench/*; do test -x "$$b" -a ! -d "$$b" && { echo "== $$b"; "$$b" || exit 1; }; done

fuzz: ## every fuzz target for FUZZ_SECONDS (60) each
	@tools/install-deps test
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tools/run-fuzz $(TARGETS)

crash: build ## kill the gateway KILLS (10000) times under load; no promised message may be lost
	@tools/install-deps test
	@GATEHOUSE_BINARY=$(BUILD)/gatehouse tests/crash/crash.py --kills $(KILLS)

parity: build ## rule hits compared with SpamAssassin's own, on CORPUS=DIR (default: our messages)
	@tools/install-deps test
	@tests/parity/parity --binary $(BUILD)/gatehouse $(if $(EXPECTED),--expected $(EXPECTED)) $(CORPUS)

parity-net: build ## hits of network rules compared with SpamAssassin's, both asking one name server on loopback
	@tools/install-deps test
	@tests/parity/net --binary $(BUILD)/gatehouse --minimum 0.995 --show 10 $(CORPUS)

clean: ## remove what was built
	@rm -rf build build-*

.PHONY: help all build run asan test check format install haraka bench fuzz crash parity parity-net clean
.DEFAULT_GOAL := all
