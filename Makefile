# mailtide: one Makefile, not recursive. `./configure` is optional; it writes build/config.mk.

PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
DATADIR = $(PREFIX)/share
UNITDIR = $(PREFIX)/lib/systemd/user
SYSCONFDIR = /etc
CC = cc
CFLAGS = -O2 -g
VERSION = 0.1.0

-include build/config.mk

B = build
PACKAGES = lmdb openssl libzstd zlib libconfuse libgsasl jansson libetpan
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wconversion
# The asked-for libraries through pkg-config; libev ships no .pc file.
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS = $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lev -lpthread
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(WARN) -Ilib -I$(B) $(PKG_CFLAGS) $(CFLAGS) \
	-DMAILTIDE_VERSION='"$(VERSION)"' -DMAILTIDE_DATADIR='"$(DATADIR)/mailtide"'

LIB_SRC = $(wildcard lib/*/*.c)
CMD_SRC = $(wildcard cmd/*.c)
UNIT_SRC = $(wildcard t/unit/*.c)
FUZZ_SRC = $(wildcard t/fuzz/*.c)
# Helpers of the tests, one program a file; preload libraries end in _preload.c.
TLIB_SRC = $(filter-out %_preload.c,$(wildcard t/lib/*.c))
PRELOAD_SRC = $(wildcard t/lib/*_preload.c)

LIB_OBJ = $(LIB_SRC:%.c=$(B)/%.o)
CMD_OBJ = $(CMD_SRC:%.c=$(B)/%.o)
UNITS = $(UNIT_SRC:%.c=$(B)/%)
FUZZERS = $(FUZZ_SRC:%.c=$(B)/%)
TLIBS = $(TLIB_SRC:%.c=$(B)/%)
PRELOADS = $(PRELOAD_SRC:%.c=$(B)/%.so)

.PHONY: all deps deps-test demo check test-programs bench fuzz soak install clean asan
.SECONDARY:

all: deps
	@$(MAKE) --no-print-directory $(B)/mailtide

$(B)/mailtide: $(CMD_OBJ) $(B)/libmailtide.a
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(CMD_OBJ) $(B)/libmailtide.a $(PKG_LIBS)

$(B)/libmailtide.a: $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $(LIB_OBJ)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/t/unit/%: t/unit/%.c $(B)/libmailtide.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -It -MMD -MP $(LDFLAGS) -o $@ $< $(B)/libmailtide.a $(PKG_LIBS)

# Without libFuzzer each fuzzer is a program that replays the files it is given.
$(B)/t/fuzz/%: t/fuzz/%.c $(B)/libmailtide.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -It -MMD -MP $(LDFLAGS) $(FUZZ_FLAGS) -o $@ $< $(B)/libmailtide.a $(PKG_LIBS)

$(B)/t/lib/%: t/lib/%.c $(B)/libmailtide.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -It -MMD -MP $(LDFLAGS) -o $@ $< $(B)/libmailtide.a $(PKG_LIBS)

$(B)/t/lib/%_preload.so: t/lib/%_preload.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(WARN) -O2 -shared -fPIC -o $@ $< -ldl

-include $(LIB_OBJ:.o=.d) $(CMD_OBJ:.o=.d) $(UNITS:=.d) $(FUZZERS:=.d) $(TLIBS:=.d)

test-programs: $(B)/mailtide $(UNITS) $(FUZZERS) $(TLIBS) $(PRELOADS)

clean:
	rm -rf $(B)
