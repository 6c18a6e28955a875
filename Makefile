# Gatehouse. `make help` lists what there is.
BUILD ?= build
ASAN  := build-asan
PYTEST := /usr/bin/python3 -m pytest -p no:cacheprovider

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

all: build ## build the gateway into build/

build:
	@tools/install-deps build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >/dev/null
	@ninja -C $(BUILD)

asan:
	@tools/install-deps test
	@test -f $(ASAN)/build.ninja || meson setup $(ASAN) -Dtests=true -Dbuildtype=debugoptimized \
	    -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja -C $(ASAN)

.PHONY: help all build asan
.DEFAULT_GOAL := all
