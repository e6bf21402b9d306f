#!/usr/bin/env perl
# Completion: what the program offers, and what bash, zsh and fish make of it, as far as they are
# installed.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

my $scripts = abs_path("$FindBin::Bin/../../mk/package");
my $dir = tempdir(CLEANUP => 1);
symlink $godwit, "$dir/godwit" or die "$dir/godwit: $!";
mkdir "$dir/files" or die "$dir/files: $!";
for my $name (qw(old.json other.json)) { open my $file, '>', "$dir/files/$name" or die "$name: $!" }
local $ENV{PATH} = "$dir:$ENV{PATH}";
local @ENV{qw(HOME HISTFILE)} = ($dir, '/dev/null');

sub offered { return map { (split /\t/)[0] } split /\n/, run(['complete', @_])->{out} }

# The program.
my @commands = run(['--help'])->{out} =~ /^  (\w+) {2,}\w/mg;
is_deeply([grep {/^\w/} offered('')], \@commands, 'each command');
my @all = grep { !m{/NAME$} } map { (split)[0] } split /\n/, run(['list'])->{out};
for my $command (@commands) {
    my @options = run([$command, '--help'])->{out} =~ /^  (?:-\w, )?(--[\w-]+)/mg;
    is_deeply([offered($command, '-')], \@options, "$command: each option");
}
is_deeply([offered('run', '')], \@all, 'each scenario');
is_deeply([offered('run', '-j', '2', 'x', 'precopy/tcp/pl')], ['precopy/tcp/plain'], 'a scenario behind others');
is_deeply([offered('run', '--arch', '')], [split /\n/, `"$FindBin::Bin/../../mk/arches.sh"`], 'each architecture');
is_deeply([offered('run', '-a', 'x')], ['x86_64'], 'an architecture behind a letter');
is_deeply([offered('run', '--arch=s390x,x')], ['--arch=s390x,x86_64'], 'one more architecture');
is_deeply([offered('migrate', '--fault', '')],
    [map { (split)[0] } split /\n/, run(['selftest', '--list'])->{out}], 'each fault');
is_deeply([offered('run', '--accept-known', 'tcg-hot-page')], ['tcg-hot-page'], 'a known bug, once');
is_deeply([offered('report', 'diff', '')], [':files'], 'files');
is_deeply([offered('run', '--', '-')], [], 'nothing among arguments of QEMU');
is_deeply([offered('nonsense', '')], [], 'nothing for an unknown command');
is_deeply([offered('run', $_)], [], 'nothing begins so: ' . quotemeta) for "\e[31m", '$(touch x)', "'";
is(run(['complete', ''])->{err}, '', 'nothing on standard error');

# What each shell makes of a line: the words that it offers.
my @lines = (
    ['godwit doc', qw(doctor)],
    ['godwit run --unti', qw(--until-fail)],
    ['godwit run precopy/tcp/pl', 'precopy/tcp/plain'],
    ['godwit run --arch s3', 's390x'],
    ['godwit migrate --fault swap', 'swap-pages'],
    ['godwit run precopy/unix/suspend/', 'precopy/unix/suspend/live', 'precopy/unix/suspend/notlive'],
    ['godwit report convert files/o', 'files/old.json', 'files/other.json'],
);
my %ask = (
    bash => sub {
        my ($line) = @_;
        return `cd '$dir' && bash --norc -c 'source "$scripts/completion.bash"
            compopt() { COMPREPLY=(\$(compgen -f -- "\${COMP_LINE##* }")); }
            COMP_LINE=\$1 COMP_POINT=\${#1}; _godwit; printf "%s\\n" "\${COMPREPLY[@]}"' bash '$line' 2>&1`;
    },
    fish => sub {
        my ($line) = @_;
        return `cd '$dir' && fish --no-config -c 'source "$scripts/completion.fish"; complete -C "$line"' 2>&1` =~ s/\t.*//mgr;
    },
    # In a terminal of its own; what compadd gets is what zsh offers.
    zsh => sub {
        my ($line) = @_;
        open my $file, '>', "$dir/ask.zsh" or die "$dir/ask.zsh: $!";
        print $file <<"END";
zmodload zsh/zpty
zpty inner 'PS1= exec zsh -f -i'
zpty -w inner 'cd $dir; unsetopt zle_bracketed_paste; fpath=($dir/zsh \$fpath); autoload -U compinit; compinit -u -D'
zpty -w inner 'compadd() { local -a got; builtin compadd -O got "\$@"; print -rl -- \$got >>$dir/got; builtin compadd "\$@" }'
zpty -w inner 'print -r "rea""dy"'
zpty -r -m inner text '*ready*'
zpty -w -n inner '$line'\$'\\t'
zpty -w -n inner \$'\\C-a: \\C-e\\n'
zpty -w inner 'print -r "do""ne"'
zpty -r -m inner text '*done*'
zpty -d inner
END
        close $file or die "$dir/ask.zsh: $!";
        mkdir "$dir/zsh";
        symlink "$scripts/completion.zsh", "$dir/zsh/_godwit";
        unlink "$dir/got";
        system "cd '$dir' && timeout 60 zsh -f '$dir/ask.zsh' >/dev/null 2>&1";
        # It completes a path folder by folder.
        my $got = slurp("$dir/got");
        return $line =~ m{ files/o$} ? $got =~ s/^files\n//mgr =~ s{^(?=o)}{files/}mgr : $got;
    },
);
for my $shell (sort keys %ask) {
    SKIP: {
        skip "no $shell", scalar @lines unless grep { -x "$_/$shell" } split /:/, $ENV{PATH};
        for my $case (@lines) {
            my ($line, @expected) = @$case;
            my %words = map { s/\s+\z//r => 1 } grep {/\S/} split /\n/, $ask{$shell}->($line);
            is_deeply([sort keys %words], [sort @expected], "$shell: $line");
        }
    }
}

# In a terminal, bash puts the words into the line. This program prints what it was given.
SKIP: {
    skip 'no script(1)', 3 unless grep { -x "$_/script" } split /:/, $ENV{PATH};
    mkdir "$dir/bin" or die "$dir/bin: $!";
    open my $program, '>', "$dir/bin/godwit" or die "$dir/bin/godwit: $!";
    print $program qq(#!/bin/sh\n[ "\$1" != complete ] || exec '$godwit' "\$@"\necho "<\$*>"\n);
    close $program or die "$dir/bin/godwit: $!";
    chmod 0755, "$dir/bin/godwit";
    open my $input, '>', "$dir/input" or die "$dir/input: $!";
    print $input "cd '$dir'; PATH='$dir/bin':\$PATH; source '$scripts/completion.bash'\n",
        "godwit doct\t\n", "godwit rep\tconv\tfiles/ol\t\n", "godwit run --arch=s390x,pp\t\n", "exit\n";
    close $input or die "$dir/input: $!";
    my $shown = `timeout 60 script -qec 'bash --norc --noprofile -i' /dev/null <'$dir/input' 2>&1`;
    like($shown, qr/<\Q$_\E>/, "bash in a terminal: $_") for
        'doctor', 'report convert files/old.json', 'run --arch=s390x,ppc64';
}

done_testing();
