#!/usr/bin/env perl
# The documents against what they speak of: links, make targets, scenarios, the numbers of the guest
# ABI and of the images, the man page and --help, the example scenario.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

my $godwit = $ENV{GODWIT} // 'build/godwit';

# Neither colours nor translations in what is compared.
$ENV{LC_ALL} = 'C';

sub slurp {
    my ($path) = @_;
    open(my $file, '<', $path) or die "$path: $!\n";
    local $/ = undef;
    return scalar <$file>;
}

sub lines_of {
    my (@command) = @_;
    open(my $pipe, '-|', @command) or die "$command[0]: $!\n";
    my @lines = <$pipe>;
    close($pipe) or die "@command: failed\n";
    chomp(@lines);
    return @lines;
}

# Checks that two lists have the same entries. Prints those that only one has.
sub same_set {
    my ($left, $left_name, $right, $right_name, $name) = @_;
    my %left  = map { $_ => 1 } @$left;
    my %right = map { $_ => 1 } @$right;
    my @wrong = ((map { "$_: only in $left_name" } grep { !$right{$_} } sort keys %left),
        (map { "$_: only in $right_name" } grep { !$left{$_} } sort keys %right));
    ok(!@wrong && %left, $name) or diag(@wrong ? join("\n", @wrong) : 'nothing to compare');
    return;
}

