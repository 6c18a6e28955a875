"""The spool process: queue, deliveries, retries, reports, operators; real next hops."""
import email
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

import harness
from harness import message, wait_for
from spoolstand import stand


def smtp(sink):
    return f"smtp:[127.0.0.1]:{sink.port}"


@pytest.fixture
def spool(tmp_path, sink):
    with stand(tmp_path, smtp(sink)) as s:
        yield s


def reports(sink):
    return [email.message_from_bytes(d) for s, r, d in sink.messages if s == ""]


def test_bytes_arrive_as_they_were_decided(spool, sink):
    data = message(subject="one", body=".dots\r\n..\r\nlast line")
    assert spool.store(data, ["bob@example.org", "eve@example.org"],
                       [("accept", [0]), ("tag", [1])])["code"] == 0
    got = {r[0]: (s, d) for s, r, d in sink.wait(2)}
    assert got["bob@example.org"] == ("alice@example.net", b"X-Out: accept\r\n" + data + b"\r\n")
    assert got["eve@example.org"][1] == b"X-Out: tag\r\n" + data + b"\r\n"
    spool.empty()
    spool.drain()


def test_one_transaction_for_a_group_and_connections_are_used_again(spool, sink):
    for i in range(20):
        spool.store(message(subject=str(i)), ["a@example.org", "b@example.org", "c@example.com"])
    assert all(len(r) == 3 for _, r, _ in sink.wait(20))
    assert sink.connections < 20
    spool.empty()


def test_large_messages_do_not_stop_small_ones(spool, sink):
    body = ("0123456789" * 7 + "\r\n") * 280000
    big = message(subject="big", body=body)
    assert spool.store(big, ["big@example.org"])["code"] == 0
    assert spool.store(message(subject="small"), ["small@example.org"])["code"] == 0
    got = {r[0]: d for _, r, d in sink.wait(2, 60)}
    assert got["big@example.org"].endswith(body.encode())
    spool.empty()


def test_a_temporary_failure_is_tried_again(spool, sink):
    sink.rcpt_reply = lambda a: b"450 4.2.1 not now" if a.startswith("later") else None
    spool.store(message(), ["bob@example.org", "later@example.org"])
    sink.wait(1)
    row = wait_for("the deferral", lambda: [m for m in spool.listed()
                                            if m["recipients"][0]["tries"]])[0]
    assert [r["address"] for r in row["recipients"]] == ["later@example.org"]
    assert row["recipients"][0]["state"] == "deferred"
    assert row["recipients"][0]["reason"] == "450 4.2.1 not now"
    assert row["recipients"][0]["destination"] == smtp(sink)
    sink.rcpt_reply = lambda a: None
    sink.wait(2)
    spool.empty()
    assert [r for _, r, _ in sink.messages] == [["bob@example.org"], ["later@example.org"]]


