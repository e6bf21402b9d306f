#!/usr/bin/env perl
# Where guest RAM comes from: that the rows pass, and that they fail if RAM comes from elsewhere.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use JSON::PP ();
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

my @on = ('--arch', 'x86_64', '--accel', 'tcg', '--workload', 'stamp');

# A row passes, or is skipped because this host has no huge pages to give away, or QEMU lacks what it needs.
my ($run, $results) = results_by_scenario(@on, '--qemu', $qemu, '--slow', 'memory/*');
is($run->{status}, 0, 'exit status') or diag($run->{out});
for my $row (sort keys %$results) {
    my $lacks = $row =~ /mapped-ram|dynamic-memslots|late|read/ && $results->{$row}{status} eq 'skip';
    my $huge = !$lacks && $row =~ /hugetlb/ && $results->{$row}{status} eq 'skip';
    # Before 9.0 what the guest writes all the time may be older, with any row; with some it always is.
    my $known = $row =~ /dimm|virtio-mem|balloon|rom|blocks|above-4g/ && $results->{$row}{status} eq 'known';
    ok($huge || $lacks || $known || $results->{$row}{status} eq 'pass', "$row passes")
        or diag($results->{$row}{message} // '');
    like($results->{$row}{message}, qr/mapped-ram|transport file|Property .* not found|not in QEMU 7\.2/, "$row: why it is skipped") if $lacks;
    like($results->{$row}{message}, qr/huge|Cannot allocate memory/i, "$row: why it is skipped") if $huge;
}
cmp_ok(scalar keys %$results, '>=', 11, 'all rows ran');
ok_clean($run, 'nothing is left behind');

# QEMUs that forget some of their arguments. The one of memory/blocks/memfd does not send the second block,
# which each side shares with nobody.
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
    # The window in one block, or divided at another page.
    ['memory/blocks', forgets('one-block',
            'my @mib; /id=(low|high),size=(\\d+)M/ and push @mib, $2 for @a;'
          . ' for my $i (reverse 1 .. $#a) { splice(@a, $i - 1, 2) if $a[$i] =~ /id=high|memdev=high/ }'
          . ' s/(id=low,size=)\\d+M/$1 . ($mib[0] + $mib[1]) . "M"/e for @a;'),
        qr/^source: the window has 1 parts, the first one of \d+ bytes at 0x\w+ of RAM block low, which has \d+ bytes; expected two parts/],
    ['memory/blocks', forgets('other-edge', 's/(id=(low|high),size=)(\\d+)M/$1 . ($3 + ($2 eq "low" ? 1 : -1)) . "M"/e for @a;'),
        qr/^source: the window has 2 parts, .*; expected two parts, the first one of \d+ bytes at the end of its block/],
    ['memory/blocks/memfd', qemu_edited(
            's/"capabilities":\s*\[/"capabilities": [{"capability": "x-ignore-shared", "state": true},/', $qemu, 'half-sent'),
        qr/^twin: \d+ bytes in \d+ pages differ between source and destination, the first at 0x\w+ of RAM block high:/],
);
for my $case (@broken) {
    my ($row, $binary, $message) = @$case;
    my ($run, $results) = results_by_scenario(@on, '--qemu', $binary, $row);
    is($run->{status}, 1, "$row, broken: exit status") or diag($run->{out});
    like($results->{$row}{message} // '', $message, "$row, broken: what is wrong");
    ok_clean($run, "$row, broken: nothing is left behind");
}

# The x86 guest above 4 GiB: what it does is what its own scenarios say, with several CPUs, after a wake-up, and
# with a corrupted byte, whose address it reports. `godwit stream` finds the window.
{
    my @high = ('--accel', 'tcg', '--window', '0x100100000:0x100500000');
    my @guest = qw(guest/cpus guest/suspend guest/verify guest/stamp/verify);
    my ($run) = results_by_scenario(@high, '--qemu', $qemu, '--workload', 'order,stamp', @guest, 'stream/analyze');
    is($run->{status}, 0, 'above 4 GiB: exit status') or diag($run->{out});
    my @others = grep { $_->{status} ne 'pass' } @{JSON::PP->new->utf8->decode($run->{out})->{results}};
    is(join(' ', map { "$_->{scenario}: $_->{message}" } @others), '', 'above 4 GiB: each scenario passes');

    # A CPU that does not reach it: Godwit asks QEMU. Whoever does not ask learns it from the guest.
    my @cpu = (@high, '--', '-cpu', '486');
    my $asks = run(['migrate', '--qemu', $qemu, @cpu]);
    like($asks->{out}, qr/^skip .* needs a CPU that reaches a window up to 0x100500000: the physical addresses of this one have 32 bits$/m,
        'above 4 GiB, CPU with 32 bits: skipped');
    my $boasts = qemu_edited(q~our $id; if ($from eq 'godwit' && /"phys-bits"/) { ($id) = /"id":\s*(\d+)/ }
        if (defined $id && $from eq 'qemu' && /"id": $id\b/) { s/"return": 32/"return": 40/; undef $id }~, $qemu, 'boasts');
    my $told = run(['migrate', '--qemu', $boasts, @cpu]);
    # It may do so before QEMU answers the command that lets it run.
    like($told->{out}, qr/what +(?:the source's guest itself found 0x0 in register 6 .* where 0x20 should be, .*|waiting for the source's answer to cont): source: the guest reports a fault/,
        'above 4 GiB, CPU without PAE: the guest reports CR4');
    like($told->{out}, qr/^ +console +X$/m, 'above 4 GiB, CPU without PAE: and nothing else');
    my $lies = run(['migrate', '--qemu', qemu_edited(q~our $id; if ($from eq 'godwit' && /"phys-bits"/) { ($id) = /"id":\s*(\d+)/ }
        if (defined $id && $from eq 'qemu' && /"id": $id\b/) { s/"return": \d+/"return": "many"/; undef $id }~, $qemu, 'lies'), @high]);
    like($lies->{out}, qr/what +source: phys-bits of its CPU is "many", expected 1 to 63/, 'above 4 GiB: an answer that is no number');
    ok_clean($_, 'above 4 GiB: nothing is left behind') for $run, $asks, $told, $lies;
}

# A fault in a page of the second block: every check of it would have been of another page, had the window been
# taken for one piece. The map names the page by its number, its address, and its place in the block. Without the
# fault the window is right, although QEMU lists the second block first, which is larger.
for my $workload ('order', 'stamp:whole') {
    my @migrate = ('migrate', '--arch', 'x86_64', '--accel', 'tcg', '--qemu', $qemu, '--stopped', '-w', $workload,
        '--memory', 96, '--window', '0x1f00000:0x2100000', '--format', 'json');
    my @nodes = ('--', '-smp', 2, '-numa', 'node,cpus=0,memdev=low', '-numa', 'node,cpus=1,memdev=high',
        map { ('-object', "memory-backend-ram,id=$_") } 'low,size=32M', 'high,size=64M');
    my ($right, $run) = run_all(2, map { [[@migrate, @$_, @nodes]] } [], ['--fault', 'flip-bit:page=300,byte=8,bit=0']);
    is($right->{status}, 0, "$workload, the larger block behind the edge: passes") or diag($right->{out}, $right->{err});
    my ($result) = @{(eval { JSON::PP->new->utf8->decode($run->{out}) } || {})->{results} || []};
    is($run->{status}, 1, "$workload, a fault behind the edge: exit status") or diag($run->{out}, $run->{err});
    like($result->{message} // '', qr/^twin: 1 bytes in 1 pages differ .* the first at 0x2c008 of RAM block high:/,
        "$workload, a fault behind the edge: what is wrong");
    my ($page) = map { @{$_->{list}} } @{$result->{measurements}{pages} || []};
    is(join(' ', map { $page->{$_} // '-' } qw(block offset page address)), join(' ', 'high', 0x2c000, 300, 0x202c000),
        "$workload, a fault behind the edge: which page");
    ok_clean($run, "$workload, a fault behind the edge: nothing is left behind");
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
