"""The gateway as a service: reload, drain, readiness, policies, the commands of its operator."""
import json
import os
import signal
import smtplib
import socket
import subprocess
import threading
import time

import harness
from harness import message


def test_reload_keeps_sessions_and_applies_the_new_settings(tmp_path, sink):
    with harness.gateway(tmp_path, next_hop=sink.port) as g:
        with g.smtp() as old:
            old.ehlo()
            old.mail("alice@example.net")
            g.settings["relay"]["domains"].append("example.com")
            g.reload()
            assert old.rcpt("bob@example.org")[0] == 250
            assert old.data(message(subject="begun before"))[0] == 250
        assert g.send(message(subject="new domain"), to=["x@example.com"])[0] == 250
        sink.wait(2)


def test_a_bad_configuration_changes_nothing(gate, sink):
    good = gate.config.read_text()
    gate.config.write_text(good + "\nlimits: {messages_size: 5}\n")
    gate.process.send_signal(signal.SIGHUP)
    harness.wait_for("the refusal", lambda: "reload-refused" in gate.log_text())
    assert "message_size" in gate.log_text()  # the nearest valid name
    assert gate.send(message())[0] == 250
    sink.wait(1)
    gate.config.write_text(good)


def test_reload_under_load_loses_nothing(gate, sink):
    sent, refused, halt = [], [], threading.Event()

    def push(number):
        count = 0
        while not halt.is_set():
            count += 1
            name = f"{number}-{count}"
            try:
                code, text = gate.send(message(subject=name))
                (sent if code == 250 else refused).append((name, text))
            except (OSError, smtplib.SMTPException) as e:
                refused.append((name, repr(e)))
    threads = [threading.Thread(target=push, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for _ in range(3):
        time.sleep(0.5)
        gate.reload()
    halt.set()
    for t in threads:
        t.join()
    assert not refused, refused[:5]
    sink.wait(len(sent))
    assert {n for n, _ in sent} == {d.split(b"Subject: ")[1].split(b"\r\n")[0].decode()
                                   for _, _, d in sink.messages}


def test_sigterm_finishes_the_transaction(tmp_path, sink):
    g = harness.Gateway(tmp_path, next_hop=sink.port).start()
    s = g.smtp()
    s.ehlo()
    s.mail("alice@example.net")
    s.rcpt("bob@example.org")
    s.putcmd("data")
    assert s.getreply()[0] == 354
    g.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    s.send(message(subject="the last one") + b"\r\n.\r\n")
    code, text = s.getreply()
    assert code == 250, text
    s.close()
    assert g.process.wait(30) == 0
    if not sink.messages:  # then it is in the queue, and goes on at the next start
        g.start()
        sink.wait(1)
        g.stop()
    assert b"the last one" in sink.messages[0][2]
    g.check_sanitizers()


def test_systemd_is_told(tmp_path, sink, monkeypatch):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        with harness.gateway(tmp_path, next_hop=sink.port) as g:
            assert b"READY=1" in s.recv(4096)
            g.process.send_signal(signal.SIGTERM)
            assert b"STOPPING=1" in s.recv(4096)
            g.process.wait(30)


def test_a_policy_for_each_recipient(tmp_path, sink):
    policies = [
        {"name": "abuse-desk", "recipients": ["abuse@example.org"], "scan": False},
        {"name": "strict", "recipients": ["strict@example.org"], "on_spam": "hold"},
        {"name": "tagging", "recipients": ["@example.org"], "on_high_spam": "tag",
         "subject_tag": "[SPAM _SCORE_] ", "headers": "mimedefang"},
    ]
    with harness.gateway(tmp_path, next_hop=sink.port, settings={"policies": policies}) as g:
        code, text = g.send(message(body=harness.GTUBE + "\r\n"),
                            to=["abuse@example.org", "bob@example.org"])
        assert code == 250, text
        code, text = g.send(message(subject="please tag me"), to=["strict@example.org"])
        assert code == 250, text
        by_rcpt = {tuple(r): d for _, r, d in sink.wait(2)}
        assert b"X-Spam" not in by_rcpt[("abuse@example.org",)]
        tagged = by_rcpt[("bob@example.org",)]
        assert b"Subject: [SPAM 1000.0] hello\r\n" in tagged
        assert b"X-Spam-Score: 1000" in tagged and b"GTUBE" in tagged
        held = g.run("quarantine", "list")
        assert "please tag me" in held.stdout and "strict@example.org" in held.stdout
        assert len(sink.messages) == 2


def test_quarantine_releases_unchanged_once(tmp_path, sink):
    policies = [{"name": "default", "on_spam": "hold"}]
    data = message(subject="please tag me", body="..dots\r\n" + "x" * 50 + "\r\n")
    with harness.gateway(tmp_path, next_hop=sink.port, settings={"policies": policies}) as g:
        assert g.send(data, to=["bob@example.org", "carol@example.org"])[0] == 250
        item = json.loads(harness.wait_for(
            "the held item", lambda: g.run("quarantine", "list", "--json").stdout).splitlines()[0])
        r = g.run("quarantine", "release", item["id"], "--to", "carol@example.org")
        assert r.returncode == 0, r.stdout + r.stderr
        sender, rcpts, got = sink.wait(1)[0]
        assert (sender, rcpts) == ("alice@example.net", ["carol@example.org"])
        assert got.endswith(data)
        again = g.run("quarantine", "release", item["id"], "--to", "carol@example.org", check=False)
        assert again.returncode != 0 and "already released" in again.stderr + again.stdout
        g.run("quarantine", "release", item["id"])
        assert sink.wait(2)[1][1] == ["bob@example.org"]
        assert "hold" in g.run("log", "outcome=hold").stdout


def test_queue_commands_on_a_running_gateway(tmp_path, sink):
    with harness.gateway(tmp_path, next_hop=sink.port,
                         settings={"queue": {"retry": ["10m"]}}) as g:
        sink.rcpt_reply = lambda addr: b"450 4.2.1 come back later"
        for name in ("one", "two", "three"):
            assert g.send(message(subject=name), to=[f"{name}@example.org"])[0] == 250

        def deferred():
            rows = [json.loads(line) for line in g.run("queue", "list", "--json").stdout.splitlines()]
            return len(rows) == 3 and all("come back later" in json.dumps(r) for r in rows) and rows
        rows = {json.dumps(r): r["id"] for r in harness.wait_for("three deferred", deferred)}
        one, two, three = (next(v for k, v in rows.items() if f"{n}@example.org" in k)
                           for n in ("one", "two", "three"))
        assert "come back later" in g.run("queue", "show", one).stdout
        assert g.run("queue", "delete", two).returncode == 0
        assert g.run("queue", "hold", three).returncode == 0
        sink.rcpt_reply = lambda addr: None
        assert g.run("queue", "retry", one).returncode == 0
        assert sink.wait(1)[0][1] == ["one@example.org"]
        g.run("queue", "release", three)
        g.run("queue", "retry", three)
        assert sink.wait(2)[1][1] == ["three@example.org"]
        harness.wait_for("an empty queue",
                         lambda: not g.run("queue", "list", "--json").stdout.strip())
        shown = g.run("log", two).stdout
        assert "delete" in shown


def test_log_follows(gate, sink):
    p = subprocess.Popen([str(gate.binary), "log", "-c", str(gate.config), "-f"],
                         stdout=subprocess.PIPE, text=True, env=dict(os.environ, ASAN_OPTIONS=""))
    try:
        time.sleep(0.5)
        gate.send(message(subject="seen live"))
        lines = []
        reader = threading.Thread(target=lambda: lines.append(p.stdout.readline()), daemon=True)
        reader.start()
        reader.join(10)
        assert lines and "bob@example.org" in lines[0], lines
    finally:
        p.kill()
        p.wait()


def test_after_queue_mode(tmp_path, sink):
    """Scanned behind the queue: spam that was promised is held, never bounced."""
    with harness.gateway(tmp_path, next_hop=sink.port,
                         settings={"queue": {"after_queue": True}}) as g:
        assert g.send(message(body=harness.GTUBE + "\r\n"))[0] == 250
        assert g.send(message(subject="good"))[0] == 250
        assert b"good" in sink.wait(1)[0][2]
        held = harness.wait_for("the held item", lambda: g.run("quarantine", "list").stdout.strip())
        assert "bob@example.org" in held
        time.sleep(0.5)
        assert len(sink.messages) == 1