def test_a_refused_recipient_is_reported_to_the_sender(spool, sink):
    sink.rcpt_reply = lambda a: b"550 5.1.1 no such user" if a.startswith("no") else None
    spool.store(message(subject="precious"), ["bob@example.org", {"addr": "no@example.org",
                "orcpt": "rfc822;alias@example.com"}], envid="E=1")
    sink.wait(2)
    report = reports(sink)[0]
    assert report["To"] == "<alice@example.net>"
    assert report["Auto-Submitted"] == "auto-replied"
    assert report.get_content_type() == "multipart/report"
    text, status, header = report.get_payload()
    assert "no such user" in text.get_payload()
    general, one = status.get_payload()
    assert general["Reporting-MTA"] == "dns; gate.test"
    assert general["Original-Envelope-Id"] == "E=1"
    assert one["Final-Recipient"] == "rfc822; no@example.org"
    assert one["Original-Recipient"] == "rfc822;alias@example.com"
    assert one["Action"] == "failed"
    assert one["Status"] == "5.1.1"
    assert one["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert header.get_content_type() == "text/rfc822-headers"
    assert "Subject: precious" in header.get_payload()
    assert "first light" not in report.as_string()
    spool.empty()


def test_ret_full_returns_the_message(spool, sink):
    sink.data_reply = lambda d: b"554 5.6.0 no" if b"X-Out" in d.split(b"\r\n")[0] else None
    spool.store(message(subject="whole", body="all of it\r\n"), ["bob@example.org"], ret="full")
    wait_for("the report", lambda: reports(sink))
    original = reports(sink)[0].get_payload()[2]
    assert original.get_content_type() == "message/rfc822"
    assert "all of it" in original.as_string()


@pytest.mark.parametrize("notify,told", [(1, False), (2, False), (4, True), (0, True), (6, True)])
def test_notify_is_obeyed(spool, sink, notify, told):
    sink.rcpt_reply = lambda a: b"550 5.1.1 no" if a.startswith("no") else None
    spool.store(message(), [{"addr": "no@example.org", "notify": notify}])
    spool.empty()
    assert bool(reports(sink)) == told


def test_success_is_reported_when_the_next_hop_can_not(spool, sink):
    spool.store(message(), [{"addr": "bob@example.org", "notify": 2}])
    sink.wait(2)
    status = reports(sink)[0].get_payload()[1].get_payload()[1]
    assert (status["Action"], status["Status"][0]) == ("relayed", "2")
    spool.empty()


def test_nobody_is_told_about_a_report_or_for_a_forged_sender(spool, sink):
    sink.rcpt_reply = lambda a: b"550 5.1.1 no"
    spool.store(message(), ["no@example.org"])          # its report is refused as well
    spool.store(message(), ["no2@example.org"], sender="")   # null sender
    spool.store(message(), ["no3@example.org"], [("tag", [0])])  # judged bad: the sender is forged
    spool.empty()
    assert not sink.messages
    held = list((spool.dir / "state" / "quarantine").glob("*/*.json"))
    assert len(held) == 2
    assert all('"undeliverable"' in h.read_text() for h in held)
    assert "reported" in spool.log()


def test_bounce_false_holds(tmp_path, sink):
    sink.rcpt_reply = lambda a: b"550 5.1.1 no"
    with stand(tmp_path, smtp(sink), settings={"queue": {"bounce": False}}) as spool:
        spool.store(message(), ["no@example.org"])
        row = wait_for("the hold", lambda: spool.listed(state="held"))[0]
        assert row["recipients"][0]["reason"] == "550 5.1.1 no"
        sink.rcpt_reply = lambda a: None
        assert spool.queue("release", ids=[row["id"]])[-1]["recipients"] == 1
        sink.wait(1)
        spool.empty()


def test_old_mail_goes_back_and_late_mail_is_announced(tmp_path, sink):
    sink.rcpt_reply = lambda a: b"450 4.2.2 full" if "bob" in a else None
    with stand(tmp_path, smtp(sink), settings={
            "queue": {"lifetime": "60s", "delay_warning": "30s", "retry": ["1s"]}}) as spool:
        spool.store(message(subject="late"), ["bob@example.org"], age=40)
        wait_for("the warning", lambda: reports(sink))
        status = reports(sink)[0].get_payload()[1].get_payload()[1]
        assert (status["Action"], status["Status"]) == ("delayed", "4.2.2")
        assert status["Will-Retry-Until"]
        spool.store(message(subject="old"), ["bob@example.org"], age=100)
        wait_for("the report", lambda: len(reports(sink)) >= 2)
        status = reports(sink)[1].get_payload()[1].get_payload()[1]
        assert (status["Action"], status["Diagnostic-Code"]) == ("failed", "smtp; 450 4.2.2 full")
        wait_for("the end of the old one", lambda: len(spool.listed()) == 1)
        time.sleep(1.5)
        assert len(reports(sink)) == 2  # warned once


def test_a_dead_destination_waits_as_a_whole(tmp_path, sink):
    sink.close()
    with stand(tmp_path, smtp(sink), settings={"queue": {"retry": ["2s"]}}) as spool:
        for i in range(30):
            spool.store(message(subject=str(i)), [f"u{i}@example.org"])
        wait_for("the back-off", lambda: len(spool.listed(state="deferred")) == 30)
        tried = spool.log().count("destination-down")
        assert tried <= 3
        sink.reopen()
        sink.wait(30)
        spool.empty()
        assert "destination-up" in spool.log()


def test_a_message_that_breaks_connections_does_not_stop_the_others(spool, sink):
    def poison(data):
        if b"poison" in data:
            raise OSError("the next hop fell over")
    sink.data_reply = poison
    spool.store(message(subject="poison"), ["bob@example.org"])
    for i in range(10):
        spool.store(message(subject=str(i)), [f"u{i}@example.org"])
    sink.wait(10)
    assert "destination-down" not in spool.log()
    left = spool.listed()
    assert len(left) == 1 and "4.4.2" in left[0]["recipients"][0]["reason"]


@pytest.mark.parametrize("options,reason", [
    (["-f", "rcpt"], "500 5.3.0"), (["-r", "data"], "450 4.3.0"), (["-q", "mail"], "4.4.2"),
    (["-q", "data"], "4.4.2"), (["-A", "0", "-r", "rcpt"], "450"), (["-q", "."], "4.4.2")])
def test_smtp_sink_misbehaves(tmp_path, options, reason):
    port = harness.free_port()
    p = subprocess.Popen(["smtp-sink", "-u", "postfix", *options, f"127.0.0.1:{port}", "50"],
                         stderr=subprocess.DEVNULL)
    try:
        wait_for("smtp-sink", lambda: not socket.socket().connect_ex(("127.0.0.1", port)))
        with stand(tmp_path, f"smtp:[127.0.0.1]:{port}",
                   settings={"queue": {"bounce": False}}) as spool:
            spool.store(message(), ["bob@example.org"])
            row = wait_for("what became of it",
                           lambda: [m for m in spool.listed() if m["recipients"][0]["tries"]])[0]
            assert reason[:3] in row["recipients"][0]["reason"]
            spool.drain()
    finally:
        p.terminate()
        p.wait()


def test_smtp_sink_takes_a_flood(tmp_path):
    port = harness.free_port()
    p = subprocess.Popen(["smtp-sink", "-u", "postfix", f"127.0.0.1:{port}", "200"])
    try:
        wait_for("smtp-sink", lambda: not socket.socket().connect_ex(("127.0.0.1", port)))
        with stand(tmp_path, f"smtp:[127.0.0.1]:{port}") as spool:
            answer = spool.do("load", count=2000, window=50, size=3000,
                              **{"from": "a@example.net", "to": "b@example.org"})
            assert answer["ok"] == 2000
            spool.empty()
            assert spool.log().count(" delivered ") == 2000
            status = spool.ask(command="status")[0]
            assert status["commits"] < 1000 and status["delivered"] == 2000
            spool.drain()
    finally:
        p.terminate()
        p.wait()


def test_maildir(tmp_path):
    with stand(tmp_path, f"maildir:{tmp_path}/mail") as spool:
        body = "x" * 70 + "\r\n"
        spool.store(message(body=body * 10000), ["bob@example.org"])
        spool.store(message(body="short\r\n"), ["eve@example.org", "ann@example.org"])
        files = wait_for("mail", lambda: len(list((tmp_path / "mail/new").glob("*"))) == 3 and
                         list((tmp_path / "mail/new").glob("*")))
        texts = sorted((f.read_bytes() for f in files), key=len)
        assert not list((tmp_path / "mail/tmp").glob("*"))
        assert texts[0].startswith(b"Return-Path: <alice@example.net>\nDelivered-To: ")
        assert {t.split(b"\n")[1] for t in texts} == {
            b"Delivered-To: " + n + b"@example.org" for n in (b"bob", b"eve", b"ann")}
        assert texts[2].count(body.replace("\r", "").encode()) == 10000
        assert all(b"\r" not in t for t in texts)
        spool.drain()


def test_lmtp_answers_for_each_recipient(tmp_path):
    got = []
    path = str(tmp_path / "lmtp")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(5)

    def serve():
        while True:
            try:
                c, _ = server.accept()
            except OSError:
                return
            f = c.makefile("rwb")
            rcpts, data = [], False
            def say(text):
                f.write(text.encode() + b"\r\n")
                f.flush()
            say("220 lmtp")
            for line in f:
                if data:
                    if line == b".\r\n":
                        data = False
                        for r in rcpts:
                            say("250 2.0.0 yes" if b"full" not in r else "552 5.2.2 quota")
                        got.append(rcpts)
                        rcpts = []
                elif line.startswith(b"LHLO"):
                    say("250-here\r\n250 PIPELINING")
                elif line.startswith(b"RCPT"):
                    rcpts.append(line)
                    say("250 ok")
                elif line.startswith(b"DATA"):
                    data = True
                    say("354 go")
                elif line.startswith(b"QUIT"):
                    say("221 bye")
                    break
                else:
                    say("250 ok")
            c.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with stand(tmp_path, "lmtp:" + path, settings={"queue": {"bounce": False}}) as spool:
        spool.store(message(), ["bob@example.org", "full@example.org"])
        held = wait_for("the refusal", lambda: spool.listed(state="held"))[0]
        assert [r["address"] for r in held["recipients"]] == ["full@example.org"]
        assert len(got) == 1
        spool.drain()
    # The thread must be out of accept() before the descriptor's number can be another socket's.
    server.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    assert not thread.is_alive()
    server.close()


def test_routes_from_a_file(tmp_path, sink):
    other = harness.Sink()
    routes = tmp_path / "routes"
    routes.write_text(f"example.org {smtp(sink)}\n.example.com relay:[127.0.0.1]:{other.port}\n"
                      "closed.example error:5.7.1:550 closed\n"
                      f"box.example maildir:{tmp_path}/box\n. error:nohost unknown\n")
    with stand(tmp_path, "mx", settings={"routes": {"file": str(routes)},
               "queue": {"bounce": False}}) as spool:
        spool.store(message(), ["a@example.org", "b@www.example.com", "c@closed.example",
                                "d@box.example", "e@elsewhere.example"])
        sink.wait(1)
        other.wait(1)
        wait_for("the box", lambda: list((tmp_path / "box/new").glob("*")))
        held = wait_for("the refusals", lambda: [r for m in spool.listed(state="held")
                                                 for r in m["recipients"]][1:] and
                        spool.listed(state="held")[0]["recipients"])
        assert {r["address"]: r["reason"] for r in held} == {
            "c@closed.example": "550 5.7.1 closed", "e@elsewhere.example": "550 5.1.2 unknown"}
    other.close()


# --- decisions, after-queue mode ---

def test_held_and_refused_groups(spool, sink):
    spool.store(message(), ["a@example.org", "b@example.org", "c@example.org"],
                [("hold", [0]), ("reject", [1]), ("accept", [2])])
    assert sink.wait(1)[0][1] == ["c@example.org"]
    spool.empty()
    item, = (spool.dir / "state" / "quarantine").glob("*/*.json")
    assert "a@example.org" in item.read_text() and "b@example.org" not in item.read_text()


def test_after_queue_scanning(spool, sink):
    spool.store(message(), ["accept@example.org", "hold@example.org", "reject@example.org",
                            "discard@example.org"], False)
    sender, rcpts, data = sink.wait(1)[0]
    assert rcpts == ["accept@example.org"] and data.startswith(b"X-Scanned: later\r\n")
    spool.empty()
    item, = (spool.dir / "state" / "quarantine").glob("*/*.json")
    text = item.read_text()
    assert "hold@" in text and "reject@" in text and "discard@" not in text
    assert not reports(sink)  # refused after the promise: held, never bounced


def test_after_queue_poison_is_held(spool, sink):
    spool.store(message(), ["die@example.org"], False)
    held = wait_for("the hold", lambda: spool.listed(state="held"), 30)[0]
    assert "poison" in held["recipients"][0]["reason"]
    assert spool.log().count("scanner-lost") == 3
    spool.store(message(), ["accept@example.org"], False)
    sink.wait(1)


# --- operators ---

def test_operators(spool, sink):
    sink.rcpt_reply = lambda a: b"450 4.2.1 not now"
    for name in ("a", "b", "c"):
        spool.store(message(subject=name), [name + "@example.org"])
    wait_for("deferrals", lambda: len(spool.listed(state="deferred")) == 3)
    assert len(spool.listed(recipient="a@example.org")) == 1
    assert len(spool.listed(recipient="@example.org")) == 3
    assert len(spool.listed(sender="nobody@*")) == 0
    assert len(spool.listed(destination="smtp:*")) == 3
    assert len(spool.listed(destination="lmtp:*")) == 0
    assert len(spool.listed(older=3600)) == 0
    assert len(spool.listed(younger=3600)) == 3
    assert "error" in spool.queue("delete")[-1]  # everything has to be said
    assert "error" in spool.queue("list", state="green")[-1]
    assert "error" in spool.queue("explode", all=True)[-1]
    assert spool.queue("hold", recipient="a@*")[-1]["recipients"] == 1
    assert len(spool.listed(state="held")) == 1
    assert spool.queue("delete", recipient="b@*")[-1]["messages"] == 1
    assert len(spool.listed()) == 2
    one = spool.listed(recipient="c@*")[0]["id"]
    shown = spool.queue("show", id=one)[0]
    assert "Subject: c" in shown["header"] and shown["from"] == "alice@example.net"
    sink.rcpt_reply = lambda a: None
    assert spool.queue("retry", all=True)[-1]["recipients"] == 1
    assert sink.wait(1)[0][1] == ["c@example.org"]
    assert spool.queue("release", all=True)[-1]["recipients"] == 1
    sink.wait(2)
    spool.empty()


def test_command_line_with_and_without_the_gateway(tmp_path, sink):
    sink.rcpt_reply = lambda a: b"450 4.2.1 not now"
    run = lambda *a: subprocess.run([str(harness.BINARY), "queue", "-c", str(tmp_path / "c.yaml"),
                                     *a], capture_output=True, timeout=30)
    data = message(subject="looked at", body="the bytes\r\n")
    with stand(tmp_path, smtp(sink)) as spool:
        spool.store(data, ["bob@example.org"])
        wait_for("the deferral", lambda: spool.listed(state="deferred"))
        id_ = spool.listed()[0]["id"]
        if run("list").returncode == 64 and b"no command" in run("list").stderr:
            pytest.skip("the command is not in the table")
        for _ in range(2):
            r = run("list")
            assert r.returncode == 0 and id_.encode() in r.stdout and b"450 4.2.1" in r.stdout
            row, = [json.loads(x) for x in run("list", "--json").stdout.splitlines()]
            assert row["recipients"][0]["address"] == "bob@example.org"
            assert b"Subject: looked at" in run("show", id_).stdout
            assert run("show", "--message", id_).stdout == b"X-Out: accept\r\n" + data
            assert run("list", "--recipient", "eve@*").stdout == b""
            assert run("delete").returncode == 64
            assert run("show", "nonsense").returncode == 64
            if spool.p.poll() is None and (tmp_path / "run/control.sock").exists():
                spool.drain()
                (tmp_path / "run/control.sock").unlink()
        assert b"1 recipient" in run("hold", id_).stdout
        assert b"held" in run("list").stdout
        assert b"1 recipient" in run("delete", "--all").stdout
        assert run("list").stdout == b""


def test_release_from_quarantine(spool, sink):
    data = message(subject="held")
    id_ = spool.store(data, ["a@example.org", "b@example.org"], [("hold", [0, 1])])["id"]
    release = lambda **kw: spool.ask(command="quarantine", action="release", id=id_, by="test", **kw)
    assert release(recipients=["a@example.org"])[-1]["recipients"] == 1
    assert sink.wait(1)[0] == ("alice@example.net", ["a@example.org"], data)  # unchanged bytes
    assert "error" in release(recipients=["a@example.org"])[-1]  # once
    assert release()[-1]["recipients"] == 1
    sink.wait(2)
    assert "error" in release()[-1]
    assert "error" in spool.ask(command="quarantine", action="release", id="0" * 16)[-1]
    spool.empty()
    assert len(sink.messages) == 2


def test_quarantine_delete(spool, sink):
    id_ = spool.store(message(), ["a@example.org"], [("hold", [0])])["id"]
    assert spool.ask(command="quarantine", action="delete", ids=[id_])[-1]["messages"] == 1
    assert "error" in spool.ask(command="quarantine", action="release", id=id_)[-1]
    assert not sink.messages


def test_bad_requests_are_answered(spool):
    def raw(data):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(spool.dir / "run" / "control.sock"))
            s.sendall(data)
            return s.makefile("rb").read()
    for bad in (b"\n", b"{}\n", b"[1,2]\n", b'{"command":"queue"}\n', b"\xff\xfe\n",
                b'{"command":"queue","action":"list","filter":7}\n',
                b'{"command":"queue","action":"list","filter":{"ids":["../x"]}}\n',
                b'{"command":"quarantine","action":"release"}\n', b"x" * 1100000):
        assert b'"error"' in raw(bad), bad[:50]


# --- callouts ---

def test_callouts(spool, sink):
    sink.rcpt_reply = lambda a: {"no@example.org": b"550 5.1.1 unknown",
                                 "later@example.org": b"451 4.3.0 hm"}.get(a)
    assert spool.do("callout", addr="bob@example.org")["code"] == 0
    no = spool.do("callout", addr="no@example.org")
    assert no == {"code": 1, "text": "550 5.1.1 unknown"}
    assert spool.do("callout", addr="later@example.org")["code"] == 2
    assert sink.connections == 1 and not sink.messages
    sink.close()
    time.sleep(0.1)


def test_callout_of_a_dead_next_hop_is_temporary(tmp_path, sink):
    sink.close()
    with stand(tmp_path, smtp(sink)) as spool:
        assert spool.do("callout", addr="bob@example.org")["code"] == 2
        start = time.monotonic()
        assert spool.do("callout", addr="bob@example.org")["code"] == 2
        assert time.monotonic() - start < 1


# --- crashes ---

def test_kills_lose_nothing(tmp_path, sink):
    """The spool is killed at random moments under load; everything acknowledged arrives whole."""
    rng = random.Random(11)
    promised = set()
    with stand(tmp_path, smtp(sink), settings={"queue": {"segment_size": "256KiB"}}) as spool:
        for round_ in range(25):
            for i in range(rng.randrange(1, 12)):
                subject = f"m{round_}-{i}"
                body = "".join(rng.choice("abcdef\n") for _ in range(rng.randrange(9000)))
                data = message(subject=subject, body=body.replace("\n", "\r\n") + "\r\n")
                pid = int(subprocess.check_output(["pgrep", "-P", str(spool.p.pid)]))
                if rng.random() < 0.12:
                    threading.Timer(rng.random() * 0.004, os.kill, (pid, signal.SIGKILL)).start()
                answer = spool.store(data, ["bob@example.org"])
                if answer["code"] == 0:
                    promised.add(b"X-Out: accept\r\n" + data)
                if answer["code"] == "gone":
                    break
            spool.do("kill")
            spool.do("start")
        spool.empty()
        got = {d for _, _, d in sink.messages}
        assert promised <= got, f"{len(promised - got)} of {len(promised)} lost"
        assert len(promised) > 60
        assert "queue-damaged" not in spool.log()
        numbers = spool.ask(command="status")[0]
        assert numbers["journal_bytes"] < 3 << 20
        spool.drain()


def test_a_drained_spool_leaves_the_rest_for_the_next(tmp_path, sink):
    sink.rcpt_reply = lambda a: b"450 4.2.1 not now"
    with stand(tmp_path, smtp(sink)) as spool:
        for i in range(5):
            spool.store(message(subject=str(i)), ["bob@example.org"])
        wait_for("deferrals", lambda: len(spool.listed(state="deferred")) == 5)
        spool.drain()
        sink.rcpt_reply = lambda a: None
        spool.do("start")
        sink.wait(5)
        spool.empty()
        assert len(sink.messages) == 5
        spool.drain()


# --- TLS towards next hops ---

class TlsSink(harness.Sink):
    """A next hop that offers STARTTLS; broken: it fails in the handshake."""

    def __init__(self, directory, name="localhost", broken=False):
        self.key = directory / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                        "-keyout", str(self.key), "-out", str(directory / "cert.pem")],
                       check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(directory / "cert.pem", self.key)
        self.broken, self.secured = broken, 0
        super().__init__()

    def session(self, r, w):
        c = w._sock
        w.write(b"220 tls ESMTP\r\n")
        line = r.readline()
        w.write(b"250-tls\r\n250-PIPELINING\r\n250 STARTTLS\r\n")
        line = r.readline()
        if not line.startswith(b"STARTTLS"):
            w.write(b"530 5.7.0 say STARTTLS first\r\n" if not self.broken else b"250 ok\r\n")
            return self.plain(r, w, line)
        w.write(b"220 go\r\n")
        if self.broken:
            return c.close()
        with self.context.wrap_socket(c, server_side=True) as t:
            self.secured += 1
            f = t.makefile("rb")
            class W:
                write = staticmethod(t.sendall)
                flush = staticmethod(lambda: None)
            W.write(b"")
            self.after_tls(f, W)

    def after_tls(self, r, w):
        class R:
            first = True
            def readline(self):
                return r.readline()
        super_session = harness.Sink.session
        # The greeting was given before TLS.
        class Quiet:
            def __init__(self):
                self.skip = True
            def write(self, data):
                if self.skip:
                    self.skip = False
                    return
                w.write(data)
            def flush(self):
                pass
        super_session(self, R(), Quiet())

    def plain(self, r, w, line):
        lines = [line]
        class R:
            def readline(self):
                return lines.pop() if lines else r.readline()
        class Quiet:
            skip = 2
            def write(self, data):
                if self.skip:
                    self.skip -= 1
                    return
                w.write(data)
            def flush(self):
                w.flush()
        harness.Sink.session(self, R(), Quiet())


def test_starttls_when_offered(tmp_path):
    sink = TlsSink(tmp_path)
    with stand(tmp_path, smtp(sink), settings={"queue": {"tls": "may"}}) as spool:
        spool.store(message(), ["bob@example.org"])
        sink.wait(1)
        assert sink.secured >= 1
        spool.drain()
    sink.close()


def test_tls_that_fails_is_left_out_when_it_may(tmp_path):
    sink = TlsSink(tmp_path, broken=True)
    with stand(tmp_path, smtp(sink), settings={"queue": {"tls": "may"}}) as spool:
        spool.store(message(), ["bob@example.org"])
        wait_for("a second connection without TLS", lambda: sink.connections >= 2)
        assert sink.secured == 0
    sink.close()


def test_required_tls_wants_a_certificate_that_verifies(tmp_path):
    sink = TlsSink(tmp_path)
    with stand(tmp_path, f"smtp:[localhost]:{sink.port}",
               settings={"queue": {"tls": "require"}}) as spool:
        spool.store(message(), ["bob@example.org"])
        row = wait_for("the deferral", lambda: spool.listed(state="deferred"))[0]
        assert "tls" in row["recipients"][0]["reason"].lower()
        assert not sink.messages
    sink.close()


# --- MX ---

class Dns:
    """Answers from a table {(name, type): [rdata]}; what is not there does not exist; "fail": SERVFAIL."""

    def __init__(self, table):
        self.table = table
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind(("127.0.0.1", 0))
        self.port = self.s.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                q, peer = self.s.recvfrom(2048)
            except OSError:
                return
            labels, at = [], 12
            while q[at]:
                labels.append(q[at + 1:at + 1 + q[at]].decode().lower())
                at += 1 + q[at]
            kind = int.from_bytes(q[at + 1:at + 3], "big")
            question = q[12:at + 5]
            name = ".".join(labels)
            rows = self.table.get((name, kind), [])
            known = any(n == name for n, _ in self.table)
            code = 2 if rows == "fail" else 0 if known else 3
            rows = [] if rows == "fail" else rows
            body = b"".join(b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\0\1\0\0\0\1" +
                            len(r).to_bytes(2, "big") + r for r in rows)
            self.s.sendto(q[:2] + bytes([0x85, 0x80 | code]) + b"\0\1" +
                          len(rows).to_bytes(2, "big") + b"\0\0\0\0" + question + body, peer)

    def close(self):
        self.s.close()


