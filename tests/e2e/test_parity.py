"""The stock rules on messages of our own: hits, sub-rules and scores are those of the installed SpamAssassin."""
import subprocess

import harness


def test_every_message_gets_spamassassins_hits_and_score():
    r = subprocess.run([harness.ROOT / "tests/parity/parity", "--binary", harness.BINARY, "--minimum", "1"],
                       capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr
