#!/usr/bin/env perl
# The scenarios monitor/* can fail: each meets a QEMU whose human monitor does something else than
# it was asked, or shows something else than QMP reports. An editor between Godwit and the QEMU's
# monitor sees to that.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

my ($newest) = unpacked();
$newest ||= $qemu;
plan skip_all => 'no qemu-system-x86_64' unless $newest;

my @rows = (
    ['precopy', 's/info migrate( -a)?"/info status"/', qr/"info migrate" does not match "\S*status:\\s\+active/],
    ['precopy', 's/(normal[:=] *)(?=[0-9])/${1}9/', qr/has ram\.normal: (\d+), but its "info migrate" shows 9\1\b/],
    ['precopy', 's/(downtime: |down=)(?=[0-9])/${1}9/', qr/has downtime: (\d+), but its "info migrate" shows 9\1\b/],
    ['multifd', 's/(transferred ram: |transferred=)([0-9.]+)/$1 . $2 * 2/e',
        qr/the source's query-migrate has ram\.transferred: \d+, but its "info migrate" shows [\d.]+ (kbytes|MiB):/],
    ['multifd', 's/, multifd=[^,]*|multifd bytes:/x/', qr/has ram\.multifd-bytes: \d+, but .* shows no such figure:/],
    ['throttle', 's/(?i)(cpu throttle[^:]*: +)25/${1}26/', qr/does not match "\(\?i\)cpu throttle/],
    ['failed', 's/failed \(Failed to/failed (No reason to/', qr/does not match "\(\?i\)status:\\s\+failed /],
    ['precopy', 's/migrate_incoming/help/', qr/did not obey "migrate_incoming/],
    ['xbzrle', 's/xbzrle-cache-size 524288/xbzrle-cache-size 262144/', qr/does not match "size\S* \*524288/],
    ['postcopy', 's/migrate_pause/no_such_command/', qr/did not obey "migrate_pause", printing "unknown command/],
    ['settings', 's/downtime-limit 301/downtime-limit 302/',
        qr/migrate_set_parameter downtime-limit: 301 is set, and shown: QMP reads 302/],
    ['settings', 's/downtime-limit: 301 ms/downtime-limit: 300 ms/',
        qr/downtime-limit: 301 is set, and shown: "info migrate_parameters" does not show it/],
    ['settings', 's/announce-max 551/announce-step 102/', qr/announce-max: 551 .*: announce-step went from 100 to 102/],
    ['settings', 's/migrate_set_capability multifd on/info status/', qr/did not obey "migrate_set_capability multifd on"/],
    ['settings', 's/migrate_set_capability multifd on/migrate_set_capability xbzrle off/',
        qr/migrate_set_capability multifd: it is switched, and shown: QMP does not read it on/],
    ['settings', 's/multifd: on/multifd: off/', qr/multifd: .* "info migrate_capabilities" does not show it on/],
    ['settings', 's/multifd-channels 0"/multifd-channels 5"/',
        qr/migrate_set_parameter multifd-channels 0: refused: .*multifd-channels went from 2 to 5/],
    ['settings', 's/"migrate_continue no-such-state"/"migrate_set_capability xbzrle off"/',
        qr/migrate_continue no-such-state: refused: the monitor printed nothing/],
);
my $number = 0;
my @runs = run_all(2, map {
    my ($scenario, $edit) = @$_;
    [['run', "monitor/$scenario", '--arch', 'x86_64', '--accel', 'tcg', '--workload', 'order', '--qemu',
        qemu_edited($edit, $newest, ++$number)]]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    is($run->{status}, 1, "monitor/$scenario fails: $edit");
    like($run->{out}, $message, "monitor/$scenario: $message") or diag($edit, $run->{out}, $run->{err});
}

# A QEMU on whose terminal EDIT, Perl code, changes what is typed: $_.
sub typed {
    my ($edit) = @_;
    return script_file('typed-' . ++$number, <<"END");
exec perl -MSocket -MPOSIX -e '
    my \@a = map { s/readline[.]sock/real.sock/r } \@ARGV;
    "\@a" =~ /real[.]sock/ or exec "$newest", \@a;
    socket my \$listener, AF_UNIX, SOCK_STREAM, 0;
    bind \$listener, sockaddr_un("readline.sock") and listen \$listener, 1 or die \$!;
    my \$pid = fork // die;
    if (\$pid) { POSIX::dup2(0, fileno \$listener); exec "$newest", \@a }
    POSIX::close(\$_) for grep { \$_ != fileno \$listener } 1 .. 20;
    accept my \$near, \$listener;
    socket my \$far, AF_UNIX, SOCK_STREAM, 0;
    select undef, undef, undef, 0.02 until connect \$far, sockaddr_un("real.sock");
    while (1) {
        my (\$ready, \$keys) = ("", "");
        vec(\$ready, fileno \$_, 1) = 1 for \$near, \$far;
        select \$ready, undef, undef, undef;
        for my \$from (\$near, \$far) {
            next if !vec \$ready, fileno \$from, 1;
            sysread \$from, \$_, 4096 or exit;
            if (\$from == \$near) { $edit }
            syswrite \$from == \$near ? \$far : \$near, \$_;
        }
    }' -- "\$@"
END
}
ok_rows('monitor/readline/',
    ['completion', qemu_edited('s/"xbzrle"/"no-such-name"/', $newest, ++$number),
        qr/completion of "migrate_set_capability " does not offer no-such-name/],
    ['completion', typed('s/delvm/loadvn/;'), qr/timed out/, '--timeout-scale', '0.1'],
    ['migrate', typed('s/migrate /migrate -d /;'), qr/"migrate" gave the prompt back before the migration was over/]);

done_testing;
