#!/usr/bin/env perl
# Fills the man pages with what `godwit --help` prints, so that each text has one source.
#
#   mk/man.pl [--check] GODWIT PAGE...      rewrites the pages; with --check, only reports and exits with 1
#
# A page in mdoc(7) has blocks, `.\" --help COMMAND PART` to `.\" --help end`, whose contents are
# replaced. The parts are:
#
#   name      the command's line in `godwit --help`
#   commands  all such lines (COMMAND is "godwit")
#   summary   what stands above the options, without usage and exit status
#   exit      the exit status
#   options   its own options
#   target    the options below "What to start"
#
# A block that begins with `.\" --schema DEFINITION` has the members of that definition in
# docs/results.schema.json.
#
# Text of an option that is too long for --help follows the comment `.\" more` and stays.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use JSON::PP;

my $check = @ARGV && $ARGV[0] eq '--check' ? shift : '';
my ($godwit, @pages) = @ARGV;
die "usage: mk/man.pl [--check] GODWIT PAGE...\n" unless @pages;
$ENV{LC_ALL} = 'C';

my %help;

# Returns the help of COMMAND, of the program itself if that is "godwit".
sub help_of {
    my ($command) = @_;
    return $help{$command} //= do {
        open my $pipe, '-|', $godwit, $command eq 'godwit' ? () : $command, '--help'
            or die "$godwit: $!\n";
        local $/ = undef;
        my $text = <$pipe>;
        close $pipe or die "$godwit $command --help failed\n";
        $text;
    };
}

# Fills text into lines of at most 100 columns. A line that would begin with a control character gets
# a zero-width one before it.
sub filled {
    my ($text) = @_;
    my @lines = ('');
    for my $word (split ' ', $text) {
        $word =~ s/^(?=[.'])/\\&/ if $lines[-1] eq '';
        if ($lines[-1] eq '') { $lines[-1] = $word }
        elsif (length("$lines[-1] $word") <= 100) { $lines[-1] .= " $word" }
        else { push @lines, $word =~ s/^(?=[.'])/\\&/r }
    }
    return grep { $_ ne '' } @lines;
}

# Returns TEXT of a help as lines of mdoc. VARIABLES are names of arguments.
sub prose {
    my ($text, @variables) = @_;
    my $names = join '|', map {quotemeta} 'GLOB', @variables;
    my (@lines, $plain);
    my $flush = sub { push @lines, map { filled($_) } split /(?<=\.) (?=[A-Z])/, $plain // ''; $plain = '' };
    for my $word ($text =~ /([("]*`[^`]*`\S*|\S+)/g) {
        if ($word =~ /^(\(?)`([^`]*)`([),.;:]*)$/) {
            $flush->();
            my ($opened, $quoted, $closed) = ($1, $2, $3);
            $quoted =~ s/-/\\-/g;
            push @lines, join ' ', '.Ql', $opened || (), qq("$quoted"), split //, $closed;
        } elsif ($word =~ /^(\(?)--([a-z][\w-]*)([),.;:]*)$/) {
            $flush->();
            push @lines, join ' ', '.Fl', $1 || (), "-$2", split //, $3;
        } elsif ($word =~ /^(\(?)($names)([),.;:]*)$/) {
            $flush->();
            push @lines, join ' ', '.Ar', $1 || (), lc $2, split //, $3;
        } else {
            $plain = join ' ', grep { length } $plain, $word =~ s/^--$/\\-\\-/r;
        }
    }
    $flush->();
    return @lines;
}

# The options of COMMAND in one group of its help: [letter, name, argument, description] of each.
sub options_of {
    my ($command, $part) = @_;
    my (@options, $group);
    for my $line (split /\n/, help_of($command)) {
        $group = $1 if $line =~ /^(\S.*):$/;
        next unless $line =~ /^  (?:-(\w), )?--([\w-]+)(?:=(\S+))? +(.*)$/;
        my $target = $group eq 'What to start' ? 'target' : 'options';
        push @options, [$1, $2, $3, $4] if $target eq $part;
    }
    die "$command --help: no options for \"$part\"\n" unless @options;
    return @options;
}

# NAME[:FILE] as arguments of a line of mdoc.
sub argument {
    my ($text) = @_;
    my (@words, $opened);
    for my $token ($text =~ /(,?\.\.\.|[A-Z][A-Z-]*|[a-z]+|.)/g) {
        push @words, 'Ns' unless $opened || $token =~ /^[],:;]$/;
        push @words,
              $token eq '['      ? 'Oo'
            : $token eq ']'      ? 'Oc'
            : $token =~ /\.\./    ? "No $token"
            : $token =~ /^[A-Z]/ ? 'Ar ' . lc $token
            : $token =~ /^[a-z]/ ? "Cm $token"
            :                      $token;
        $opened = $token eq '[';
    }
    return join ' ', @words;
}

sub option_lines {
    my ($command, $part, $old) = @_;
    my (%more, $name, $within);
    pop @$old if @$old && $old->[-1] eq '.El';
    for my $line (@$old) {
        ($name, $within) = ($1, 0) if $line =~ /^\.It .*Fl -([\w-]+)/;
        push @{ $more{$name} }, $line if $within;
        if ($line eq '.\" more') { $within = 1; $more{$name} //= [] }
    }
    my @lines = ('.Bl -tag -width Ds');
    for my $option (options_of($command, $part)) {
        my ($letter, $long, $value, $text) = @$option;
        my @variables = ($value // '') =~ /([A-Z][A-Z-]*)/g;
        push @lines, '.It ' . ($letter ? "Fl $letter , " : '') . "Fl -$long" . ($value ? ' Ns = ' . argument($value) : '');
        push @lines, prose("$text.", @variables);
        my $kept = delete $more{$long};
        push @lines, '.\" more', @$kept if $kept && @$kept;
    }
    die "$command $part: text for options that do not exist: @{[sort keys %more]}\n" if %more;
    return (@lines, '.El');
}

# What stands above the options, without usage; and behind "Exit status:".
sub summary_of {
    my ($command) = @_;
    my ($text) = help_of($command) =~ /^Usage:\n(?:  [^\n]*\n)+\n(.*?)\n\n/s or die "$command --help: no summary\n";
    my ($summary, $exit) = $text =~ /^(.*?)^Exit status: (.*)$/ms or die "$command --help: no exit status\n";
    return ($summary, $exit);
}

sub summary_lines {
    my ($text) = @_;
    my (@lines, $list, $plain);
    $plain = '';
    my $flush = sub { push @lines, prose($plain, qw(OLD NEW)); $plain = '' };
    for my $line (split /\n/, $text) {
        if ($line =~ /^  (\w+)  +(\S.*)$/ && $line !~ /^  godwit/) {
            $flush->();
            push @lines, '.Bl -tag -width Ds' unless $list++;
            push @lines, ".It Cm $1", prose("$2.");
        } elsif ($line =~ /^  (\S.*)$/) {
            $flush->();
            push @lines, '.Dl ' . $1 =~ s/-/\\-/gr;
        } else {
            push @lines, '.El' if $list;
            $list = 0;
            $plain .= " $line";
        }
    }
    $flush->();
    push @lines, '.El' if $list;
    return @lines;
}

sub command_lines {
    my ($commands) = help_of('godwit') =~ /^Commands:\n((?:  .*\n)+)/m or die "no commands in --help\n";
    return map { /^  (\w+) +(.*)$/ ? [$1, $2] : () } split /\n/, $commands;
}

my $schema;

# The members of the object that the schema describes, as a list of mdoc.
sub member_lines {
    my ($object) = @_;
    my $members = $object->{properties} or return;
    my @lines = ('.Bl -tag -width Ds -compact');
    for my $name (sort keys %$members) {
        my $member = $members->{$name};
        my ($reference) = ($member->{'$ref'} // '') =~ m{/(\w+)$};
        my $described = $reference ? $schema->{definitions}{$reference} : $member;
        my $type = $described->{type} // ($described->{enum} ? 'string' : 'integer');
        $type = join ' or ', @$type if ref $type;
        push @lines, ".It Va $name Pq $type", prose($member->{description} // '');
        push @lines, map { member_lines($_) } grep {$_} $member, $member->{items}, values %{ $member->{patternProperties} // {} },
            grep { ref eq 'HASH' } $member->{additionalProperties};
    }
    return (@lines, '.El');
}

sub schema_lines {
    my ($name) = @_;
    $schema //= do {
        open my $file, '<', 'docs/results.schema.json' or die "docs/results.schema.json: $!\n";
        local $/ = undef;
        JSON::PP->new->utf8->decode(<$file>);
    };
    my $object = $name eq 'results' ? $schema : $schema->{definitions}{$name} // die "no definition $name in the schema\n";
    return member_lines($object);
}

sub block {
    my ($command, $part, $old) = @_;
    return option_lines($command, $part, [@$old]) if $part eq 'options' || $part eq 'target';
    my %text = map { $_->[0] => $_->[1] } command_lines();
    return '.Nd ' . ($text{$command} // die "no command $command\n") if $part eq 'name';
    return ('.Bl -tag -width Ds', (map { (".It Xr godwit-$_->[0] 1", ucfirst "$_->[1].") } command_lines()), '.El')
        if $part eq 'commands';
    my ($summary, $exit) = summary_of($command);
    return summary_lines($summary) if $part eq 'summary';
    return prose($exit) if $part eq 'exit';
    die "unknown part \"$part\"\n";
}

my $stale = 0;
for my $page (@pages) {
    open my $file, '<', $page or die "$page: $!\n";
    my @old = <$file>;
    close $file;
    chomp @old;
    my @new;
    while (defined(my $line = shift @old)) {
        push @new, $line;
        next unless $line =~ /^\.\\" --(help (\w+)|schema) (?!end$)(\w+)$/;
        my ($kind, $command, $part) = ($1, $2, $3);
        my @within;
        push @within, shift @old while @old && $old[0] !~ /^\.\\" --(?:help|schema) end$/;
        die "$page: the block \"$line\" has no end\n" unless @old;
        my @lines = eval { $command ? block($command, $part, \@within) : schema_lines($part) } or die "$page: $@";
        push @new, @lines;
        my $same = "@lines" eq "@within";
        next if $same;
        $stale = 1;
        my %before = map { $_ => 1 } @within;
        print "$page: $kind $part: $_\n" for grep { !$before{$_} } @lines;
        print "$page: $kind $part: lines that are gone\n" unless grep { !$before{$_} } @lines;
    }
    next if $check;
    open $file, '>', $page or die "$page: $!\n";
    print $file map {"$_\n"} @new;
    close $file or die "$page: $!\n";
}
exit($check && $stale ? 1 : 0);
