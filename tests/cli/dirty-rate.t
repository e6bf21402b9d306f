#!/usr/bin/env perl
# The scenarios dirty-rate/* can fail: each meets a QEMU that reports another rate than it has measured,
# or is asked for another calculation than Godwit wants. An editor before its monitor sees to that.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

my ($newest) = unpacked();
plan skip_all => 'no QEMU in build/qemus: see make qemus' unless $newest;

# What the editor does to lines from QEMU.
sub answer { return "if (\$from eq 'qemu') { $_[0] }" }

# The rate times that.
sub rate { return answer(qq{s/("dirty-rate": )(\\d+)/\$1 . int(\$2 * $_[0])/e}) }
my $off = qr/source measured a dirty rate of \d+ MiB.s by page-sampling, expected \d+ to [\d.]+: the guest wrote/;

my @rows = (
    ['milliseconds', rate(5), $off],
    ['milliseconds', rate(0.1), $off],
    ['milliseconds', answer('s/"status": "measured"/"status": "measuring"/'), qr/rate is \d+ in state "measuring": expected/],
    ['milliseconds', 's/"calc-time": ?400/"calc-time":200/', qr{was asked for its dirty rate by page-sampling for 400 ms .* reports .*"calc-time":[23]\d\d\b}],
    ['stopped', answer('s/"dirty-rate": 0/"dirty-rate": 1/'), qr/dirty rate of 1 MiB.s by page-sampling, expected 0 to 0/],
    ['monitor', answer('s/Dirty rate: (\d+)/Dirty rate: 1$1/'), qr/shows by "info dirty_rate": .*expected "Dirty rate: \d+/s],
    ['bitmap', answer('s/"dirty-rate": 0/"dirty-rate": 1/'), qr/dirty rate of 1 MiB.s by dirty-bitmap, expected/],
    ['ring', 's/dirty-ring/page-sampling/', qr/accepted calc-dirty-rate by dirty-ring without/],
    # Nothing is refused.
    ['refusals', 's/"calc-time": ?61/"calc-time":60/', qr/accepted calc-dirty-rate with \{"calc-time":61\}/],
    # The first calculation is not the one that was asked for, and a second one is not refused.
    ['refusals', answer('s/"error": \{.*already being measured[^}]*\}/"return": {}/'), qr/accepted calc-dirty-rate with \{"calc-time":1\}/],
    ['limit', answer('s/"error": \{.*dirty-ring-size[^}]*\}/"return": {}/'), qr/accepted set-vcpu-dirty-limit/],
    ['migrating/sampling', "our \$after ||= /\"RESUME\"/ && \$name eq 'destination'; " . answer('s/"dirty-rate": 0/"dirty-rate": 1/'),
        qr/measured a dirty rate of 1 MiB.s by page-sampling, expected 0 to 0/],
);
my $number = 0;
my @runs = run_all(2, map {
    my ($scenario, $edit) = @$_;
    [['run', "dirty-rate/$scenario", '--arch', 'x86_64', '--accel', 'tcg', '--qemu', qemu_edited($edit, $newest, ++$number)]]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    is($run->{status}, 1, "dirty-rate/$scenario fails");
    like($run->{out}, $message, "dirty-rate/$scenario: $message") or diag($edit, $run->{out}, $run->{err});
}

done_testing;
