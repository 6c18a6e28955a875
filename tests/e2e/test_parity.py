"""The stock rules on messages of our own: hits, sub-rules and scores are those of the installed SpamAssassin."""
import subprocess

import harness


def differ(*options):
    return subprocess.run([harness.ROOT / "tests/parity/differ", "--binary", harness.BINARY, "--modern", "--fingerprint", *options],
                          capture_output=True, text=True, timeout=300)


def test_modern_mail_is_read_as_spamassassin_reads_it(tmp_path):
    r = differ("--count", "40", "--seed", "11", "--keep", tmp_path)
    assert r.returncode == 0, r.stdout + r.stderr


def test_modern_mail_without_normalising_charsets(tmp_path):
    (tmp_path / "own.cf").write_text("normalize_charset 0\n")
    r = differ("--count", "20", "--seed", "12", "--keep", tmp_path / "d", "--cf", tmp_path / "own.cf")
    assert r.returncode == 0, r.stdout + r.stderr


def test_every_message_gets_spamassassins_hits_and_score():
    r = subprocess.run([harness.ROOT / "tests/parity/parity", "--binary", harness.BINARY, "--minimum", "1"],
                       capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr
