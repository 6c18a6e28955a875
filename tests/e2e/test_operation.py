"""The gateway as a service: reload, drain, readiness, policies, the commands of its operator."""
import json
import os
import signal
import smtplib
import socket
import subprocess
import threading
import time

import yaml

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


def test_a_file_that_settings_name_must_be_there(tmp_path, sink):
    """At the start: nothing runs, and the message says which setting, which file, why, and what to do.
    At a reload: the old settings stay in force, whole."""
    missing = tmp_path / "access"
    g = harness.Gateway(tmp_path, next_hop=sink.port, settings={"access_file": str(missing)})
    g.config.write_text(yaml.safe_dump(g.settings))
    r = g.run("serve", check=False)
    assert r.returncode == 78, r
    assert f"{g.config}:" in r.stderr and str(missing) in r.stderr
    assert "No such file" in r.stderr and "empty file will do" in r.stderr
    missing.write_text("From:bad.example REJECT\n")
    try:
        g.start()
        good = g.config.read_text()
        g.settings["relay"]["domains_file"] = str(tmp_path / "domains")
        g.settings["access_file"] = str(tmp_path / "other")
        g.settings["relay"]["domains"] = ["elsewhere.example"]
        g.config.write_text(yaml.safe_dump(g.settings))
        g.process.send_signal(signal.SIGHUP)
        harness.wait_for("the refusal", lambda: "reload-refused" in g.log_text())
        assert str(tmp_path / "domains") in g.log_text()
        assert str(tmp_path / "other") in g.log_text()
        assert g.send(message(), to=["bob@elsewhere.example"])[0] == 550
        assert g.send(message(), sender="x@bad.example")[0] == 550
        assert g.send(message())[0] == 250
        sink.wait(1)
        g.config.write_text(good)
        g.process.send_signal(signal.SIGHUP)
        harness.wait_for("the reload", lambda: "generation=2" in g.log_text())
    finally:
        g.stop()


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
    promised = {n for n, _ in sent}

    def arrived():
        return {d.split(b"Subject: ")[1].split(b"\r\n")[0].decode() for _, _, d in list(sink.messages)}
    harness.wait_for("every promised message", lambda: arrived() >= promised)
    assert arrived() == promised


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


class NameServer(threading.Thread):
    """A name server on loopback: {(name, type): rdata}; other names do not exist."""

    def __init__(self, zone):
        super().__init__(daemon=True)
        self.zone = zone
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1@%d" % self.sock.getsockname()[1]
        self.start()

    def run(self):
        while True:
            q, peer = self.sock.recvfrom(4096)
            labels, at = [], 12
            while q[at]:
                labels.append(q[at + 1:at + 1 + q[at]].decode().lower())
                at += 1 + q[at]
            kind = int.from_bytes(q[at + 1:at + 3], "big")
            rdata = self.zone.get((".".join(labels), kind))
            head = q[:2] + (b"\x85\x80" if rdata or any(n == ".".join(labels) for n, _ in self.zone)
                            else b"\x85\x83") + b"\0\1" + (b"\0\1" if rdata else b"\0\0") + b"\0" * 4
            answer = b"" if not rdata else b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\0\1\0\0\0\x3c" \
                + len(rdata).to_bytes(2, "big") + rdata
            self.sock.sendto(head + q[12:at + 5] + answer, peer)


def test_the_name_of_a_client_is_found_and_must_lead_back(tmp_path, sink):
    dns = NameServer({("7.113.0.203.in-addr.arpa", 12): b"\4mail\7example\3net\0",
                      ("8.113.0.203.in-addr.arpa", 12): b"\4mail\7example\3net\0",
                      ("mail.example.net", 1): bytes([203, 0, 113, 7])})
    access = tmp_path / "access"
    access.write_text("Connect:bad.example.net REJECT\n")
    with harness.gateway(tmp_path, next_hop=sink.port, settings={
            "dns": {"client_names": True, "servers": [dns.address], "timeout": "2s"},
            "access_file": str(access)}) as g:
        g.settings["listeners"][0]["proxy_from"] = ["127.0.0.1"]
        g.reload()
        for client in ("203.0.113.7", "203.0.113.8"):
            with socket.create_connection(("127.0.0.1", g.port), timeout=20) as s:
                s.sendall(f"PROXY TCP4 {client} 127.0.0.1 4711 25\r\n".encode())
                f = s.makefile("rwb")
                assert f.readline().startswith(b"220")
                f.write(b"EHLO client.test\r\n")
                f.flush()
                while not f.readline().startswith(b"250 "):
                    pass
                for line in (b"MAIL FROM:<a@example.net>", b"RCPT TO:<bob@example.org>", b"DATA"):
                    f.write(line + b"\r\n")
                    f.flush()
                    assert f.readline()[:1] in b"23"
                f.write(message(subject=client) + b"\r\n.\r\n")
                f.flush()
                assert f.readline().startswith(b"250")
        sink.wait(2)
        received = {d.split(b"Subject: ")[1].split(b"\r\n")[0]: d.split(b"\r\n\tby ")[0]
                    for _, _, d in sink.messages}
        assert b"(mail.example.net [203.0.113.7])" in received[b"203.0.113.7"]
        assert b"(unknown [203.0.113.8])" in received[b"203.0.113.8"]
