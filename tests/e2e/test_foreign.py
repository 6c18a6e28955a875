"""Other people's software on both sides: Postfix, smtp-source, swaks."""
import os
import subprocess

import pytest

import harness
import postfix
from harness import message

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="Postfix starts as root only")


@needs_root
def test_postfix_relays_through_us_to_postfix(tmp_path, sink):
    """Postfix -> Gatehouse -> Postfix -> sink: 200 messages, none lost, none changed."""
    with postfix.Postfix(tmp_path / "last", next_hop=sink.port) as last, \
            harness.gateway(tmp_path / "gate", next_hop=last.port) as gate, \
            postfix.Postfix(tmp_path / "first", next_hop=gate.port) as first:
        for i in range(20):
            first_gate = harness.smtplib.SMTP("127.0.0.1", first.port)
            first_gate.sendmail("alice@example.net", ["bob@example.org"],
                                message(subject=f"chain {i}", body=f"line {i}\r\n.\r\n..\r\n"))
            first_gate.quit()
        postfix.source(first.port, 180, sessions=10)
        sink.wait(200, timeout=60)
        bodies = {d.split(b"\r\n\r\n", 1)[1] for _, _, d in sink.messages}
        for i in range(20):
            assert f"line {i}\r\n.\r\n..\r\n".encode() in bodies
        assert len(sink.messages) == 200


@needs_root
def test_smtp_source_with_many_sessions(gate, sink):
    postfix.source(gate.port, 500, sessions=50, size=3000)
    sink.wait(500, timeout=60)
    assert len(sink.messages) == 500


def test_swaks(gate, sink):
    r = subprocess.run(["swaks", "--server", f"127.0.0.1:{gate.port}", "--from", "a@example.net",
                        "--to", "bob@example.org,carol@example.org", "--body", "by swaks",
                        "--header", "Subject: swaks", "--ehlo", "swaks.test", "--pipeline"],
                       capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert r.returncode == 0, r.stdout
    sender, rcpts, data = sink.wait(1)[0]
    assert sorted(rcpts) == ["bob@example.org", "carol@example.org"] and b"by swaks" in data
