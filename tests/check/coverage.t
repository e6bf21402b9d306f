#!/usr/bin/env perl
# The parts of `make qemu-coverage` without a QEMU: a program that is killed has counted, several add
# up, and the tables name what is not reached and not explained, and each reason that is wrong.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(abs_path getcwd);
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

$ENV{LC_ALL} = 'C';
delete @ENV{grep { /^(?:GCOV_|GODWIT_COUNTERS)/ } keys %ENV};
my $top = getcwd();
my $dir = abs_path(tempdir(CLEANUP => 1));
my $source = "$dir/qemu";

sub write_file {
    my ($path, $text) = @_;
    open my $file, '>', $path or die "$path: $!";
    print $file $text;
    close $file or die "$path: $!";
    return;
}

sub slurp {
    my ($path) = @_;
    open my $file, '<', $path or die "$path: $!";
    local $/ = undef;
    return scalar <$file>;
}

# Runs COMMAND in the folder DIR. Returns its exit status, and what it prints.
sub run {
    my ($command) = @_;
    my $output = `(cd $dir && $command) 2>&1 </dev/null`;
    return ($?, $output);
}

mkdir "$dir/$_" or die for qw(qemu qemu/migration qemu/hw counters sum);
write_file("$source/migration/ram.c", <<'END');
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
int send_page(int number);
int send_page(int number)
{
    return number * 2;
}
int send_nothing(void);
int send_nothing(void)
{
    return 0;
}
int needs_hardware(void);
int needs_hardware(void)
{
    return 0;
}
int main(int count, char **words)
{
    if (count > 1 && atoi(words[1]))
        send_page(atoi(words[1]));
    kill(getpid(), SIGKILL);
    return 0;
}
END
write_file("$source/hw/device.c", "int device(void);\nint device(void)\n{\n    return 0;\n}\n");

my $cc = "$top/mk/coverage/cc.sh";
my ($status, $output) = run("$cc -g -c $source/migration/ram.c -o ram.o && $cc -c $source/hw/device.c -o device.o"
    . " && $cc ram.o device.o -o program");
is $status, 0, 'the compiler of the coverage builds a program' or diag $output;
ok -e "$dir/ram.gcno" && !-e "$dir/device.gcno", 'it instruments migration/ and nothing else';

for my $argument (0, 3, 4) {
    local $ENV{GODWIT_COUNTERS} = "$dir/counters";
    system "$dir/program", $argument;
    is $? & 127, 9, "a run with $argument is killed";
}
is scalar(() = glob "$dir/counters/*"), 3, 'each process that was killed leaves a file';
($status, $output) = run("GODWIT_COUNTERS=$dir/counters GODWIT_COUNTERS_SUM=1 ./program");
is $output, "3\n", 'they are added up';
($status, $output) = run('gcov --json-format --stdout ram.gcda >measured');
is $status, 0, 'gcov reads the sum' or diag $output;
my %counted = map { $_->{name} => $_->{execution_count} }
    map { @{$_->{functions}} } @{decode_json(slurp("$dir/measured"))->{files}};
is_deeply \%counted, {main => 3, send_page => 2, send_nothing => 0, needs_hardware => 0},
    'each call of a process that was killed is in it';

write_file("$dir/counters/other", 'x' x 100);
($status, $output) = run("GODWIT_COUNTERS=$dir/counters GODWIT_COUNTERS_SUM=1 ./program");
isnt $status, 0, 'a file of another program is refused';
like $output, qr/other: not of this program/, 'and named';
unlink "$dir/counters/other" or die;
system "$dir/program";
ok $? == 9 && 3 == (() = glob "$dir/counters/*"), 'without a folder nothing is counted';

# table REASONS...: the tables' text, the exit status, what is printed.
sub table {
    my @reasons = @_;
    write_file("$dir/none", '');
    write_file("$dir/reasons", join "\n", '# comment', '', @reasons, '');
    write_file("$dir/page.md", "head\n<!-- tables: make qemu-coverage -->\nold\n<!-- end of tables -->\ntail\n");
    my ($status, $output) = run("$top/mk/coverage/table.pl page.md reasons $source missing Godwit 'run: 2 passed' measured,none"
        . " Other nothing measured");
    return (slurp("$dir/page.md"), $status >> 8, $output);
}

my ($text, $exit, $printed) = table('migration/ram.c needs_* needs hardware');
is $exit, 0, 'right reasons' or diag $printed;
like $text, qr/^head\n.*\ntail\n\z/s, 'the page keeps what is around the tables';
unlike $text, qr/old/, 'and the old ones are gone';
like $text, qr/^- Godwit: run: 2 passed\.$/m, 'it says what was run';
like $text, qr/^\| migration\/ram\.c \| 11 \| 9 \| 6 \| 66 % \| 6 \| 66 % \|$/m,
    'what has a reason does not count as what can run';
like $text, qr/^\| migration\/ram\.c \| `needs_hardware` \| 2 \| 0 \| needs hardware \|$/m, 'a reason is printed';
like $text, qr/^\| migration\/ram\.c \| `send_nothing` \| 2 \| 0 \| \*\*not explained\*\* \|$/m,
    'what has none is not explained';
like $text, qr/^2 functions, 1 of them not explained\.$/m, 'and is counted';
unlike $text, qr/`send_page`/, 'what is reached is not in the list';
like slurp("$dir/missing"), qr/^migration\/ram\.c:12: send_nothing$/m, 'lines that are not reached are listed';

(undef, $exit, $printed) = table('migration/ram.c send_page needs luck');
is $exit, 1, 'a reason for what is reached fails';
like $printed, qr/^reasons: migration\/ram\.c send_page: is reached$/m, 'and is named';
(undef, $exit, $printed) = table('migration/ram.c sent_page needs luck');
is $exit, 1, 'a reason for what is not there fails';
like $printed, qr/^reasons: migration\/ram\.c sent_page: there is no such function$/m, 'and is named';
(undef, $exit, $printed) = table('migration/ram.c send_nothing');
isnt $exit, 0, 'a line without a reason is refused';
like $printed, qr/reasons:3: not FILE FUNCTION REASON/, 'with its number';
($text, $exit) = table('migration/ram.c needs_* needs hardware', 'migration/ram.c main+ is killed before it returns');
is $exit, 0, 'a reason for the rest of a function';
like $text, qr/^\| migration\/ram\.c \| 11 \| 8 \| 6 \| 75 % \|/m, 'the rest does not count as what can run';
like $text, qr/^\| migration\/ram\.c \| `main` \| 5 \| 4 \| 4 \| is killed before it returns \|$/m, 'and has its reason';
like slurp("$dir/missing"), qr/^migration\/ram\.c:\d+: main \(is killed before it returns\)$/m, 'in the list as well';
for my $function (qw(send_page send_nothing)) {
    (undef, $exit, $printed) = table("migration/ram.c $function+ needs luck");
    is $exit, 1, "a reason for the rest of $function fails";
    like $printed, qr/^reasons: migration\/ram\.c $function\+: is reached as a whole, or not at all$/m, 'and is named';
}
done_testing;
