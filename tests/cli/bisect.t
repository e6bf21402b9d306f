#!/usr/bin/env perl
# godwit run --bisect: its exit statuses, and `git bisect run` on a repository whose QEMU works, is
# missing, does not start, and fails, from commit to commit.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use File::Temp qw(tempdir);
use Test::More;

my @one = qw(run --bisect precopy/unix/plain --accel tcg --arch x86_64);
my $dir = tempdir(CLEANUP => 1);
my $text = script_file('qemu-text', "exit 3\n");
chmod 0644, $text;

my @cases = (
    ['a failure',                1,   @one, '--qemu', fake('crashes')],
    ['no such QEMU',             125, @one, '--qemu', "$dir/none"],
    ['a QEMU that does not start', 125, @one, '--qemu', fake('dies')],
    ['a QEMU that is no program', 125, @one, '--qemu', $text],
    ['everything is skipped',    125, qw(run --bisect guest/suspend --accel tcg --qemu), fake('crashes-riscv64')],
    ['an unknown option',        255, @one, '--no-such-option'],
    ['an unknown scenario',      255, @one, 'no/such'],
    ['a bad shard',              255, @one, '--shard', '5/2'],
    ['--allow-all-skipped',      255, @one, '--allow-all-skipped'],
    ['no --bisect',              2,   grep({ $_ ne '--bisect' } @one), '--qemu', "$dir/none"],
    ['--bisect behind --',       2,   grep({ $_ ne '--bisect' } @one), '--qemu', "$dir/none", '--', '--bisect'],
);
my @runs = run_all(3, map { my (undef, undef, @args) = @$_; [[@args]] } @cases);
is((shift @runs)->{status}, $_->[1], "$_->[0]: $_->[1]") for @cases;

SKIP: {
    skip 'no qemu-system-x86_64', 1 unless $qemu;
    skip 'no git', 1 unless grep { -x "$_/git" } split /:/, $ENV{PATH};
    is(run([@one, '--accept-known', 'tcg-hot-page', '--qemu', $qemu])->{status}, 0, 'a pass: 0');

    # A commit for each word; "" has no QEMU.
    my %program = (
        good => "exec '$qemu' \"\$@\"", bad => "exec '" . fake('crashes') . "' \"\$@\"", broken => 'exit 1');
    local @ENV{qw(GIT_CONFIG_GLOBAL GIT_CONFIG_NOSYSTEM HOME)} = ('/dev/null', 1, $dir);
    local @ENV{qw(GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL)} = ('x', 'x@example.org') x 2;
    my $git = sub {
        my $said = `cd '$dir' && git @_ 2>&1`;
        is($?, 0, "git $_[0]") or diag($said);
        return $said;
    };
    $git->('init -q .');
    my $number = 0;
    for my $what (qw(good good good none broken good bad bad)) {
        $number++;
        my $path = "$dir/qemu-system-x86_64";
        unlink $path;
        if ($program{$what}) {
            open my $file, '>', $path or die "$path: $!";
            print $file "#!/bin/sh\n# $number\n$program{$what}\n";
            close $file or die "$path: $!";
            chmod 0755, $path;
        }
        $git->('add -A');
        $git->("commit -q -m $what-$number");
    }
    $git->('bisect start HEAD HEAD~7');
    my $found = $git->("bisect run '$godwit' run --bisect --qemu ./qemu-system-x86_64 precopy/unix/plain",
        '-w order --accel tcg --accept-known tcg-hot-page -o output');
    like($found, qr/is the first bad commit/, 'git bisect: it ends');
    my ($subject) = $git->('log -1 --format=%s refs/bisect/bad') =~ /(\w+)/;
    is($subject, 'bad', 'git bisect: a bad commit');
    like($git->('log -1 --format=%s refs/bisect/bad~1'), qr/^good/, 'git bisect: the one before it is good');
    like($git->('bisect log'), qr/^# skip: /m, 'git bisect: what could not be judged was skipped');
    $git->('bisect reset');
    like($git->("bisect start HEAD HEAD~7; ! git bisect run '$godwit' run --bisect --no-such-option"),
        qr/exit code 255/, 'git bisect: a usage error ends it');
}

done_testing();
