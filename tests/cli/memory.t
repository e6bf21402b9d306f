#!/usr/bin/env perl
# Where guest RAM comes from: that the rows pass, and that they fail if RAM comes from elsewhere.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

my @on = ('--arch', 'x86_64', '--accel', 'tcg', '--workload', 'stamp');

# A row passes, or is skipped because this host has no huge pages to give away, QEMU no mapped-ram, or
# the guest no way to reach beyond 4 GiB.
my ($run, $results) = results_by_scenario(@on, '--qemu', $qemu, '--slow', 'memory/*');
is($run->{status}, 0, 'exit status') or diag($run->{out});
for my $row (sort keys %$results) {
    my $huge = $row =~ /hugetlb/ && $results->{$row}{status} eq 'skip';
    my $lacks = $row =~ /mapped-ram|above-4g|dynamic-memslots|late/ && $results->{$row}{status} eq 'skip';
    # Before 9.0 what the guest writes all the time may be older, with any row; with some it always is.
    my $known = $row =~ /dimm|virtio-mem|balloon|rom/ && $results->{$row}{status} eq 'known';
    ok($huge || $lacks || $known || $results->{$row}{status} eq 'pass', "$row passes")
        or diag($results->{$row}{message} // '');
    like($results->{$row}{message}, qr/mapped-ram|transport file|beyond 4 GiB|Property .* not found/, "$row: why it is skipped") if $lacks;
    like($results->{$row}{message}, qr/huge|Cannot allocate memory/i, "$row: why it is skipped") if $huge;
}
cmp_ok(scalar keys %$results, '>=', 11, 'all rows ran');
ok_clean($run, 'nothing is left behind');

# QEMUs that forget some of their arguments.
sub forgets {
    my ($name, $program) = @_;
    return qemu_but('*memory-backend*', qq{exec perl -e 'my \@a = \@ARGV; $program exec \@a' "$qemu" "\$@"}, $name);
}
my @broken = (
    # Another backend than the row wants.
    ['memory/memfd', forgets('other-backend', 's/memory-backend-memfd,(.*),share=on/memory-backend-ram,$1/ for @a;'),
        qr/^source: query-memdev has no backend backed with share/],
    ['memory/prealloc', forgets('not-populated', 's/,prealloc=on// for @a;'),
        qr/^source: query-memdev has no backend backed with prealloc/],
    # Two nodes in place of three: the window shares its block.
    ['memory/nodes', forgets('two-nodes',
            'my ($high) = map { /id=high,size=(\\d+)M/ ? $1 : () } @a;'
          . ' for my $i (reverse 1 .. $#a) { splice(@a, $i - 1, 2) if $a[$i] =~ /id=high|memdev=high/ }'
          . ' s/(id=middle,size=)(\\d+)M/$1 . ($2 + $high) . "M"/e for @a;'),
        qr/^source: the window is at 0x0 of RAM block middle, which has \d+ bytes; expected all of a block/],
);
for my $case (@broken) {
    my ($row, $binary, $message) = @$case;
    my ($run, $results) = results_by_scenario(@on, '--qemu', $binary, $row);
    is($run->{status}, 1, "$row, broken: exit status") or diag($run->{out});
    like($results->{$row}{message} // '', $message, "$row, broken: what is wrong");
    ok_clean($run, "$row, broken: nothing is left behind");
}

# A file of the migration that is too large: RAM that is shared may be in it.
SKIP: {
    my ($newest) = unpacked();
    skip 'no QEMU with mapped-ram that takes shared RAM', 3 unless $newest && $newest =~ m{/11\.};
    my $row = 'memory/mapped-ram/ignore-shared';
    my $grown = qemu_edited(q~if ($name eq 'source' && /"status": "completed"/) {
        open my $file, '>>', 'migrate.stream' or die $!; print $file 'x' x (8 << 20); close $file }~, $newest, 'grown');
    my ($run, $results) = results_by_scenario(@on, '--qemu', $grown, $row);
    is($run->{status}, 1, "$row, broken: exit status") or diag($run->{out});
    like($results->{$row}{message} // '',
        qr{/migrate\.stream occupies \d+ bytes, although \d+ MiB of RAM are shared and need not be in it$},
        "$row, broken: what is wrong");
    ok_clean($run, "$row, broken: nothing is left behind");
}

done_testing;
