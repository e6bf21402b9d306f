#!/usr/bin/env perl
# `make dist`: the same bytes for every user, and all that a build reads is in the archive. The build
# itself takes minutes; `make check-dist` does it.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(abs_path getcwd);
use File::Basename qw(dirname);
use File::Find qw(find);
use File::Temp qw(tempdir);
use Test::More;

$ENV{LC_ALL} = 'C';
delete @ENV{qw(MAKEFLAGS MAKELEVEL O)};
system('git rev-parse --verify --quiet HEAD >/dev/null 2>&1') == 0
    or plan skip_all => 'not a git repository, from which alone the archive can be made';

my $source    = getcwd();
my $build     = dirname(abs_path($ENV{GODWIT} // 'build/godwit'));
my $dir       = tempdir(CLEANUP => 1);
my ($version) = `git show HEAD:harness/base/version.h` =~ /GODWIT_VERSION "(.*)"/;
my $name      = "godwit-$version";

sub works {
    my ($what, $command) = @_;
    my $output = `($command) 2>&1 </dev/null`;
    is $?, 0, $what or diag "$command\n$output";
    return $output;
}

# Two users, whose umask, time zone and settings of git differ.
my $other = join ' ', 'env TZ=Asia/Tokyo GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=tar.umask GIT_CONFIG_VALUE_0=077',
    'GIT_CONFIG_KEY_1=tar.tar.gz.command GIT_CONFIG_VALUE_1=cat';
works 'make dist', "make -s dist O='$dir/first'";
works 'make dist, by another user', "umask 077 && $other make -s dist O='$dir/second'";
works 'both archives are equal', "cmp '$dir/first/$name.tar.gz' '$dir/second/$name.tar.gz'";

my @entries = split /\n/, works('the archive', "tar -tzf '$dir/first/$name.tar.gz'");
my %there   = map { m{^\Q$name\E/(.*)} ? ($1 => 1) : () } @entries;
is scalar(grep { !m{^\Q$name\E/} } @entries), 0, "everything is below $name";
works 'unpacking', "tar -xzf '$dir/first/$name.tar.gz' -C '$dir'";

# What the compiler read for this build, as it wrote down itself. A file that is not committed yet, and
# that git would add, is no mistake of the archive's.
my %new = map { $_ => 1 } split /\n/,
    `git ls-files --others --exclude-standard; git diff --name-only --diff-filter=A HEAD`;
my %read;
find({ no_chdir => 1, wanted => sub {
    return unless m{\.d$} && -f;
    open my $file, '<', $_ or die "$_: $!\n";
    while (my $line = <$file>) {
        for my $path (split /[\s\\:]+/, $line) {
            $path =~ s{^\Q$source\E/}{};
            $read{$path} = 1 if $path =~ m{^(?!build/|/).*\.[ch]$} && -f $path;
        }
    }
}}, "$build/harness");
cmp_ok scalar(keys %read), '>', 200, 'the build read many files';
is join("\n", sort grep { !$there{$_} && !$new{$_} } keys %read), '', 'the archive has each of them';

# The rules, and every file that they name.
works 'make can make it', "make -n -C '$dir/$name' O=build build images check-unit";
works 'a part that compiles', "make -s -C '$dir/$name' O=build build/harness/base/text.o";

done_testing();
