"""A message's way: in by SMTP, judged, out to the next hop, into the quarantine, or back."""
import re

import harness
from harness import GTUBE, message


def without_our_headers(data):
    """The message minus what the gateway put on top."""
    head, body = data.split(b"\r\n\r\n", 1)
    fields = re.split(rb"\r\n(?![ \t])", head)
    ours = (b"received:", b"x-spam-", b"x-gatehouse-id:", b"x-virus-status:",
            b"authentication-results:")
    kept = [f for f in fields if not f.lower().startswith(ours)]
    return b"\r\n".join(kept) + b"\r\n\r\n" + body


def test_ordinary_mail_arrives_unchanged(gate, sink):
    odd = (b"Subject: odd\r\nX-Empty:\r\nx-lower : spaced\r\n\tfolded\r\nFrom: a@example.net\r\n\r\n"
           b"..leading dots\r\n.\x01control\r\n" + bytes(range(128, 256)) + b"\r\n" + b"x" * 3000
           + b"\r\n\r\n\r\n")
    for data in (message(), odd):
        code, text = gate.send(data)
        assert code == 250, text
    # Each has a connection of its own: which comes first is not said.
    first, second = sorted((m[2] for m in sink.wait(2)), key=lambda data: b"Subject: odd" in data)
    assert without_our_headers(first) == message()
    assert without_our_headers(second) == odd
    assert first.lower().startswith(b"received: from client.test")


def test_the_reply_names_the_id_and_the_log_knows_it(gate, sink):
    code, text = gate.send(message(subject="find me"))
    identity = re.search(r"[0-9A-HJKMNP-TV-Z]{16}", text).group(0)
    sink.wait(1)
    shown = harness.wait_for("the record", lambda: gate.run("log", identity).stdout)
    assert "find me" in shown and "bob@example.org" in shown
    assert identity.encode() in sink.messages[0][2]


def test_gtube_is_refused(gate, sink):
    code, text = gate.send(message(body=GTUBE + "\r\n"))
    assert code == 550 and "5.7.1" in text, text
    gate.send(message(subject="after"))
    assert b"after" in sink.wait(1)[0][2]
    assert len(sink.messages) == 1


def test_spam_is_tagged(gate, sink):
    code, text = gate.send(message(subject="please tag me"))
    assert code == 250, text
    data = sink.wait(1)[0][2]
    assert b"X-Spam-Flag: YES\r\n" in data
    assert re.search(rb"X-Spam-Status: Yes, score=6.0 required=5.0 tests=T_SUBJ_TAGME", data), data
    assert without_our_headers(data) == message(subject="please tag me")


def test_forged_headers_are_removed(gate, sink):
    gate.send(message(headers=["X-Spam-Flag: NO", "X-Spam-Status: No, score=-100",
                               "X-Gatehouse-Id: 0000000000000000", "X-Virus-Status: Clean"]))
    data = sink.wait(1)[0][2]
    assert b"score=-100" not in data and b"0000000000000000" not in data
    assert data.count(b"X-Gatehouse-Id:") == 1


def test_one_process_dies_and_comes_back(gate, sink):
    import os
    import signal
    for role in ("scan", "spool", "door"):
        for pid in gate.pids(role):
            os.kill(pid, signal.SIGKILL)
        harness.wait_for(f"a new {role}", lambda: gate.pids(role))

        def accepted():
            try:
                return gate.send(message(subject=f"after {role}"))[0] == 250
            except OSError:
                return False
        harness.wait_for(f"mail after the death of {role}", accepted)
    subjects = b"".join(data for _, _, data in sink.wait(3))
    for role in (b"scan", b"spool", b"door"):
        assert b"after " + role in subjects
