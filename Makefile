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

.PHONY: all deps deps-test demo check try matrix test-programs bench fuzz soak install clean asan
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

# The tests. Units and transcripts run twice: as they are, and under ASan and UBSan.

ASAN = $(B)/asan
ASAN_FLAGS = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
JOBS = $(shell nproc)
PROVE = prove --exec '' --timer -j$(JOBS)
FUZZ_CORPORA = $(patsubst t/fuzz/%.c,%,$(FUZZ_SRC))

deps:
	@t/deps build

deps-test:
	@t/deps test
	@t/deps servers

asan:
	@$(MAKE) --no-print-directory B=$(ASAN) CFLAGS="$(ASAN_FLAGS)" LDFLAGS="-fsanitize=address,undefined" \
		$(ASAN)/mailtide $(UNIT_SRC:%.c=$(ASAN)/%) $(FUZZ_SRC:%.c=$(ASAN)/%)

check: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) test-programs
	@$(MAKE) --no-print-directory -j$(JOBS) asan
	$(PROVE) $(UNITS) $(UNIT_SRC:%.c=$(ASAN)/%) t/layers.t t/fuzz/replay.t t/cmd/*.t t/wire/*.t \
		t/wire/asan t/live/*.t

# One part of it, while working: make try T=t/live/crash.t
try: test-programs
	$(PROVE) -v $(T)

demo: all deps-test
	@t/demo

bench: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) test-programs
	@t/bench/deps
	@t/bench/run

# Servers against scenarios, as a table.
matrix: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) test-programs
	@t/live/matrix.t | grep '^not ok'; cat build/matrix.txt

# Runs on for as long as it is let: every cut, every kill, a hundred thousand messages.
soak: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) test-programs asan
	SOAK=1 $(PROVE) t/live/*.t

# make fuzz F=resp S=60: one fuzzer, so many seconds; without F all in turn. Needs clang.
F = $(FUZZ_CORPORA)
S = 60
fuzz:
	@t/fuzz/run "$(S)" $(F)

install: $(B)/mailtide
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 \
		$(DESTDIR)$(DATADIR)/doc/mailtide $(DESTDIR)$(DATADIR)/bash-completion/completions \
		$(DESTDIR)$(DATADIR)/zsh/site-functions
	install -m 755 $(B)/mailtide $(DESTDIR)$(BINDIR)/mailtide
	install -m 644 man/*.1 $(DESTDIR)$(MANDIR)/man1
	install -m 644 man/*.5 $(DESTDIR)$(MANDIR)/man5
	install -m 644 README.md conf/mailtide.conf conf/mailtide.cron $(DESTDIR)$(DATADIR)/doc/mailtide
	install -d $(DESTDIR)$(DATADIR)/mailtide/providers
	install -m 644 conf/providers/*.conf $(DESTDIR)$(DATADIR)/mailtide/providers
	install -m 644 conf/completion/mailtide.bash \
		$(DESTDIR)$(DATADIR)/bash-completion/completions/mailtide
	install -m 644 conf/completion/_mailtide $(DESTDIR)$(DATADIR)/zsh/site-functions/_mailtide

clean:
	@if [ -f $(B)/config.mk ]; then mv $(B)/config.mk .config.mk.kept; fi
	rm -rf $(B)
	@if [ -f .config.mk.kept ]; then mkdir -p $(B); mv .config.mk.kept $(B)/config.mk; fi
