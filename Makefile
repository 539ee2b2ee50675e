# datatier_exporter.  `make demo` shows it at work, `make check` proves it; both
# install what they need first.  `make help` lists the rest.

VERSION    = 0.1.0
PREFIX     = /usr
BINDIR     = $(PREFIX)/bin
LIBDIR     = $(PREFIX)/lib
SYSCONFDIR = /etc
BUILD      = build

# ---- collectors: one line each; sources are collectors/NAME.c and NAME_*.c, and
# collectors/shared_curl.c where libcurl is used ----
COLLECTORS = postgresql redis kafka application
PKG_postgresql = libpq
PKG_redis      = libcurl hiredis
PKG_kafka      = rdkafka
PKG_application = libcurl

# Nothing beside the sources of the tests.
export PYTHONDONTWRITEBYTECODE = 1

CORE_PKGS  = libconfig libmicrohttpd libdeflate
PKG_CONFIG = pkg-config
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
       -Wmissing-prototypes -Wvla -Wformat=2 -Werror=implicit-function-declaration
CFLAGS ?= -O2 -g
HARDEN ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong
# SAN=address,undefined or SAN=thread builds everything with sanitizers, elsewhere.
ifneq ($(SAN),)
comma := ,
BUILD := build/$(firstword $(subst $(comma), ,$(SAN)))
CFLAGS := -O1 -g -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SAN)
HARDEN :=
endif
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -pthread $(WARN) $(HARDEN) $(CFLAGS) \
       -DVERSION='"$(VERSION)"' -DCOLLECTORS_DIR='"$(LIBDIR)/datatier/collectors"' \
       -DCONFIG_FILE='"$(SYSCONFDIR)/datatier/datatier.conf"'
ALL_LDFLAGS = -pthread -Wl,-z,relro,-z,now $(LDFLAGS)
pkg_cflags = $(shell $(PKG_CONFIG) --cflags $(1))
pkg_libs   = $(shell $(PKG_CONFIG) --libs $(1))

CORE_OBJS = $(patsubst %.c,$(BUILD)/%.o,$(filter-out exporter/main.c,$(wildcard exporter/*.c config/*.c)))
collector_objs = $(patsubst %.c,$(BUILD)/%.o,$(wildcard collectors/$(1).c collectors/$(1)_*.c) \
       $(if $(filter libcurl,$(PKG_$(1))),collectors/shared_curl.c))
COLLECTOR_SOS  = $(COLLECTORS:%=$(BUILD)/collectors/%.so)
TESTS     = $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
TEST_BINS = $(TESTS:%=$(BUILD)/tests/%)

all: $(BUILD)/datatier_exporter $(COLLECTOR_SOS)

$(BUILD)/datatier_exporter: $(BUILD)/exporter/main.o $(BUILD)/libcore.a
	$(CC) $(ALL_LDFLAGS) -rdynamic -o $@ $< -Wl,--whole-archive $(BUILD)/libcore.a \
	    -Wl,--no-whole-archive $(call pkg_libs,$(CORE_PKGS)) -ldl -lm

$(BUILD)/libcore.a: $(CORE_OBJS)
	@rm -f $@
	$(AR) rcs $@ $^

define collector_rules
$(BUILD)/collectors/$(1).so: $(call collector_objs,$(1))
	$$(CC) $$(ALL_LDFLAGS) -shared -o $$@ $$^ $$(call pkg_libs,$$(PKG_$(1))) -lm
$(call collector_objs,$(1)): COLLECTOR_CFLAGS = $$(call pkg_cflags,$$(PKG_$(1)))
endef
$(foreach c,$(COLLECTORS),$(eval $(call collector_rules,$(c))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(COLLECTOR_CFLAGS) $(call pkg_cflags,$(CORE_PKGS)) -MMD -MP -c -o $@ $<

# A test links the core and, where its name begins with a collector's
# (test_redis_info), that collector's objects.
test_collector = $(filter $(word 2,$(subst _, ,$(1))),$(COLLECTORS))
define test_rules
$(BUILD)/tests/$(1): $(BUILD)/tests/$(1).o $(call collector_objs,$(call test_collector,$(1))) $(BUILD)/libcore.a
	$$(CC) $$(ALL_LDFLAGS) -rdynamic -o $$@ $$^ $$(call pkg_libs,cmocka $$(CORE_PKGS) \
	    $$(PKG_$(call test_collector,$(1)))) -ldl -lm
endef
$(foreach t,$(TESTS),$(eval $(call test_rules,$(t))))

# The core is tested with two collectors that do as they are told.
FAKE = $(BUILD)/tests/collectors/fake.so $(BUILD)/tests/collectors/other.so
$(FAKE): $(BUILD)/tests/collectors/%.so: tests/fake.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -DFAKE='"$*"' $(ALL_LDFLAGS) -shared -MMD -MP -o $@ $<

tests: $(TEST_BINS) $(FAKE)

# A fuzz target links like a test; clang only, as libFuzzer is its own.
FUZZ      = $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
FUZZ_CC   = clang
FUZZ_BINS = $(FUZZ:%=build/fuzz/%)
fuzz_collector = $(filter $(firstword $(subst _, ,$(1))),$(COLLECTORS))
define fuzz_rules
build/fuzz/$(1): $(BUILD)/tests/fuzz/$(1).o $(call collector_objs,$(call fuzz_collector,$(1))) $(BUILD)/libcore.a
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_LDFLAGS) -fsanitize=fuzzer -rdynamic -o $$@ $$^ $$(call pkg_libs,$$(CORE_PKGS) \
	    $$(PKG_$(call fuzz_collector,$(1)))) -ldl -lm
endef
$(foreach f,$(FUZZ),$(eval $(call fuzz_rules,$(f))))
fuzz-bins: $(FUZZ_BINS)
fuzz:
	$(MAKE) CC=$(FUZZ_CC) SAN=fuzzer-no-link,address,undefined fuzz-bins

# ---- make check: all of it; tests/run WORD... runs some of what is built ----
JOBS = $(shell nproc)
THREADED = $(filter test_target% test_scrape% test_worker% test_postgresql_server%,$(TESTS))
check:
	packaging/deps.sh build check
	$(MAKE) -j$(JOBS) test-builds
	tests/run --counts build/counts

test-builds: all tests $(BUILD)/tests/load $(BUILD)/tests/service $(BUILD)/tests/kafka_tool $(BUILD)/tests/redis_load
	$(MAKE) SAN=address,undefined all tests
	$(MAKE) SAN=thread TESTS="$(THREADED)" all tests
	$(MAKE) fuzz

$(BUILD)/tests/load: tests/demo/load.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(call pkg_cflags,libpq hiredis rdkafka) $(ALL_LDFLAGS) -o $@ $< \
	    $(call pkg_libs,libpq hiredis rdkafka) -lm

$(BUILD)/tests/redis_load: tests/live/redis_load.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(call pkg_cflags,hiredis) $(ALL_LDFLAGS) -o $@ $< $(call pkg_libs,hiredis)

$(BUILD)/tests/service: tests/demo/service.c $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(call pkg_cflags,libmicrohttpd) $(ALL_LDFLAGS) -o $@ $^ \
	    $(call pkg_libs,$(CORE_PKGS)) -lm

$(BUILD)/tests/kafka_tool: tests/live/kafka_tool.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(call pkg_cflags,rdkafka) $(ALL_LDFLAGS) -o $@ $< $(call pkg_libs,rdkafka)

# Ends by Ctrl-C, or after DEMO_SECONDS.
demo:
	packaging/deps.sh build demo
	$(MAKE) -j$(JOBS) all $(BUILD)/tests/load $(BUILD)/tests/service
	@python3 tests/demo/demo.py $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

# Side by side with the exporters that Debian ships.
bench:
	packaging/deps.sh build check bench
	$(MAKE) -j$(JOBS) all $(BUILD)/tests/load $(BUILD)/tests/redis_load $(BUILD)/tests/service
	python3 tests/bench/bench.py

# METRICS.md and OPTIONS.md, from the tables; make check compares them.
references: all
	$(BUILD)/datatier_exporter --metrics > collectors/METRICS.md
	$(BUILD)/datatier_exporter --options > config/OPTIONS.md

# After a change of config/links.conf; and of config/grafana/panels.yml or of a threshold.
links:
	python3 config/links.py
	$(MAKE) dashboards
dashboards:
	python3 config/grafana/generate.py

# ---- style: `make format` settles it, `make lint` is quiet when all is well ----
CODE      = $(wildcard exporter/*.c config/*.c collectors/*.c)
HEADERS   = $(wildcard exporter/*.h config/*.h collectors/*.h)
TEST_CODE = $(wildcard tests/*.c tests/*/*.c)
CLANG_FORMAT = clang-format
format:
	$(CLANG_FORMAT) -i $(CODE) $(TEST_CODE)
	$(CLANG_FORMAT) -i --style=file:.clang-format-headers $(HEADERS) $(wildcard tests/*.h)
format-check:
	@$(CLANG_FORMAT) --dry-run --Werror $(CODE) $(TEST_CODE)
	@$(CLANG_FORMAT) --dry-run --Werror --style=file:.clang-format-headers $(HEADERS) \
	    $(wildcard tests/*.h)

# Each file is looked at again only when it or a header of its has changed.
LINT_CFLAGS = $(ALL_CFLAGS) $(call pkg_cflags,$(CORE_PKGS) $(foreach c,$(COLLECTORS),$(PKG_$(c))))
lint: all
	@python3 tests/test_source.py
	@$(MAKE) -k -j$(JOBS) --no-print-directory lint-files
lint-files: $(CODE:%=$(BUILD)/lint/%) $(BUILD)/lint/cppcheck
$(BUILD)/lint/%.c: %.c .clang-tidy $(BUILD)/%.o
	@mkdir -p $(@D)
	@echo 'lint $<'; clang-tidy --quiet $< -- $(LINT_CFLAGS) 2>$@.said || { cat $@.said; exit 1; }
	@touch $@
# Left out: funcArgOrderDifferent takes an unnamed parameter for a wrong one.
$(BUILD)/lint/cppcheck: $(CODE) $(HEADERS)
	@mkdir -p $(@D)
	@echo 'lint all together'; cppcheck -j$(JOBS) --quiet --error-exitcode=1 --inline-suppr \
	    --std=c11 -D__GNUC__ --enable=warning,performance,portability \
	    --suppress=funcArgOrderDifferent --suppress=missingIncludeSystem $(CODE)
	@touch $@

# What is configuration for other programs.
SHARED = prometheus alertmanager grafana runbooks

# DESTDIR for packagers.  What is in /etc belongs to the operator: kept.
install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/datatier/collectors \
	    $(DESTDIR)$(SYSCONFDIR)/datatier $(DESTDIR)$(SYSCONFDIR)/default
	install -m 755 $(BUILD)/datatier_exporter $(DESTDIR)$(BINDIR)
	install -m 644 $(COLLECTOR_SOS) $(DESTDIR)$(LIBDIR)/datatier/collectors
	cd config && find $(SHARED) -type f ! -name '*.py' ! -name panels.yml -print0 | \
	    xargs -0 -I '{}' install -D -m 644 '{}' '$(abspath $(DESTDIR)$(PREFIX))/share/datatier/{}'
	[ -e $(DESTDIR)$(SYSCONFDIR)/datatier/datatier.conf ] || \
	    install -m 644 config/datatier.conf $(DESTDIR)$(SYSCONFDIR)/datatier
	[ -e $(DESTDIR)$(SYSCONFDIR)/default/datatier-exporter ] || \
	    install -m 600 config/datatier-exporter.env $(DESTDIR)$(SYSCONFDIR)/default/datatier-exporter

help:
	@echo 'make          builds the program and its collectors into $(BUILD)/'
	@echo 'make check    installs what is missing, builds, runs all tests'
	@echo 'make demo     shows it at work; DEMO_SECONDS=90 ends it by itself'
	@echo 'make bench    measures it beside the exporters that Debian ships'
	@echo 'make fuzz     builds the fuzz targets into build/fuzz/'
	@echo 'make links    puts the base URLs of config/links.conf into alerts and dashboards'
	@echo 'make dashboards   from config/grafana/panels.yml and the alerts'
	@echo 'make format   settles the form of the code, format-check only looks'
	@echo 'make lint     clang-tidy, cppcheck and the rules of tests/test_source.py'
	@echo 'make install  into PREFIX (DESTDIR for packagers)'
	@echo 'make clean    removes build/'

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all tests fuzz fuzz-bins check test-builds demo bench references links dashboards install help \
        clean format format-check lint lint-files
.SECONDARY:
