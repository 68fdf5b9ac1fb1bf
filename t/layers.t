#!/usr/bin/perl
# The layers, read from the #includes of lib/** and cmd/**: a folder sees only what is below it, and
# of that only the public header; each outside library has the folders that may know it.
#
#	cmd > sync > imap, maildir, store, queue, conf > io, mail > base
#
# A rule that finds nothing may be a rule that does not work, so each kind of violation is also
# planted in a tree of its own and has to be found there.

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Find qw(find);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my %layer = (
	base => 0,
	io => 1, mail => 1,
	imap => 2, maildir => 2, store => 2, queue => 2, conf => 2,
	sync => 3,
	cmd => 4,
);

# The first pattern that fits decides. What no pattern names (the C library) is free for all.
my @libraries = (
	[ qr{^openssl/(?:evp|sha|hmac|rand)\.h$}, qw(io mail) ],
	[ qr{^openssl/}, qw(io) ],
	[ qr{^(?:ev|ev\+\+)\.h$}, qw(io) ],
	[ qr{^libev/}, qw(io) ],
	[ qr{^zlib\.h$}, qw(io) ],
	[ qr{^lmdb\.h$}, qw(store) ],
	[ qr{^(?:zstd|zdict|zstd_errors)\.h$}, qw(store) ],
	[ qr{^libetpan/}, qw(imap mail) ],
	[ qr{^gsasl}, qw(imap) ],
	[ qr{^confuse\.h$}, qw(conf) ],
	[ qr{^jansson}, qw(cmd) ],
);

# Why `folder` may not include `header`, or undef.
sub objection_to_library {
	my ($folder, $header) = @_;
	for my $rule (@libraries) {
		my ($pattern, @allowed) = @$rule;
		next unless $header =~ $pattern;
		return if grep { $_ eq $folder } @allowed;
		return 'only in ' . join ' and ', @allowed;
	}
	return;
}

sub objection_to_folder {
	my ($folder, $other, $file) = @_;
	return if $other eq $folder;
	return 'from a layer that is not below' if $layer{$other} >= $layer{$folder};
	return if $other eq 'base' || $file eq "$other.h";
	return "private to $other";
}

sub objection {
	my ($folder, $quote, $header) = @_;
	return 'leaves its folder' if $header =~ m{(?:^|/)\.\.(?:/|$)} || $header =~ m{^/};
	my ($other, $file) = $header =~ m{^([^/]+)/(.+)$};
	return objection_to_folder($folder, $other, $file) if defined $other && exists $layer{$other};
	return objection_to_library($folder, $header) if $quote eq '<';
	my $library = objection_to_library($folder, $header);
	return $library if defined $library;
	return 'is in no folder of the layers' if defined $other;
	return;	# "x.h": a neighbour
}

sub objections_in_file {
	my ($root, $path, $folder) = @_;
	my @found;
	open my $in, '<', "$root/$path" or die "$path: $!\n";
	while (my $line = <$in>) {
		next unless $line =~ /^\s*(?:#|%:)\s*include(?:_next)?\b\s*(.*)/;
		my $what = $1;
		my ($quote, $header) = $what =~ /^([<"])([^>"]+)[>"]/;
		my $why = defined $header ? objection($folder, $quote, $header)
			: 'cannot be read by this test';
		push @found, "$path:$.: " . ($header // $what) . ": $why" if defined $why;
	}
	return @found;
}

# Returns the objections, and the number of files that were read.
sub objections_in_tree {
	my ($root) = @_;
	my (@files, @found);
	for my $top (grep { -d "$root/$_" } qw(lib cmd)) {
		find({ no_chdir => 1, wanted => sub { push @files, $_ if /\.[ch]$/ && -f } },
			"$root/$top");
	}
	for my $file (sort @files) {
		my $path = substr $file, length("$root/");
		my ($folder) = $path =~ m{^lib/([^/]+)/};
		$folder //= $path =~ m{^cmd/} ? 'cmd' : '';
		push @found, exists $layer{$folder} ? objections_in_file($root, $path, $folder)
			: "$path: is in no folder of the layers";
	}
	return (\@found, scalar @files);
}

# The rules on planted trees: the file, its line, and what must be said; undef where it is allowed.
my @planted = (
	[ 'lib/base/a.c', '#include "mail/mail.h"', 'not below' ],
	[ 'lib/base/a.h', '#include "sync/sync.h"', 'not below' ],
	[ 'lib/io/a.c', '#include "mail/mail.h"', 'not below' ],
	[ 'lib/mail/a.c', '#include "io/io.h"', 'not below' ],
	[ 'lib/imap/a.c', '#include "store/store.h"', 'not below' ],
	[ 'lib/store/a.c', '#include "maildir/maildir.h"', 'not below' ],
	[ 'lib/queue/a.c', '#include "store/store.h"', 'not below' ],
	[ 'lib/imap/a.c', '#include "sync/sync.h"', 'not below' ],
	[ 'lib/sync/a.c', '#include "cmd/cmd.h"', 'not below' ],
	[ 'lib/sync/deep/a.c', '#include "cmd/cmd.h"', 'not below' ],
	[ 'lib/mail/a.c', '#include <io/io.h>', 'not below' ],
	[ 'lib/mail/a.c', " \t# \tinclude\"io/io.h\"", 'not below' ],
	[ 'lib/mail/a.c', '%:include "io/io.h"', 'not below' ],
	[ 'lib/mail/a.c', '#include_next "io/io.h"', 'not below' ],
	[ 'lib/sync/a.c', '#include "store/schema.h"', 'private to store' ],
	[ 'cmd/a.c', '#include "store/schema.h"', 'private to store' ],
	[ 'cmd/a.c', '#include "imap/conn.h"', 'private to imap' ],
	[ 'lib/imap/a.c', '#include "io/deep/io.h"', 'private to io' ],
	[ 'lib/imap/a.c', '#include "io/io_private.h"', 'private to io' ],
	[ 'lib/sync/a.c', '#include "../store/schema.h"', 'leaves its folder' ],
	[ 'lib/sync/a.c', '#include "sync/../store/store.h"', 'leaves its folder' ],
	[ 'lib/sync/a.c', '#include "/usr/include/lmdb.h"', 'leaves its folder' ],
	[ 'lib/sync/a.c', '#include "lib/tap.h"', 'no folder of the layers' ],
	[ 'lib/sync/a.c', '#include HEADER', 'cannot be read' ],
	[ 'lib/other/a.c', '', 'no folder of the layers' ],
	[ 'lib/a.c', '', 'no folder of the layers' ],
	[ 'lib/sync/a.c', '#include <ev.h>', 'only in io' ],
	[ 'lib/sync/a.c', '#include "ev.h"', 'only in io' ],
	[ 'lib/imap/a.c', '#include <openssl/ssl.h>', 'only in io' ],
	[ 'lib/mail/a.c', '#include <openssl/bio.h>', 'only in io' ],
	[ 'lib/store/a.c', '#include <openssl/evp.h>', 'only in io and mail' ],
	[ 'lib/base/a.c', '#include <openssl/rand.h>', 'only in io and mail' ],
	[ 'lib/imap/a.c', '#include <zlib.h>', 'only in io' ],
	[ 'cmd/a.c', '#include <lmdb.h>', 'only in store' ],
	[ 'lib/io/a.c', '#include <zstd.h>', 'only in store' ],
	[ 'lib/sync/a.c', '#include <libetpan/libetpan.h>', 'only in imap and mail' ],
	[ 'lib/io/a.c', '#include <gsasl.h>', 'only in imap' ],
	[ 'cmd/a.c', '#include <confuse.h>', 'only in conf' ],
	[ 'lib/sync/a.c', '#include <jansson.h>', 'only in cmd' ],

	[ 'lib/base/a.c', '#include "base/buf.h"', undef ],
	[ 'lib/base/a.c', '#include "buf.h"', undef ],
	[ 'lib/io/a.c', '#include "base/buf.h"', undef ],
	[ 'lib/io/a.c', '#include <ev.h>', undef ],
	[ 'lib/io/a.c', '#include <openssl/ssl.h>', undef ],
	[ 'lib/io/a.c', '#include <openssl/rand.h>', undef ],
	[ 'lib/mail/a.c', '#include <openssl/evp.h>', undef ],
	[ 'lib/mail/a.c', '#include <libetpan/mailimf.h>', undef ],
	[ 'lib/imap/a.c', '#include <libetpan/mailimap.h>', undef ],
	[ 'lib/imap/a.c', '#include "io/io.h"', undef ],
	[ 'lib/imap/a.c', '#include "imap/conn.h"', undef ],
	[ 'lib/store/a.c', '#include "store/schema.h"', undef ],
	[ 'lib/store/a.c', '#include <lmdb.h>', undef ],
	[ 'lib/store/a.c', '#include <sys/stat.h>', undef ],
	[ 'lib/conf/a.c', '#include <confuse.h>', undef ],
	[ 'lib/sync/a.c', '#include "store/store.h"', undef ],
	[ 'lib/sync/a.c', '#include "mail/mail.h"', undef ],
	[ 'cmd/a.c', '#include "sync/sync.h"', undef ],
	[ 'cmd/a.c', '#include "cmd/cmd.h"', undef ],
	[ 'cmd/a.c', '#include <jansson.h>', undef ],
	[ 'cmd/a.c', '// #include <lmdb.h>', undef ],
);

sub check_planted {
	my ($path, $line, $want) = @_;
	my $root = tempdir(CLEANUP => 1);
	make_path(dirname("$root/$path"));
	open my $out, '>', "$root/$path" or die "$root/$path: $!\n";
	print $out "/* A file. */\n$line\n";
	close $out or die "$root/$path: $!\n";

	my ($found) = objections_in_tree($root);
	my $name = "$path: " . ($line =~ s/[#\t]/ /gr);
	if (defined $want) {
		ok(@$found == 1 && $found->[0] =~ /^\Q$path\E:.*\Q$want\E/, "found: $name")
			or diag("got: @$found", "\nwant: $want");
	} else {
		is_deeply($found, [], "allowed: $name");
	}
}

my ($found, $files) = objections_in_tree("$FindBin::Bin/..");
ok($files > 0, "the tree has files");
ok(@$found == 0, "the tree keeps the layers");
diag($_) for @$found;
check_planted(@$_) for @planted;
done_testing();
