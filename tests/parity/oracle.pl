#!/usr/bin/perl
# What the installed SpamAssassin says of each message: local tests only, no Bayes, no auto-welcomelist.
# usage: oracle.pl [--time] [--net SERVER:PORT RULES.cf | --site DIR] < list-of-files
# One line a message: file, score, rules hit, sub-rules hit, tab separated; with --time in front: microseconds.
# Each message is judged in a child of its own, because SpamAssassin keeps some regular expressions from the first
# message that a process ever saw; with --time all are judged in one process, as a daemon would.
use strict;
use warnings;

BEGIN {    # repeatable: fixed hash order, C locale, UTC
    if (($ENV{PERL_HASH_SEED} // '') ne '0' || ($ENV{TZ} // '') ne 'UTC') {
        @ENV{qw(PERL_HASH_SEED PERL_PERTURB_KEYS LC_ALL LANG TZ)} = (0, 0, 'C', 'C', 'UTC');
        exec $^X, $0, @ARGV or die "exec: $!\n";
    }
}
use Mail::SpamAssassin;
use POSIX ();
use Time::HiRes qw(time);

my $timed = @ARGV && $ARGV[0] eq '--time';
my ($server, $rules) = @ARGV && $ARGV[0] eq '--net' ? @ARGV[1, 2] : ();
my $site = @ARGV && $ARGV[0] eq '--site' ? $ARGV[1] : undef;
my $net = '';
if (defined $rules) {
    open my $in, '<:raw', $rules or die "$rules: $!\n";
    $net = join('', <$in>) . "\n";
}
# The same name server as the other side, and rules that ask it.
$net .= "dns_available yes\ndns_server $server\nuse_pyzor 0\nuse_razor2 0\n" if defined $server;
my $sa = Mail::SpamAssassin->new({
    local_tests_only   => defined $server ? 0 : 1,
    dont_copy_prefs    => 1,
    userprefs_filename => '/dev/null',
    defined $site ? (site_rules_filename => $site) : (),
    post_config_text   => "use_auto_whitelist 0\nuse_auto_welcomelist 0\nbayes_auto_learn 0\nuse_bayes 0\n$net",
});
$sa->compile_now(0, 1);
$sa->{conf}->{dns_block_rule} = $sa->{conf}->{dns_block_rule_domains} = {};    # keeps files between runs

sub names { my %seen; return join ',', sort grep { length && !$seen{$_}++ } split /,/, shift; }

sub judge {
    my $file = shift;
    my $before = time;
    open my $in, '<:raw', $file or do { warn "$file: $!\n"; return; };
    my $bytes = do { local $/; <$in> };
    my $mail = $sa->parse($bytes, 0);
    my $st = $sa->check($mail);
    my @fields = ($file, $st->get_score(), names($st->get_names_of_tests_hit()),
        names($st->get_names_of_subtests_hit()));
    $st->finish();
    $mail->finish();
    unshift @fields, int((time - $before) * 1e6) if $timed;
    syswrite STDOUT, join("\t", @fields) . "\n";
}

while (my $file = <STDIN>) {
    chomp $file;
    if ($timed) { judge($file); next; }
    my $pid = fork // die "fork: $!\n";
    if (!$pid) { close STDIN; judge($file); POSIX::_exit(0); }
    waitpid $pid, 0;
}
