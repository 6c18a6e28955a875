#!/usr/bin/perl
# What SpamAssassin makes of each line "label, insist, bytes" (label and bytes in hexadecimal, tab separated): whether
# it is a string of characters, and its UTF-8. Each label is judged in a process of its own, because Encode keeps what
# it has found.
use strict;
use warnings;
use Mail::SpamAssassin::Message::Node;
use POSIX ();

sub judge {
    my ($label, $insist, $bytes) = split /\t/, shift, -1;
    my $text = Mail::SpamAssassin::Message::Node::_normalize(pack('H*', $bytes), pack('H*', $label), !$insist, $insist);
    my $chars = utf8::is_utf8($text) ? 1 : 0;
    utf8::encode($text) if $chars;
    return "$chars " . unpack('H*', $text) . "\n";
}

sub judge_all {
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        local $SIG{__WARN__} = sub { };
        syswrite STDOUT, join('', map { judge($_) } @_);
        POSIX::_exit(0);
    }
    waitpid $pid, 0;
}

my @lines;
while (<STDIN>) {
    chomp;
    my ($label) = split /\t/;
    if (@lines && $lines[0] !~ /^\Q$label\E\t/) { judge_all(@lines); @lines = (); }
    push @lines, $_;
}
judge_all(@lines) if @lines;
