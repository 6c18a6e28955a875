#!/usr/bin/perl
# What the installed SpamAssassin learns and then says: lines "spam FILE", "ham FILE", "forget FILE", "check FILE"
# on standard input, as sa-learn and spamassassin do them; a store of its own in DIR.
# usage: bayes.pl DIR SETTINGS.cf < list
# One line each: word, file, learned (0, 1) or: probability ("none"), rules hit, whether it would
# be learned by itself (yes, no), score.
use strict;
use warnings;

BEGIN {    # repeatable: fixed hash order, C locale, UTC
    if (($ENV{PERL_HASH_SEED} // '') ne '0' || ($ENV{TZ} // '') ne 'UTC') {
        @ENV{qw(PERL_HASH_SEED PERL_PERTURB_KEYS LC_ALL LANG TZ)} = (0, 0, 'C', 'C', 'UTC');
        exec $^X, $0, @ARGV or die "exec: $!\n";
    }
}
use IO::Handle;
use Mail::SpamAssassin;
use POSIX ();

my $compiled = 0;
my ($dir, $settings) = @ARGV;
open my $in, '<', $settings or die "$settings: $!\n";
my $extra = do { local $/; <$in> };
my $sa = Mail::SpamAssassin->new({
    local_tests_only   => 1,
    dont_copy_prefs    => 1,
    userprefs_filename => '/dev/null',
    post_config_text   => "use_auto_whitelist 0\nuse_auto_welcomelist 0\nbayes_path $dir/bayes\n"
        . "lock_method flock\nbayes_auto_expire 0\nbayes_learn_to_journal 0\n$extra",
});
$sa->init(1);

sub read_message {
    my $file = shift;
    open my $f, '<:raw', $file or die "$file: $!\n";
    my $bytes = do { local $/; <$f> };
    my $mail = $sa->parse(\$bytes);
    if ($mail->get_header('X-Spam-Checker-Version')) {
        my $clean = $sa->parse($sa->remove_spamassassin_markup($mail), 1);
        $mail->finish();
        $mail = $clean;
    }
    return $mail;
}

# In a child of its own: SpamAssassin keeps some regular expressions from the first message a process ever saw.
sub check {
    my $file = shift;
    my $pid = fork // die "fork: $!\n";
    if ($pid) { waitpid $pid, 0; return; }
    open my $f, '<:raw', $file or die "$file: $!\n";
    my $bytes = do { local $/; <$f> };
    my $st = $sa->check($sa->parse(\$bytes, 0));
    my $p = $st->{bayes_score};
    my $r = $sa->call_plugins('autolearn_discriminator', { permsgstatus => $st });
    my $line = join("\t", 'check', $file, defined $p ? sprintf('%.12f', $p) : 'none', $st->get_names_of_tests_hit() || '',
        ref $r ? 'yes' : 'no', $st->get_score()) . "\n";
    syswrite STDOUT, $line;
    POSIX::_exit(0);
}

my $learner = 0;
while (my $line = <STDIN>) {
    chomp $line;
    my ($word, $file) = split / /, $line, 2;
    if ($word eq 'check') {
        if ($learner) { $sa->rebuild_learner_caches(); $sa->finish_learner(); $learner = 0; }
        $sa->compile_now(0, 1) if !$compiled++;
        STDOUT->flush();
        check($file);
        next;
    }
    if (!$learner) {
        $sa->init_learner({ force_expire => 0, learn_to_journal => 0, wait_for_lock => 1, caller_will_untie => 1 });
        $sa->{bayes_scanner}->{use_ignores} = 0 if $sa->{bayes_scanner};
        $learner = 1;
    }
    my $mail = read_message($file);
    my $status = $sa->learn($mail, undef, $word eq 'spam' ? 1 : 0, $word eq 'forget' ? 1 : 0);
    print "$word\t$file\t", ($status->did_learn() ? 1 : 0), "\n";
    $status->finish();
    $mail->finish();
}
if ($learner) { $sa->rebuild_learner_caches(); $sa->finish_learner(); }
