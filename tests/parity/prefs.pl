#!/usr/bin/perl
# What the installed SpamAssassin says of messages under users' preferences, as spamd reads them: local tests only.
# usage: prefs.pl SITE-DIR < lines of "PREFS<TAB>MESSAGE"
# One JSON object a line: score, required, rules, subrules, headers. Each line is judged in a child of its own.
use strict;
use warnings;

BEGIN {    # repeatable: fixed hash order, C locale, UTC
    if (($ENV{PERL_HASH_SEED} // '') ne '0' || ($ENV{TZ} // '') ne 'UTC') {
        @ENV{qw(PERL_HASH_SEED PERL_PERTURB_KEYS LC_ALL LANG TZ)} = (0, 0, 'C', 'C', 'UTC');
        exec $^X, $0, @ARGV or die "exec: $!\n";
    }
}
use JSON::PP;
use Mail::SpamAssassin;
use POSIX ();

my $sa = Mail::SpamAssassin->new({
    local_tests_only    => 1,
    dont_copy_prefs     => 1,
    userprefs_filename  => '/dev/null',
    site_rules_filename => $ARGV[0],
    post_config_text    => "use_bayes 0\nbayes_auto_learn 0\nreport_hostname host.example\n",
});
$sa->init(0);
my $json = JSON::PP->new->latin1->canonical;

sub names { my %seen; return [sort grep { length && !$seen{$_}++ } split /,/, shift]; }

sub judge {
    my ($prefs, $file) = @_;
    $sa->read_scoreonly_config($prefs);
    open my $in, '<:raw', $file or die "$file: $!\n";
    my $mail = $sa->parse(do { local $/; <$in> }, 0);
    my $st = $sa->check($mail);
    my $which = $st->is_spam() ? 'headers_spam' : 'headers_ham';
    print STDOUT $json->encode({
        score => $st->get_score() + 0, required => $st->get_required_score() + 0,
        rules => names($st->get_names_of_tests_hit()), subrules => names($st->get_names_of_subtests_hit()),
        headers => $st->_get_added_headers($which), report_safe => $st->{conf}->{report_safe} + 0,
        subject => $st->{conf}->{rewrite_header}->{Subject} // '',
    }), "\n";
}

$| = 1;
while (my $line = <STDIN>) {
    chomp $line;
    my ($prefs, $file) = split /\t/, $line;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) { close STDIN; judge($prefs, $file); POSIX::_exit(0); }
    waitpid $pid, 0;
}
