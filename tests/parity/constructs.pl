#!/usr/bin/perl
# What SpamAssassin makes of each pattern on each message. Standard input: JSON {patterns, mails}. A line of JSON for each
# pattern: known (whether it accepts it), why not, and on which messages it hits in the body and in Subject.
use strict;
use warnings;
use JSON::PP;
use Mail::SpamAssassin;
use Mail::SpamAssassin::PerMsgStatus;
use Mail::SpamAssassin::Util qw(compile_regexp);
use POSIX ();

my $json = JSON::PP->new->latin1->canonical;
my $in = $json->decode(do { local $/; <STDIN> });
my $sa = Mail::SpamAssassin->new({ local_tests_only => 1, dont_copy_prefs => 1, userprefs_filename => '/dev/null' });
$sa->init(0);
my @texts;    # of each message: body lines, Subject
for my $file (@{ $in->{mails} }) {
    open my $m, '<:raw', $file or die "$file: $!\n";
    my $st = Mail::SpamAssassin::PerMsgStatus->new($sa, $sa->parse(do { local $/; <$m> }, 0));
    push @texts, [[@{ $st->get_decoded_stripped_body_text_array() }], [$st->get('Subject', undef)]];
}

sub judge {
    my $pattern = shift;
    $pattern =~ s/(?<!\\)#.*$//;    # as a line of a rule file is read
    $pattern =~ s/\\#/#/g;
    $pattern =~ s/^\s+|\s+$//g;
    my ($re, $why) = compile_regexp($pattern, 1, 0);
    my %said = (known => $re ? 1 : 0, why => "$why", body => [], subject => []);
    no warnings;
    for my $i ($re ? (0 .. $#texts) : ()) {
        for my $k (0, 1) {
            my $hit = eval { grep { defined && $_ =~ /$re/op } @{ $texts[$i][$k] } };
            push @{ $said{ $k ? 'subject' : 'body' } }, $i if $hit;
        }
    }
    return $json->encode(\%said);
}

$| = 1;
for my $pattern (@{ $in->{patterns} }) {
    my $pid = fork // die "fork: $!\n";
    if (!$pid) { alarm 20; syswrite STDOUT, judge($pattern) . "\n"; POSIX::_exit(0); }
    waitpid $pid, 0;
    print "{\"known\":-1}\n" if $?;
}
