# Lifeboat
#
# Targets: all (default), check, check-guests, bench, fuzz, lint, format, install, dist, clean
# Variables: V=1 (show commands), SANITIZE=address,undefined, WERROR=1, CC, CFLAGS, LDFLAGS,
#            PREFIX (/usr/local), DESTDIR, BUILD (build), TESTS (which tests `check` runs),
#            MATRIX=all (every guest test), GUESTS (which of them, by name), SECONDS_EACH, SEED (how long `fuzz` runs each target,
#            and with what)

PREFIX ?= /usr/local
BUILD ?= build
CFLAGS ?= -O2 -g
VERSION := 0.1

packages := libarchive blkid fdisk libkmod libelf libzstd zlib liblz4 liblzma libisoburn-1 libisofs-1 \
	    libburn-1 libcrypto mount ext2fs com_err inih jansson libbtrfsutil
warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	    -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wno-missing-field-initializers
all_cflags := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Ibuilder $(warnings) \
	      -fstack-protector-strong -pthread $(if $(WERROR),-Werror) \
	      -DLIFEBOAT_VERSION='"$(VERSION)"' -DLIFEBOAT_DATADIR='"$(PREFIX)/share/lifeboat"' \
	      $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) \
	      $(shell pkg-config --cflags $(packages)) $(CFLAGS)
all_ldflags := -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -Wl,--as-needed -Wl,--gc-sections $(LDFLAGS)
# libarchive's shared library pulls in libxml2 and ICU (36 MB, for formats that we do not use), and all
# that we link goes into the image: out of the static one only the functions that are used are taken (--gc-sections,
# without which its writer of tar brings those of all formats along).
static_archive := $(wildcard $(shell $(CC) -print-file-name=libarchive.a))
libs := $(patsubst -larchive,$(or $(static_archive),-larchive),$(shell pkg-config --libs $(packages))) \
	-lbz2 $(if $(static_archive),$(shell pkg-config --libs libacl))

