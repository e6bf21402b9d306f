#!/usr/bin/env perl
# The packaging, as far as it can be checked without a build: versions, Debian's libraries, and the exit
# statuses of the script of its autopkgtest.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;

$ENV{LC_ALL} = 'C';
my $dir = tempdir(CLEANUP => 1);

sub slurp {
    my ($path) = @_;
    open my $file, '<', $path or die "$path: $!\n";
    local $/ = undef;
    return scalar <$file>;
}

my ($version)  = slurp('harness/base/version.h') =~ /GODWIT_VERSION "(.*)"/;
my ($packaged) = slurp('debian/changelog') =~ /\Agodwit \(([^~)]+)/;
is $packaged, $version, 'the packages have the version of the program';
my $spec = slurp('mk/package/godwit.spec');
is(($spec =~ /^Version:\s+(\S+)$/m)[0], $version, 'the RPM packages have it');
my ($changed, $date) = slurp('CHANGELOG.md') =~ /^## (\S+) - (\S+)$/m;
is $changed, $version, 'the change log begins with it';

# A release is one in each of the files (docs/releasing.md), and so is what is on its way to one.
my %released = (
    'CHANGELOG.md'           => scalar($date =~ /^\d{4}-\d\d-\d\d$/),
    'mk/package/godwit.spec' => scalar($spec !~ /^Release:\s+0\./m),
    'debian/changelog'       => scalar(slurp('debian/changelog') !~ /\A[^\n]*~dev\)/),
);
my @released = grep { $released{$_} } sort keys %released;
ok @released == 0 || @released == keys %released, 'all files agree if this is a release'
    or diag "a release: @released; unreleased: @{[grep { !$released{$_} } sort keys %released]}";

# What `make setup` installs to build with is what the package builds with.
my ($setup) = slurp('mk/setup.sh') =~ /^build='(.*?)'/ms;
my $control = slurp('debian/control');
for my $library (grep {/-dev$/ && $_ ne 'libc6-dev'} split ' ', $setup) {
    like $control, qr/^Build-Depends-Arch:[^:]*\b\Q$library\E\b/m, "$library is a build-dependency";
}

# Each compiler that the guests need is a build-dependency, and the one that is used.
my $rules = slurp('debian/rules');
for my $compiler (slurp('mk/setup.sh') =~ /\bgcc-([a-z0-9]+)-linux-gnu\b/g) {
    my ($gcc) = $control =~ /\bgcc-(\d+)-\Q$compiler\E-linux-gnu\b/;
    ok $gcc, "the compiler for $compiler is a build-dependency" or next;
    like $rules, qr/=\Q$compiler\E-linux-gnu-gcc-$gcc\b/, "the compiler for $compiler makes the guests";
}

# A godwit that exits with the first status, and with the second if it may skip everything.
sub quick {
    my ($first, $second) = @_;
    open my $file, '>', "$dir/godwit" or die "$dir/godwit: $!\n";
    print $file "#!/bin/sh\necho \"\$@\" >>'$dir/calls'\n",
        "case \$* in *--allow-all-skipped*) exit $second ;; *) exit $first ;; esac\n";
    close $file or die "$dir/godwit: $!\n";
    chmod 0755, "$dir/godwit" or die "$dir/godwit: $!\n";
    system "PATH='$dir':\$PATH AUTOPKGTEST_ARTIFACTS='$dir' debian/tests/quick x86_64 >/dev/null";
    return $? >> 8;
}
is quick(0, 0), 0,  'autopkgtest: all passed';
is quick(1, 0), 1,  'autopkgtest: a failure';
is quick(2, 0), 77, 'autopkgtest: nothing can run';
is quick(2, 2), 2,  'autopkgtest: an error of the environment is no reason to skip';
like slurp("$dir/calls"), qr/\Arun --quick --accel tcg --arch x86_64 /, 'autopkgtest: the choice is the program\'s';

done_testing();