A, MX = 1, 15


def mx(preference, name):
    wire = b"".join(bytes([len(x)]) + x.encode() for x in name.split(".") if x) + b"\0"
    return preference.to_bytes(2, "big") + wire


def test_mx_routes(tmp_path, sink):
    dns = Dns({("good.example", MX): [mx(20, "second.good.example"), mx(10, "first.good.example")],
               ("first.good.example", A): [bytes([127, 0, 0, 2])],
               ("second.good.example", A): [bytes([127, 0, 0, 1])],
               ("null.example", MX): [mx(0, "")],
               ("bare.example", A): [bytes([127, 0, 0, 1])],
               ("loop.example", MX): [mx(10, "gate.test")],
               ("broken.example", MX): "fail",
               ("nohost.example", MX): [mx(10, "nothing.nohost.example")]})
    routes = tmp_path / "routes"
    routes.write_text("".join(f"{d} smtp:{d}:{sink.port}\n" for d in
                      ("good.example", "null.example", "bare.example", "loop.example",
                       "broken.example", "nohost.example", "gone.example")))
    with stand(tmp_path, "mx", settings={
            "routes": {"file": str(routes)}, "queue": {"bounce": False, "retry": ["60s"]},
            "dns": {"servers": [f"127.0.0.1@{dns.port}"], "timeout": "5s"}}) as spool:
        spool.store(message(), ["a@good.example", "b@null.example", "c@bare.example",
                                "d@loop.example", "e@broken.example", "f@nohost.example",
                                "g@gone.example"])
        got = {r for _, rs, _ in sink.wait(2) for r in rs}
        assert got == {"a@good.example", "c@bare.example"}  # the second exchanger, the bare host
        wait_for("the rest", lambda: len([r for m in spool.listed() for r in m["recipients"]
                                          if r["reason"]]) == 5)
        said = {r["address"][0]: (r["state"], r["reason"]) for m in spool.listed()
                for r in m["recipients"]}
        assert said["b"] == ("held", "556 5.1.10 the domain takes no mail (null MX)")
        assert said["d"][0] == "held" and "5.4.6" in said["d"][1]
        assert said["e"][0] == "deferred" and "4.4.3" in said["e"][1]
        assert said["f"][0] == "held" and "5.4.4" in said["f"][1]
        assert said["g"][0] == "held"
        spool.drain()
    dns.close()
