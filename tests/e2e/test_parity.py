"""The stock rules on messages of our own: hits, sub-rules and scores are those of the installed SpamAssassin."""
import json
import subprocess

import harness


def differ(*options):
    return subprocess.run([harness.ROOT / "tests/parity/differ", "--binary", harness.BINARY, "--modern", "--fingerprint", *options],
                          capture_output=True, text=True, timeout=300)


def test_modern_mail_is_read_as_spamassassin_reads_it(tmp_path):
    r = differ("--count", "30", "--seed", "11", "--keep", tmp_path)
    assert r.returncode == 0, r.stdout + r.stderr


def test_modern_mail_without_normalising_charsets(tmp_path):
    (tmp_path / "own.cf").write_text("normalize_charset 0\n")
    r = differ("--count", "15", "--seed", "12", "--keep", tmp_path / "d", "--cf", tmp_path / "own.cf")
    assert r.returncode == 0, r.stdout + r.stderr


def test_plugins_beyond_debians_defaults(tmp_path):
    """TextCat, Shortcircuit, PDFInfo, FromNameSpoof, DecodeShortURLs"""
    r = differ("--count", "8", "--seed", "13", "--keep", tmp_path, "--cf", harness.ROOT / "tests/parity/plugins.cf")
    assert r.returncode == 0, r.stdout + r.stderr


def test_no_stock_rule_is_ignored():
    """With Debian's plugins: what is not in force has a score of 0, no definition, or waits for the network or Bayes."""
    r = subprocess.run([harness.BINARY, "rules", "--json", "coverage"], capture_output=True, text=True)
    told = json.loads(r.stdout)
    assert told["problems"] == 0 and told["read"] > 2800
    ignored = {cause for cause, n in told["by_state"].items() if n and cause != "in force"}
    assert ignored <= {"score is 0", "no definition", "needs the network", "waits until enough is learned"}, ignored


def test_every_message_gets_spamassassins_hits_and_score():
    r = subprocess.run([harness.ROOT / "tests/parity/parity", "--binary", harness.BINARY, "--minimum", "1"],
                       capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr
