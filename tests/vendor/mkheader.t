#!/usr/bin/perl
# What mkheader makes of good images, and that it refuses bad ones: exit status 2, one line that
# says why, and no output.
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;

$ENV{LC_ALL} = 'C';
my $mkheader = $ENV{MKHEADER} // 'build/mkheader';
-x $mkheader or plan skip_all => "no $mkheader: run make $mkheader";
my $dir = tempdir(CLEANUP => 1);

my ($MAGIC, $VERSION, $PARAMS, $BASE) = (0x47445754, 2, 0x100, 0x7c00);
my %symbols = (
    godwit_image    => $BASE,
    godwit_start    => $BASE,
    godwit_params   => $BASE + $PARAMS,
    godwit_mailbox  => 0x10000,
    godwit_ram_base => 0,
);

sub spew {
    my ($path, $bytes) = @_;
    open my $file, '>:raw', $path or die "$path: $!";
    print $file $bytes;
    close $file or die "$path: $!";
    return $path;
}

sub slurp {
    my ($path) = @_;
    open my $file, '<:raw', $path or return undef;
    local $/;
    return scalar <$file>;
}

# An image of SIZE bytes with a parameter block of that magic and version, `L>` big-endian.
sub image {
    my ($size, $order, $magic, $version) = @_;
    my $bytes = "\0" x $size;
    substr($bytes, $PARAMS, 8) = pack "L${order}2", $magic // $MAGIC, $version // $VERSION;
    substr($bytes, -1) = "\xea";
    return $bytes;
}

sub sym_lines {
    my (%sym) = @_;
    return join '', map { sprintf "%016x T %s\n", $sym{$_}, $_ } sort keys %sym;
}

sub run {
    my ($image, $sym, %option) = @_;
    my %arguments = (
        name    => 'sample',
        image   => spew("$dir/sample.bin", $image),
        symbols => spew("$dir/sample.sym", $sym),
        output  => "$dir/sample.h",
        %option
    );
    my @arguments = map { "--$_=$arguments{$_}" } grep { defined $arguments{$_} } sort keys %arguments;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDERR, '>', "$dir/stderr" or die;
        exec $mkheader, @arguments or die;
    }
    waitpid $pid, 0;
    return ($? >> 8, slurp("$dir/stderr"));
}

sub refused {
    my ($why, $pattern, @arguments) = @_;
    unlink "$dir/sample.h";
    my ($status, $stderr) = run(@arguments);
    subtest "refused: $why" => sub {
        is $status, 2, 'exit status';
        like $stderr, qr/\Amkheader: .*$pattern.*\n\z/, 'one line that says why';
        ok !-e "$dir/sample.h", 'no header';
    };
}

sub made {
    my ($what, @arguments) = @_;
    my ($status, $stderr) = run(@arguments);
    is "$status$stderr", '0', $what;
    return slurp("$dir/sample.h") // '';
}

my $good = image(512, '<');
my $sym = sym_lines(%symbols);

# Good images.
my $header = made('little-endian image', $good, $sym);
like $header, qr/^\/\* SPDX-License-Identifier: MIT \*\/\n/, 'licence';
like $header, qr/^#define GODWIT_SAMPLE_BIG_ENDIAN 0$/m, 'byte order';
like $header, qr/^#define GODWIT_SAMPLE_ABI_VERSION 2$/m, 'ABI version';
like $header, qr/^#define GODWIT_SAMPLE_PARAMS_ADDR 0x7d00$/m, 'address of a symbol';
like $header, qr/^#define GODWIT_SAMPLE_PARAMS_OFFSET 256$/m, 'offset of a symbol in the array';
like $header, qr/^#define GODWIT_SAMPLE_MAILBOX_ADDR 0x10000$/m, 'address of a symbol elsewhere';
unlike $header, qr/MAILBOX_OFFSET/, 'which has no offset in the array';
chomp(my $sum = `sha256sum <$dir/sample.bin`);
$sum =~ s/ .*//;
like $header, qr/^#define GODWIT_SAMPLE_SHA256 \\\n    "$sum"$/m, 'SHA-256';
unlike $header, qr/\Q$dir\E/, 'no path of where it was made';
like $header, qr/LENGTH 512\n.*FILE_SIZE 512\n.*FILE_OFFSET 0\n/, 'a boot sector is not trimmed';

my $before = (stat "$dir/sample.h")[1];
made('the same once more', $good, $sym);
is((stat "$dir/sample.h")[1], $before, 'an unchanged header is not written anew');

like made('big-endian image', image(512, '>'), $sym), qr/BIG_ENDIAN 1$/m, 'byte order';
my $long = "\0" x 512 . image(1024, '<');
substr($long, 0x2f9, 1) = "\x90";
$header = made('image with leading zeros', $long,
    sym_lines(%symbols, godwit_params => $BASE + 512 + $PARAMS));
$header =~ /_LENGTH (\d+)\n.*FILE_SIZE (\d+)\n.*FILE_OFFSET (\d+)\n/ or fail 'sizes';
is "$1 $2 $3", '784 1536 752', 'leading zeros are trimmed to a multiple of 16';
is scalar(() = $header =~ /0x[0-9a-f]{2},/g), 784, 'as many bytes as it says';
like $header, qr/PARAMS_OFFSET 16$/m, 'offsets count from the array, not the file';
unlike $header, qr/IMAGE_OFFSET/, 'what was trimmed away has none';
like made('symbols that are not exported', $good, "${sym}0 t loop\n1 b .LC\$0\n"),
    qr/LENGTH 512/, 'are passed over';

# Bad images.
refused 'empty image', 'the image is empty', '', $sym;
refused 'no image', 'No such file', $good, $sym, image => "$dir/none";
refused 'no symbol list', 'No such file', $good, $sym, symbols => "$dir/none";
refused 'wrong magic', 'magic is 0x01020304', image(512, '>', 0x01020304), $sym;
refused 'parameter block elsewhere', 'no parameter block at 0x7d08', $good,
    sym_lines(%symbols, godwit_params => $BASE + $PARAMS + 8);
refused 'other ABI version', 'ABI version 1, not 2', image(512, '<', $MAGIC, 1), $sym;
refused 'version in the other byte order', 'ABI version 33554432, not 2',
    image(512, '<', $MAGIC, 0x02000000), $sym;
refused 'parameter block before the image', 'not inside the image', $good,
    sym_lines(%symbols, godwit_params => $BASE - 8);
refused 'parameter block past the image', 'not inside the image', $good,
    sym_lines(%symbols, godwit_params => $BASE + 512);
refused 'parameter block half inside', 'not inside the image', $good,
    sym_lines(%symbols, godwit_params => $BASE + 480);
refused 'parameter block askew', 'not 8-byte aligned', "\0\0\0\0$good",
    sym_lines(%symbols, godwit_params => $BASE + $PARAMS + 4);
refused 'mailbox elsewhere', 'mailbox is at 0x20000, not at 0x10000', $good,
    sym_lines(%symbols, godwit_mailbox => 0x20000);

# Bad symbol lists.
for my $missing (sort keys %symbols) {
    my %others = %symbols;
    delete $others{$missing};
    refused "no $missing", "no symbol $missing", $good, sym_lines(%others);
}
refused 'second definition', 'second symbol godwit_start', $good, "${sym}0 T godwit_start\n";
refused 'undefined symbol', 'sample.sym:6: not a line', $good, "$sym                 U strlen\n";
for my $line ('', 'T godwit_x', '12 godwit_x', 'xyz T godwit_x', '12 T', '12 TT godwit_x',
    '12 T godwit_x y', '11112222333344445 T godwit_x', '-1 T godwit_x', "12 T godwit_x\r") {
    refused "line \"" . ($line =~ s/\r/\\r/r) . '"', 'sample.sym:6: not a line', $good,
        "$sym$line\n1 T x\n";
}
refused 'capital letters', 'cannot become a macro', $good, "${sym}1 T godwit_Loop\n";
refused 'nothing after the prefix', 'cannot become a macro', $good, "${sym}1 T godwit_\n";

# Bad command lines and places.
refused 'name that C does not allow', 'not a lower-case C identifier', $good, $sym,
    name => 'x86-rom';
refused 'name with capitals', 'not a lower-case C identifier', $good, $sym, name => 'X86';
refused 'no output given', 'wants --name', $good, $sym, output => undef;
refused 'unknown option', 'Unknown option', $good, $sym, what => 1;
refused 'output in no directory', 'No such file', $good, $sym, output => "$dir/none/sample.h";
mkdir "$dir/directory";
refused 'output that is a directory', 'directory', $good, $sym, output => "$dir/directory";

opendir my $listing, $dir or die;
is_deeply [sort grep { !/^\./ } readdir $listing], [qw(directory sample.bin sample.sym stderr)],
    'nothing else is left behind';
done_testing;