sources := $(filter-out builder/main.c,$(wildcard builder/*/*.c))
objects := $(sources:%.c=$(BUILD)/%.o) $(BUILD)/help.o
unit_tests := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test-*.c))
test_tools := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/tools/*.c))
help_pages := $(sort $(wildcard man/lifeboat-*.1.scd))
man_pages := $(patsubst man/%.scd,$(BUILD)/man/%,$(wildcard man/*.scd))
services := $(patsubst systemd/%.in,$(BUILD)/systemd/%,$(wildcard systemd/*.service.in))
TESTS ?= $(unit_tests) $(wildcard tests/unit/*.t) $(wildcard tests/overlay/*.t)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $(2))

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.PHONY: print-cflags all check check-guests bench fuzz lint format install dist clean FORCE

all: $(BUILD)/lifeboat $(man_pages)

# Changed flags rebuild everything: the stamp's content is the flags.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(subst ','\'',$(all_cflags) $(all_ldflags))' | cmp -s - $@ || \
		printf '%s\n' '$(CC) $(subst ','\'',$(all_cflags) $(all_ldflags))' >$@

$(BUILD)/help.c: scripts/gen-help $(help_pages)
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)awk -f scripts/gen-help $(help_pages) >$@

$(BUILD)/help.o: $(BUILD)/help.c $(BUILD)/flags
	$(call say,CC,$@)
	$(Q)$(CC) $(all_cflags) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_cflags) -MMD -MP -c -o $@ $<

$(BUILD)/liblifeboat.a: $(objects)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(objects)

$(BUILD)/lifeboat: $(BUILD)/builder/main.o $(BUILD)/liblifeboat.a
	$(call say,LD,$@)
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(libs)

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/liblifeboat.a
	$(call say,LD,$@)
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(libs)

$(BUILD)/man/%: man/%.scd
	$(call say,MAN,$@)
	@mkdir -p $(@D)
	$(Q)scdoc <$< >$@

$(BUILD)/systemd/%: systemd/%.in $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)sed 's,@PREFIX@,$(PREFIX),g' $< >$@

# The quick tests: no root, no guest.
check: $(BUILD)/lifeboat $(unit_tests) $(BUILD)/tests/tools/loader-oracle
	$(Q)BUILD=$(abspath $(BUILD)) prove --exec '' $(TESTS)

# Real kernels, servers and machines; see tests/guest/README.
check-guests: all $(test_tools)
	$(Q)BUILD=$(abspath $(BUILD)) MATRIX=$(MATRIX) tests/guest/run $(GUESTS)

bench: all $(test_tools)
	$(Q)BUILD=$(abspath $(BUILD)) tests/bench/run

# libFuzzer targets, one per parser: each runs SECONDS_EACH on its corpus plus what it finds.
# The same SEED tries the same things again; 0 takes another one each time.
SECONDS_EACH ?= 60
SEED ?= 1
fuzzers := $(patsubst tests/fuzz/fuzz-%.c,%,$(wildcard tests/fuzz/fuzz-*.c))
runs := $(fuzzers:%=fuzz-run-%)
.PHONY: fuzz-library $(runs)
fuzz: $(runs)

$(runs): fuzz-run-%: $(BUILD)-fuzz/fuzz-%
	$(Q)mkdir -p $(BUILD)-fuzz/found/$*
	$(Q)$< -max_total_time=$(SECONDS_EACH) -seed=$(SEED) -print_final_stats=1 -verbosity=0 -close_fd_mask=2 \
		-artifact_prefix=$(BUILD)-fuzz/ $(BUILD)-fuzz/found/$* tests/fuzz/corpus/$*
	@echo "fuzz-$*: nothing found in $(SECONDS_EACH) s (seed $(SEED))"

# Once, before all of them: -j makes several at a time.
fuzz-library:
	$(Q)$(MAKE) -s BUILD=$(BUILD)-fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined $(BUILD)-fuzz/liblifeboat.a

$(BUILD)-fuzz/fuzz-%: tests/fuzz/fuzz-%.c fuzz-library
	$(call say,FUZZ,$@)
	$(Q)clang $(all_cflags) -Wl,--as-needed -Wl,--gc-sections -fsanitize=fuzzer,address,undefined -o $@ $< $(BUILD)-fuzz/liblifeboat.a $(libs)

lint:
	$(Q)scripts/lint

# For scripts/lint, which gives them to clang-tidy and cppcheck.
print-cflags:
	@printf '%s\n' '$(subst ','\'',$(all_cflags))'

format:
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

install: all $(services)
	install -d $(DESTDIR)/etc/lifeboat $(DESTDIR)$(PREFIX)/bin $(addprefix $(DESTDIR)$(PREFIX)/share/man/man,1 5 7)
	install -m 755 $(BUILD)/lifeboat $(DESTDIR)$(PREFIX)/bin/lifeboat
	install -m 644 $(filter %.1,$(man_pages)) $(DESTDIR)$(PREFIX)/share/man/man1
	$(if $(filter %.5,$(man_pages)),install -m 644 $(filter %.5,$(man_pages)) $(DESTDIR)$(PREFIX)/share/man/man5)
	install -m 644 $(filter %.7,$(man_pages)) $(DESTDIR)$(PREFIX)/share/man/man7
	install -d $(DESTDIR)$(PREFIX)/share/lifeboat $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	cp -R --preserve=mode overlay profiles starter $(DESTDIR)$(PREFIX)/share/lifeboat/
	install -m 644 recovery.conf $(DESTDIR)$(PREFIX)/share/lifeboat/recovery.conf
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 $(wildcard systemd/*.timer) $(services) $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 scripts/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/lifeboat

dist:
	git archive --prefix=lifeboat-$(VERSION)/ HEAD | zstd -q -19 >lifeboat-$(VERSION).tar.zst

clean:
	rm -rf $(BUILD)

-include $(objects:.o=.d) $(BUILD)/builder/main.d $(unit_tests:%=%.d) $(test_tools:%=%.d)
