"""What is kept and how operators ask for it: `gatehouse log`, `gatehouse quarantine`."""
import json
import subprocess
import time

import pytest

from harness import BINARY

DRIVE = BINARY.parent / "tests" / "e2e" / "keep_drive"


@pytest.fixture
def state(tmp_path):
    (tmp_path / "gatehouse.yaml").write_text(
        f"paths:\n  state: {tmp_path}\n  run: {tmp_path}/run\n")
    return tmp_path


def fill(state, count):
    subprocess.run([DRIVE, state, str(count)], check=True)


def run(state, command, *arguments, code=0):
    p = subprocess.run([BINARY, command, "-c", state / "gatehouse.yaml", *arguments],
                       capture_output=True, text=True)
    assert p.returncode == code, (p.returncode, p.stdout, p.stderr)
    return p


def ids(state, command, *arguments):
    return [json.loads(line)["id"][-4:].lstrip("0") or "0"
            for line in run(state, command, "--json", *arguments).stdout.splitlines()]


def test_log_lists(state):
    fill(state, 7)
    lines = run(state, "log").stdout.splitlines()
    assert len(lines) == 7
    assert lines[1].startswith("2026-11-22T07:30:01.000Z 3K7F0Q2M8TZC0001 accept     1.0  "
                               "<ann@sender.example> to <bob@example.org> and 1 more [192.0.2.7]")
    # A subject can't give orders to the terminal.
    assert "Subject \\x1b[2J \u00fc \\xff" in lines[1]
    o = json.loads(run(state, "log", "--json", "-n", "1").stdout)
    assert o["subject"] == "Subject \x1b[2J \u00fc \ufffd"
    assert o["recipients"] == ["bob@example.org", "x@y.example"] and o["score"] == 6
    assert ids(state, "log", "-n", "2") == ["5", "6"]
    assert ids(state, "log", "outcome=hold") == ["0", "3", "6"]
    assert ids(state, "log", "recipient=@sales.example.org") == ["1", "3", "5"]
    assert ids(state, "log", "sender=ann@*", "rule=RULE_4") == ["4"]
    assert ids(state, "log", "since=2026-11-22T07:30:05") == ["5", "6"]
    assert ids(state, "log", "since=1h") == []
    assert ids(state, "log", "peer=192.0.2.0/24", "until=2026-11-22T07:30:01Z") == ["0"]


def test_log_tells_the_story(state):
    fill(state, 4)
    text = run(state, "log", "3K7F0Q2M8TZC0003").stdout
    for part in ("arrived     2026-11-22T07:30:03.000Z, 4711 bytes",
                 "[192.0.2.7], which said client.example, ESMTPS TLSv1.3",
                 "hold: spam, policy default", "the sender was told: 250 2.0.0 Ok: queued",
                 "decided in 1.5 ms", "rules: score 3 of 5", "RULE_3",
                 "BODY: says \\x1b[31mred", 'matched "buy now"', "and 1 sub-rules",
                 "virus check: clean, by clamd 1.4.6", "rules/SLOW: match limit", "mime.parts = 3",
                 "delivered <bob@example.org> at mx.example.org[192.0.2.9]:25: 250 2.0.0 kept",
                 "configuration test.yaml"):
        assert part in text, part
    assert "\x1b" not in text
    o = json.loads(run(state, "log", "--json", "3K7F0Q2M8TZC0003").stdout)
    assert o["rules"]["hits"][0]["name"] == "RULE_3"
    assert o["groups"][0]["recipients"] == ["bob@example.org", "eve@sales.example.org"]
    assert o["events"][0]["event"] == "delivered"
    assert "no record of" in run(state, "log", "3K7F0Q2M8TZC9999", code=1).stderr


def test_log_says_what_it_does_not_understand(state):
    assert "has the gateway run yet?" in run(state, "log", code=75).stderr
    fill(state, 1)
    assert "there are: sender=, recipient=" in run(state, "log", "sendr=x", code=64).stderr
    assert "neither an id nor field=value" in run(state, "log", "bob", code=64).stderr
    assert "'yesterday' is no time" in run(state, "log", "since=yesterday", code=64).stderr
    assert "expected a number" in run(state, "log", "-n", "x", code=64).stderr


def test_log_follows(state):
    fill(state, 2)
    p = subprocess.Popen([BINARY, "log", "-c", state / "gatehouse.yaml", "-f", "--json"],
                         stdout=subprocess.PIPE, text=True)
    try:
        assert [json.loads(p.stdout.readline())["score"] for _ in range(2)] == [0, 1]
        time.sleep(0.5)
        fill(state, 3)  # writes 0 and 1 anew: scanned again, told again
        assert [json.loads(p.stdout.readline())["score"] for _ in range(3)] == [0, 1, 2]
        # The database is exchanged for a new one while we follow.
        for suffix in ("", "-wal", "-shm"):
            (state / f"record.db{suffix}").unlink(missing_ok=True)
        fill(state, 1)
        assert json.loads(p.stdout.readline())["score"] == 0
    finally:
        p.kill()
        p.wait()


def test_quarantine_lists_and_shows(state):
    fill(state, 7)
    assert ids(state, "quarantine", "list") == ["0", "3", "6"]
    assert ids(state, "quarantine", "list", "recipient=@sales.example.org") == ["3"]
    assert ids(state, "quarantine", "list", "text=HELD", "-n", "1") == ["6"]
    assert ids(state, "quarantine", "list", "reason=virus") == []
    assert "<bob@example.org>, <eve@sales.example.org>" in \
        run(state, "quarantine", "list").stdout
    text = run(state, "quarantine", "show", "3K7F0Q2M8TZC0003").stdout
    assert "<eve@sales.example.org> held: spam" in text and "192.0.2.7" in text
    p = subprocess.run([BINARY, "quarantine", "-c", state / "gatehouse.yaml", "show", "--message",
                        "3K7F0Q2M8TZC0003"], capture_output=True, check=True)
    assert p.stdout == b"Subject: held\r\n\r\nbody 3\r\n"
    assert "is not in the quarantine" in \
        run(state, "quarantine", "show", "3K7F0Q2M8TZC0001", code=1).stderr
    assert "no id" in run(state, "quarantine", "show", "../../x", code=1).stderr
    p = run(state, "quarantine", "list", "--nonsense", code=64)
    assert p.stderr.startswith("gatehouse quarantine: unrecognized option '--nonsense'\n")
    assert "'gatehouse quarantine --help'" in p.stderr
    run(state, "quarantine", code=64)
    run(state, "quarantine", "steal", code=64)


def test_quarantine_without_a_gateway(state):
    fill(state, 4)
    for action in ("release", "delete"):
        assert "not the id of a message" in run(state, "quarantine", action, b"\xff", code=1).stderr
    assert "no gateway runs" in \
        run(state, "quarantine", "release", "3K7F0Q2M8TZC0003", code=75).stderr
    assert run(state, "quarantine", "delete", "3K7F0Q2M8TZC0003").stdout == \
        "3K7F0Q2M8TZC0003 deleted\n"
    assert ids(state, "quarantine", "list") == ["0"]
    assert ids(state, "quarantine", "list", "--all") == ["0", "3"]
    assert "already deleted for" in \
        run(state, "quarantine", "delete", "3K7F0Q2M8TZC0003", code=1).stderr
    shown = run(state, "quarantine", "show", "3K7F0Q2M8TZC0003").stdout
    assert "deleted on 20" in shown
