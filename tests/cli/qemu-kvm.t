#!/usr/bin/env perl
# The QEMU of RHEL and its relatives: it is called qemu-kvm, lies outside $PATH, and has only machine
# types of the distribution, under no plain name.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use File::Path qw(make_path);
use JSON::PP;
use POSIX ();
use Test::More;

my $host = (POSIX::uname())[4];
plan skip_all => "the fake QEMUs are for x86_64, this host is $host" if $host ne 'x86_64';

# A folder with a fake QEMU as PLACE/qemu-kvm.
sub tree {
    my ($name, $place, $behaviour) = @_;
    my $fake   = fake($behaviour);
    my $script = script_file("kvm-$name", qq(exec "$fake" "\$@"\n));
    my $folder = "$script.tree";
    make_path("$folder/$place");
    symlink $script, "$folder/$place/qemu-kvm" or die "$folder: $!";
    return $folder;
}

# What a run with ARGS reports: the first result, and the run.
sub first {
    my ($args, %how) = @_;
    my $run    = run(['run', 'precopy/unix/plain', '--accel', 'tcg', '--format', 'json', @$args], %how);
    my $report = eval { JSON::PP->new->utf8->decode($run->{out}) } || {};
    return ($report->{results}[0] || {}, $run);
}

# The fake crashes at `migrate`, so that the machine was started with the type before.
for my $place ('.', 'bin', 'libexec') {
    my $folder = tree("in-$place", $place, 'rhel');
    my ($result, $run) = first(['--qemu', $folder]);
    is $result->{machine}, 'pc-q35-rhel9.4.0', "$place/qemu-kvm in a folder, with its default machine type"
        or diag $run->{err};
    is $result->{arch}, 'x86_64', "$place/qemu-kvm: the host's architecture";
    like $result->{message} // '', qr/migrate/, "$place/qemu-kvm: it got as far as the migration";
}
my (undef, $pair) = first(['--qemu-src', tree('old', 'libexec', 'rhel'), '--qemu-dst', tree('new', 'libexec', 'newer-rhel')]);
like $pair->{err}, qr/has no machine "q35"/, 'two QEMUs without a common machine type';

for my $arch (qw(aarch64 i386)) {
    my ($none, $run) = first(['--arch', $arch, '--qemu', tree("for-$arch", 'bin', 'rhel')]);
    is $run->{status}, 2, "qemu-kvm is no QEMU for $arch";
    like $run->{err}, qr/no qemu-system-$arch in it/, "qemu-kvm is no QEMU for $arch: the reason";
}
my ($none, $run) = first(['--qemu', fake('microvm')]);
like $run->{err}, qr/has no machine "q35"/, 'a default machine type that no guest can run on is not taken';

{
    my ($found, $in_path) = first([], env => {PATH => tree('path', '.', 'rhel')});
    is $found->{machine}, 'pc-q35-rhel9.4.0', 'qemu-kvm in $PATH, without an option' or diag $in_path->{err};
}

# /usr/libexec, in a mount namespace of its own.
SKIP: {
    my @private = ('unshare', '--user', '--map-root-user', '--mount');
    my $folder = tree('libexec', 'libexec', 'rhel');
    system("@private mount --bind '$folder/libexec' /usr/libexec >/dev/null 2>&1") == 0
        or skip 'the host allows no mount namespace, or has no /usr/libexec', 2;
    my $mount = "mount --bind '$folder/libexec' /usr/libexec && PATH=/nonexistent exec \"\$0\" \"\$@\"";
    my $output = run([qw(run precopy/unix/plain -w order --accel tcg --format json)],
        command => [@private, 'sh', '-c', $mount, $godwit])->{out};
    like $output, qr{"machine": *"pc-q35-rhel9\.4\.0"}, '/usr/libexec/qemu-kvm is found without an option' or diag $output;
    like $output, qr{"/usr/libexec/qemu-kvm"}, '/usr/libexec/qemu-kvm is named in the report';
}

done_testing();