# What the documents are, without what they quote: a line indented by four or in a fence is no text.
sub text_of {
    my ($path) = @_;
    my ($fenced, @text) = (0);
    for my $line (split /\n/, slurp($path)) {
        $fenced = !$fenced if $line =~ /^\s*```/;
        push @text, $line unless $fenced || $line =~ /^(?: {4}|\t)/;
    }
    return @text;
}

# The anchors that a document offers, made of its headings as the usual renderers make them.
sub anchors_of {
    my ($path) = @_;
    my %seen;
    for my $line (text_of($path)) {
        next unless $line =~ /^#+\s+(.*?)\s*$/;
        (my $anchor = lc $1) =~ s/[^a-z0-9 _-]//g;
        $anchor =~ tr/ /-/;
        my $count = $seen{$anchor}++;
        $seen{"$anchor-$count"} = 1 if $count;
    }
    return %seen;
}

my @documents = grep { -e } lines_of('git', 'ls-files', '*.md');
my @pages     = grep { -e } lines_of('git', 'ls-files', 'docs/man');
my @told      = (@documents, @pages);

# Links.
for my $path (@documents) {
    my @dead;
    for my $line (text_of($path)) {
        while ($line =~ /\[[^\]]*\]\(([^)\s]+)\)/g) {
            my $link = $1;
            next if $link =~ /^[a-z]+:/;
            my ($file, $anchor) = split /#/, $link, 2;
            my $target = $file eq '' ? $path : dirname($path) . "/$file";
            if (!-e $target) {
                push @dead, "$link: no such file";
            } elsif (defined $anchor && !{ anchors_of($target) }->{$anchor}) {
                push @dead, "$link: no such heading";
            }
        }
    }
    ok(!@dead, "$path: its links lead somewhere") or diag(join("\n", @dead));
}

# Make targets: `make TARGET` in text, and in quoted commands. What is made in examples/ has rules of
# its own.
{
    my %known;
    my $database = join("\n", lines_of('make', '-pn', 'help'));
    $known{$1} = 1 while $database =~ /^([A-Za-z][\w.\/-]*):(?!=)/mg;
    my @unknown;
    my $mentioned = 0;
    for my $path (grep { !m{^examples/} } @told) {
        my $text = slurp($path);
        my @commands = $text =~ /`make ([^`\n]*)`/g;
        push @commands, $text =~ /^ {4}\$ make\b(.*)$/mg;
        for my $command (@commands) {
            next if $command =~ /^-C/;
            for my $word (split ' ', $command =~ s/[>|;].*//r) {
                next if $word =~ /=/ || $word =~ /^[-\[]/ || $word =~ /NAME|TARGET|IMAGE/;
                $mentioned++;
                push @unknown, "$path: make $word" unless $known{$word};
            }
        }
    }
    ok($mentioned && !@unknown, 'make targets that are mentioned exist') or diag(join("\n", @unknown));
}

# Paths and names of the sources that stand in code quotes; but placeholders, the example, and the
# files of QEMU's own tests.
{
    my %top = map { (split m{/})[0] => 1 } grep { m{/} } lines_of('git', 'ls-files');
    my %name;
    for my $source (lines_of('git', 'ls-files', '*.[chS]', '*.mk', '*.asm', '*.inc', 'Makefile')) {
        $name{$_} = 1 for slurp($source) =~ /\b(godwit_\w+|GODWIT_\w+)/gi;
    }
    my @unknown;
    for my $path (grep { !m{^examples/} } @documents) {
        for my $line (text_of($path)) {
            for my $code ($line =~ /`([^`]+)`/g) {
                my ($folder) = $code =~ m{^([\w.-]+)/[\w./-]*$};
                push @unknown, "$path: $code"
                    if $folder
                    && $top{$folder}
                    && !-e $code
                    && $code !~ m{\bNAME\b|/example\.c$|/a-b-\w+\.h$};
                push @unknown, "$path: $code"
                    if $code =~ /^(GODWIT_\w+|godwit_\w+)(\(\))?$/ && !$name{$1} && $code !~ /_$/;
            }
        }
    }
    ok(!@unknown, 'files and names of the sources that are mentioned exist')
        or diag(join("\n", @unknown));
}

# Rows of a table whose first cell is code: [name, second cell, ...] of each.
sub rows_of {
    my ($path) = @_;
    my @rows;
    for my $line (text_of($path)) {
        next unless $line =~ /^\|\s*`([^`]+)`\s*\|(.*)\|\s*$/;
        push @rows, [$1, map { s/^\s+|\s+$//gr } split /\|/, $2];
    }
    return @rows;
}

# Scenarios.
my @listed = map { (split)[0] } lines_of($godwit, 'list');
my %listed = map { $_ => 1 } @listed;
same_set(\@listed, 'godwit list',
    [grep { $listed{$_} || m{^[a-z]+/[a-z0-9/-]+$} } map { $_->[0] } rows_of('docs/scenarios.md')],
    'docs/scenarios.md', 'the tables list every scenario, and no other');

# The fields of a scenario and of its spec.
for my $struct (['scenario', 'harness/scenario/scenario.h'], ['spec', 'harness/course/course.h']) {
    my ($name, $header) = @$struct;
    my ($body) = slurp($header) =~ /^struct godwit_$name \{\n(.*?)^\};/ms;
    $body =~ s{/\*.*?\*/}{}gs;
    my @fields = map { /\(\*(\w+)\)\(/ || /(\w+)\s*$/ ? ".$1" : () } split /;/, $body;
    my ($table) = slurp('docs/scenarios.md') =~ /^(\| field of `struct godwit_$name`.*?)\n\n/ms;
    same_set(\@fields, $header, [($table // '') =~ /^\| `(\.\w+)` \|/mg], 'docs/scenarios.md',
        "every field of struct godwit_$name is described");
}

# The guest ABI's numbers, each name once.
sub value_of {
    my ($text) = @_;
    return $text =~ /^0x[0-9a-f]+$/i ? hex $text : $text =~ /^\d+$/ ? $text + 0 : undef;
}

{
    my %header;
    my $text = slurp('include/godwit/guest_abi.h');
    $header{$1} = value_of($2) while $text =~ /^#define (GODWIT_[A-Z0-9_]+)\s+(0x[0-9a-f]+|\d+)\b/mg;
    my (%document, @wrong);
    for my $row (grep { $_->[0] =~ /^GODWIT_/ } rows_of('docs/guest-abi.md')) {
        my ($name, $value) = ($row->[0], value_of($row->[1]));
        push @wrong, "$name: listed twice" if exists $document{$name};
        $document{$name} = $value;
        push @wrong, "$name: not $row->[1]"
            if exists $header{$name} && (!defined $value || $value != $header{$name});
    }
    same_set([keys %header], 'guest_abi.h', [keys %document], 'docs/guest-abi.md',
        'the tables list every number of the ABI');
    ok(!@wrong, 'numbers of the ABI are right') or diag(join("\n", @wrong));
}

# The images' addresses: a table whose head names the ends of the macros.
{
    my (@columns, @wrong, @told_of);
    for my $line (text_of('docs/guest-abi.md')) {
        my @cells = map { s/^\s+|\s+$|`//gr } (split /\|/, $line)[1 .. ($line =~ tr/|//) - 1];
        if (@cells && $cells[0] eq 'image') {
            @columns = @cells;
        } elsif (!@cells) {
            @columns = ();
        } elsif (@columns && $cells[0] =~ /^\w+$/) {
            push @told_of, $cells[0];
            my $header = -e "gen/$cells[0].h" ? slurp("gen/$cells[0].h") : '';
            for my $i (1 .. $#columns) {
                my $macro = 'GODWIT_' . uc($cells[0]) . "_$columns[$i]";
                my ($value) = $header =~ /^#define $macro (\S+)$/m;
                my ($here, $there) = (value_of($cells[$i]), value_of($value // ''));
                push @wrong, "$macro: not $cells[$i]"
                    unless defined $here && defined $there && $here == $there;
            }
        }
    }
    same_set([map { m{gen/(\w+)\.h} } glob 'gen/*.h'],
        'gen', \@told_of, 'docs/guest-abi.md', 'the tables list every image');
    my @lists = (['README.md', 'gen/*.h'], ['docs/vendoring.md', 'gen/*.h'],
        ['CONTRIBUTING.md', '*/machine.c'], ['CHANGELOG.md', '*/machine.c']);
    my @untold;
    for my $list (@lists) {
        my ($page, $pattern) = @$list;
        my @names = map { m{gen/(\w+)\.h|(\w+)/machine\.c}; $1 // $2 } glob $pattern;
        push @untold, map {"$page: $_"} grep { slurp($page) !~ /\b$_\b/ } @names;
    }
    is(join("\n", @untold), '', 'what else lists images and architectures');
    ok(!@wrong, 'addresses of the images are right') or diag(join("\n", @wrong));
}

# The man pages: each command has one, and its texts are those of --help.
{
    my $output = `mk/man.pl --check '$godwit' @pages 2>&1`;
    is($? . $output, '0', 'the man pages have the texts of --help and of the schema (make man)');
    my $dir = tempdir(CLEANUP => 1);
    my $page = slurp('docs/man/godwit-run.1');
    for my $change (['a word of an option', 'Run each scenario', 'Run every scenario'],
        ['an argument', 'Fl -repeat Ns', 'Fl -repeated Ns'], ['a text without its option', 'Fl -keep', 'Fl -kept'],
        ['the exit status', '2 after a usage', '3 after a usage']) {
        my ($what, $from, $to) = @$change;
        open(my $file, '>', "$dir/page.1") or die "$dir/page.1: $!\n";
        print $file $page =~ s/\Q$from\E/$to/r;
        close($file) or die "$dir/page.1: $!\n";
        my $found = `mk/man.pl --check '$godwit' '$dir/page.1' 2>&1`;
        ok($? && $found =~ /page\.1/, "a page that differs in $what is found") or diag($found);
    }
    my $summary = join("\n", lines_of($godwit, '--help'));
    my ($commands) = $summary =~ /^Commands:\n((?:  .*\n)+)/m;
    my @commands = ($commands // '') =~ /^  (\w+)/mg;
    same_set([map {"docs/man/godwit-$_.1"} @commands],
        '--help', [grep {/-\w+\.1$/} @pages], 'docs/man', 'each command has a man page');
    my $target = qr/^What to start:\n(.*?)\n\n/ms;
    my ($first) = join("\n", lines_of($godwit, 'run', '--help')) =~ $target;
    for my $command (@commands) {
        my $text = slurp("docs/man/godwit-$command.1");
        my @missing = grep { $text !~ /^\.\\" --help $command $_$/m } qw(name summary options exit);
        is("@missing", '', "godwit-$command.1 has all parts of the help");
        my ($group) = join("\n", lines_of($godwit, $command, '--help')) =~ $target;
        s/ +/ /g for grep {defined} $group, $first;
        is($group // 'none', $text =~ /^\.Xr godwit-target 7/m ? $first : 'none',
            "the options that godwit-$command.1 has from godwit-target.7");
    }
    my ($families) = slurp('docs/man/godwit-scenarios.7') =~ /^\.Ss Migrations\n(.*)^\.Ss Selection\n/ms;
    same_set([map { m{^([^/]+)} } @listed], 'godwit list',
        [map { split / , /, $_ } ($families // '') =~ /^\.It Cm (.*)$/mg], 'godwit-scenarios.7', 'families of scenarios');
    my $types = slurp('docs/man/godwit-results.5');
    is(join(' ', $types =~ /^\.\\" --schema (?!end$)(\w+)$/mg), 'results about selection summary result measurements vm',
        'godwit-results.5 has each object of the schema');
}

# The oracles that --oracle names: the table in the source, --help of both commands, and the
# documents.
{
    my ($table) = slurp('harness/oracle/ledger.c') =~ /names\[GODWIT_ORACLES\] = \{(.*?)\};/s;
    my @names = ($table // '') =~ /"([\w-]+)"/g;
    for my $command (qw(run migrate)) {
        my ($help) = join("\n", lines_of($godwit, $command, '--help')) =~ /Judge only with these oracles: (.*)/;
        same_set(\@names, 'ledger.c', [split /, /, $help // ''], "$command --help", "oracles in $command --help");
    }
    my ($listed) = slurp('docs/oracles.md') =~ /The names are (`.*?)\./s;
    same_set(\@names, 'ledger.c', [($listed // '') =~ /`([\w-]+)`/g], 'docs/oracles.md', 'oracles in docs/oracles.md');
}

# The version.
{
    my ($version) = slurp('harness/base/version.h') =~ /^#define GODWIT_VERSION "(.*)"$/m;
    my ($latest) = slurp('CHANGELOG.md') =~ /^## \[?(\d[\w.-]*)/m;
    is($latest, $version, 'the change log begins with this version');
}

# The code in DOCUMENT behind the line that matches INTRODUCTION.
sub code_behind {
    my ($document, $introduction) = @_;
    my ($code) = slurp($document) =~ m{$introduction\n\n((?: {4}.*\n|\n)+)}m;
    return ($code // '') =~ s/^ {4}//mgr;
}

# What the compiler says of it: nothing, if it compiles as it stands.
sub compile {
    my ($code) = @_;
    my $dir = tempdir(CLEANUP => 1);
    open(my $file, '>', "$dir/example.c") or die "$dir/example.c: $!\n";
    print $file $code;
    close($file) or die "$dir/example.c: $!\n";
    my $flags = `pkg-config --cflags gio-unix-2.0 jansson`;
    chomp $flags;
    my $cc = $ENV{CC} // 'cc';
    my $output = `$cc -std=gnu11 -Wall -Wextra -Werror -fsyntax-only -D_GNU_SOURCE -Iharness -Iinclude -Igen -Iriscv64 $flags $dir/example.c 2>&1`;
    return $? == 0 ? $output : $output || 'it fails';
}

# The examples compile as they stand.
{
    my $scenario = code_behind('docs/scenarios.md', '^`harness/scenario/example\.c`:');
    my $said     = compile($scenario);
    ok($said eq '' && $scenario =~ /GODWIT_SCENARIOS_END/, 'the example scenario compiles')
        or diag($said);
    my $guide   = 'docs/adding-an-architecture.md';
    my $machine = code_behind($guide, 'All of `riscv64/machine\.c`:$');
    $said = compile($machine);
    ok($said eq '' && $machine =~ /^GODWIT_MACHINE/m, 'the example machine compiles') or diag($said);
    my ($whole) = slurp('riscv64/machine.c') =~ m{^(#include.*)\z}ms;
    is($machine =~ s/\s+\z/\n/r, $whole, 'the example machine is the machine');
    same_set([grep { m{^(?:riscv64|gen)/} } map { $_->[0] } rows_of($guide)],
        $guide, [lines_of('git', 'ls-files', 'riscv64', 'gen/riscv64*')], 'the repository',
        'the files of the example architecture');
}

done_testing();
