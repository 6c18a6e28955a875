"""What Postfix and Sendmail make of our side of the milter protocol: the same edits of the header as by SMTP, older
versions of the protocol, slow scans, large bodies, and filters that die in mid-message with every fail action."""
import contextlib
import json
import os
import pathlib
import re
import signal
import smtplib
import threading
import time

import pytest
import yaml

import harness
import postfix
import sendmail
from harness import GTUBE, Sink, gateway, message, wait_for
from test_policies_mta import arrived, mixed

TAG = "please tag me"
# One edit a line of X-Do, as MIMEDefang's filters do them.
SCRIPT = """
function finish(m)
  for _, line in ipairs(header("X-Do")) do
    local what, name, nth, value = line:match("^(%S+) (%S+) (%d+) ?(.*)$")
    if what == "add" then add_header(name, value)
    elseif what == "change" then change_header(name, value, tonumber(nth))
    elseif what == "delete" then delete_header(name, tonumber(nth))
    elseif what == "none" then delete_all_headers(name)
    elseif what == "subject" then subject_prefix(value) end
  end
end
"""
FIELDS = ["X-A: one", "X-B:tight", "X-A:   two", "X-Fold: first\r\n\tsecond\r\n third", "X-A: three",
          "x-a: four", "X-Empty:", "X-Utf: =?utf-8?q?=C3=A4?=", "X-B: last"]
EDITS = {
    "nothing": [],
    "second": ["change X-A 2 new two"],
    "first and third": ["change X-A 1 uno", "delete X-A 3"],
    "each from below": ["delete X-A 4", "delete X-A 3", "delete X-A 2", "delete X-A 1"],
    "each from above": ["delete X-A 1", "delete X-A 2", "delete X-A 3", "delete X-A 4"],
    "all of a name": ["none X-A 0", "change X-B 2 changed"],
    "add and delete": ["add X-A 0 zero", "delete X-A 2", "add X-New 0 new"],
    "one that is not there": ["change X-A 9 ninth", "change X-Missing 1 there now", "delete X-Missing 3"],
    "folded": ["change X-Fold 1 a single line", "change X-Empty 1 filled"],
    "subject": ["subject Subject 0 [A] ", "change X-Utf 1 gr\u00fcn", "delete X-B 1"],
    "long": ["change X-A 2 " + "word " * 60],
}


@pytest.fixture(scope="module")
def sink():
    s = Sink()
    yield s
    s.close()


@pytest.fixture(scope="module")
def gate(tmp_path_factory, sink):
    where = tmp_path_factory.mktemp("mta")
    (where / "policy.lua").write_text(SCRIPT)
    ports = [harness.free_port() for _ in range(3)]
    with gateway(where / "g", next_hop=sink.port, settings={
            "script": {"file": str(where / "policy.lua")}, "limits": {"scan_time": "60s"},
            "listeners": [{"name": "mx", "address": f"127.0.0.1:{ports[0]}"},
                          {"name": "one", "protocol": "milter", "address": f"127.0.0.1:{ports[1]}"},
                          {"name": "two", "protocol": "milter", "address": f"127.0.0.1:{ports[2]}"}],
            "policies": [{"name": "strict", "listeners": ["two"], "recipients": ["strict@example.org"], "do": "reject"},
                         {"name": "exe", "parts": {"name": ["*.exe"]}, "continue": True,
                          "do": {"quarantine_part": "_NAME_ is kept as _ID_"}},
                         {"name": "hold", "recipients": ["hold@example.org"], "on_spam": "hold"},
                         {"name": "default", "subject_tag": "[SPAM] "}]}) as g:
        g.port, g.one, g.two = ports
        yield g


def in_postfix(directory, sink, port, action="tempfail", **more):
    lines = "".join(f"{k} = {v}\n" for k, v in more.items())
    return postfix.Postfix(directory, sink.port, f"smtpd_milters = inet:127.0.0.1:{port}\n"
                           f"milter_default_action = {action}\n{lines}")


def in_sendmail(directory, sink, port, action="tempfail", timeouts="C:5m;S:10s;R:60s;E:5m"):
    m = sendmail.Sendmail(directory, sink.port, f"inet:{port}@127.0.0.1")
    flag = {"tempfail": "F=T, ", "reject": "F=R, ", "accept": ""}[action]
    text = m.cf.read_text()
    line = re.search(r"^Xgatehouse.*$", text, re.M)[0]
    m.cf.write_text(text.replace(line, re.sub(r", F=T, T=.*", f", {flag}T={timeouts}", line)))
    return m


MTAS = {"postfix": in_postfix, "sendmail": in_sendmail}


@pytest.fixture(scope="module")
def both(gate, sink, tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(make(tmp_path_factory.mktemp(name), sink, gate.one))
               for name, make in MTAS.items()}


def send(port, data, sender="alice@example.net", to=("bob@example.org",), timeout=120):
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=timeout) as s:
        s.sendmail(sender, list(to), data)


def fields_of(data):
    """Those that neither an MTA nor the gateway puts there for itself, unfolded."""
    head, _, body = data.partition(b"\r\n\r\n")
    fields = re.sub(rb"\r\n[ \t]+", b" ", head).split(b"\r\n")
    own = (b"received:", b"x-spam-", b"x-gatehouse-", b"x-virus-")
    return [f for f in fields if not f.lower().startswith(own)], body


@pytest.mark.parametrize("name", EDITS, ids=[n.replace(" ", "-") for n in EDITS])
def test_edits_are_the_same_by_every_way(gate, both, sink, name):
    """The gateway's own SMTP side applies them as splices; MTAs count fields in ways of their own."""
    mark = f"edits {name} end"
    data = message(mark, "two lines\r\n.of text\r\n", headers=FIELDS + [f"X-Do: {e}" for e in EDITS[name]])
    data = data.encode() if isinstance(data, str) else data
    for port in (gate.port, both["postfix"].port, both["sendmail"].port):
        send(port, data)
    got = [fields_of(m[2]) for m in arrived(sink, mark, 3)]
    assert len(got) == 3
    # Sendmail drops fields without value, whoever asks for them.
    ours, body = got[0]
    assert body == data.partition(b"\r\n\r\n")[2]
    for fields, other in got[1:]:
        assert other == body

        def plain(v):
            return [re.sub(rb"\s+", b" ", f) for f in v if f.strip() != b"X-Empty:"]
        assert plain(fields) == plain(ours)
    expected = len(FIELDS) if name == "nothing" else None
    assert expected is None or sum(f.lower().startswith(b"x-") and not f.startswith(b"X-Do") for f in ours) == expected


@pytest.mark.parametrize("version", [2, 3, 4])
def test_older_versions_of_the_protocol(gate, sink, tmp_path, version):
    """A Postfix that speaks as MTAs did then: everything they could do is done."""
    with in_postfix(tmp_path, sink, gate.one, milter_protocol=version) as p:
        mark = f"version {version}"
        send(p.port, message(f"{TAG} {mark}", headers=["X-Spam-Flag: forged"]))
        got = arrived(sink, mark)[0][2]
        assert f"Subject: [SPAM] {TAG} {mark}\r\n".encode() in got and b"forged" not in got
        assert b"X-Spam-Flag: YES" in got
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send(p.port, message("bad", GTUBE + "\r\n"))
        assert refused.value.smtp_code == 550
        send(p.port, mixed(f"parts {mark}", "a.exe", "b.txt"), to=["bob@example.org"])
        got = arrived(sink, f"parts {mark}")[0][2]
        assert b"a.exe is kept as" in got and b'"b.txt"' in got
        send(p.port, message(f"{TAG} off {mark}"), to=["bob@example.org", "hold@example.org"])
        assert [m[1] for m in arrived(sink, f"off {mark}")] == [["bob@example.org"]]
        assert "unexpected" not in p.log() and "unsupported" not in p.log()


def test_listeners_have_policies_of_their_own(gate, both, sink, tmp_path):
    with in_postfix(tmp_path, sink, gate.two) as other:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(other.port, message("by two"), to=["strict@example.org"])
    send(both["postfix"].port, message("by one"), to=["strict@example.org"])
    assert arrived(sink, "by one")[0][1] == ["strict@example.org"]


def test_held_mail_is_taken_from_the_mta(gate, both, sink):
    for name, m in both.items():
        mark = f"{TAG} held {name}"
        send(m.port, message(mark), to=["hold@example.org"])
        items = map(json.loads, gate.run("quarantine", "list", "--json").stdout.splitlines())
        item, = [i for i in items if i["subject"] == mark]
        assert not [x for x in sink.messages if mark.encode() in x[2]]
        gate.run("quarantine", "release", item["id"])
        assert arrived(sink, mark)[0][1] == ["hold@example.org"]


def test_a_scan_may_take_longer_than_the_mta_waits(gate, sink, tmp_path):
    """Progress is told every 5 s: both MTAs wait 8 s for a word (Sendmail's E: is for all of it), the scan takes 17 s."""
    with in_postfix(tmp_path / "p", sink, gate.one, milter_content_timeout="8s") as p, \
            in_sendmail(tmp_path / "s", sink, gate.one, timeouts="C:5m;S:10s;R:8s;E:60s") as s:
        for m in (p, s):
            send(m.port, message("they work"))
        scanners, failed = gate.pids("scan"), []

        def slow(name, port):
            try:
                send(port, message(f"slow {name}"))
            except (OSError, smtplib.SMTPException) as e:
                failed.append((name, e))
        threads = [threading.Thread(target=slow, args=a) for a in (("postfix", p.port), ("sendmail", s.port))]
        for pid in scanners:
            os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            for t in threads:
                t.start()
            while time.monotonic() - began < 17:
                assert all(t.is_alive() for t in threads), failed
                time.sleep(0.5)
        finally:
            for pid in scanners:
                os.kill(pid, signal.SIGCONT)
        for t in threads:
            t.join()
        assert not failed
        for name in ("postfix", "sendmail"):
            assert b"X-Gatehouse-Id" in arrived(sink, f"slow {name}")[0][2]


def test_large_bodies_go_to_a_file(gate, both, sink):
    """24 MB through each MTA, there and back: a part is taken out, so the body is replaced."""
    for name, m in both.items():
        mark = f"large {name}"
        data = mixed(mark, "a.exe")
        line = (b"0123456789" * 7 + b"\r\n") * 1000
        data = data.replace(b"--b--\r\n", b"--b\r\nContent-Type: text/plain\r\n\r\n" + line * 340 + b"--b--\r\n")
        assert len(data) > 24_000_000
        door, = gate.pids("door")
        seen, done = [], threading.Event()

        def watch(door=door, seen=seen, done=done):
            spool = str(pathlib.Path(gate.settings["paths"]["spool"]))
            while not done.is_set():
                for fd in pathlib.Path(f"/proc/{door}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if os.readlink(fd).startswith(spool) and os.stat(fd).st_size > 20_000_000:
                            seen.append(os.readlink(fd))
                done.wait(0.02)
        t = threading.Thread(target=watch)
        t.start()
        try:
            send(m.port, data)
        finally:
            done.set()
            t.join()
        assert seen, "the body was not seen in a file of the spool"
        got = arrived(sink, mark)[0][2]
        assert b"a.exe is kept as" in got and got.count(line) == 340


@pytest.mark.parametrize("action", ["tempfail", "reject", "accept"])
@pytest.mark.parametrize("mta", MTAS)
def test_a_filter_that_dies_while_it_judges(sink, tmp_path, mta, action):
    """The message is with the scanners when the door dies: the MTA's fail action holds. Only `accept`, which the
    documentation warns of, lets it pass unjudged; nothing is lost and nothing comes twice."""
    mark = f"dies {mta} {action}"
    port = harness.free_port()
    with gateway(tmp_path / "g", next_hop=sink.port, settings={
            "listeners": [{"name": "m", "protocol": "milter", "address": f"127.0.0.1:{port}"}]}) as g, \
            MTAS[mta](tmp_path / "mta", sink, port, action) as m:
        send(m.port, message("one before"))
        for pid in g.pids("scan"):
            os.kill(pid, signal.SIGSTOP)
        said = []

        def judge():
            try:
                send(m.port, message(mark))
                said.append(250)
            except smtplib.SMTPResponseException as e:
                said.append(e.smtp_code)
        t = threading.Thread(target=judge)
        t.start()
        door, = g.pids("door")
        wait_for("the message at the gateway", lambda: waiting_for_scanner(g, door))
        os.kill(door, signal.SIGKILL)
        for pid in g.pids("scan"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        t.join(120)
        assert said and said[0] // 100 == {"tempfail": 4, "reject": 5, "accept": 2}[action], said
        if action == "accept":
            assert b"X-Gatehouse-Id" not in arrived(sink, mark)[0][2]
            return
        wait_for("the next door", lambda: g.pids("door") not in ([], [door]))

        def again():
            with contextlib.suppress(smtplib.SMTPException, OSError):
                send(m.port, message(mark))
                return True
        wait_for("the filter", again, 60, 0.3)
        got = arrived(sink, mark)
        assert len(got) == 1 and b"X-Gatehouse-Id" in got[0][2]


def waiting_for_scanner(g, door):
    """The door holds a message: a memory file or a nameless one of the spool."""
    with contextlib.suppress(OSError):
        for fd in pathlib.Path(f"/proc/{door}/fd").iterdir():
            with contextlib.suppress(OSError):
                if "memfd:" in os.readlink(fd) and os.stat(fd).st_size > 100:
                    return True
    return False


# ---- what the documentation says ----

def blocks(name):
    """The code blocks of a page: (language, text)."""
    return re.findall(r"```(\w*)\n(.*?)```", (harness.ROOT / "docs" / name).read_text(), re.S)


def test_postfix_as_documented(sink, tmp_path):
    """The settings, main.cf and master.cf of docs/with-postfix.md: held mail comes back through the service without the
    filter; then the same with a Unix socket in Postfix's queue directory."""
    texts = [text for _, text in blocks("with-postfix.md")]
    own = yaml.safe_load(texts[0])
    main, master = texts[1], texts[2]
    assert "smtpd_milters" in main and "smtpd_milters=" in master
    port, back = harness.free_port(), harness.free_port()
    own["listeners"][0]["address"] = f"127.0.0.1:{port}"
    own["routes"]["fallback"] = own["routes"]["fallback"].replace("10025", str(back))
    own["policies"] = [{"name": "default", "on_spam": "hold"}]
    p = postfix.Postfix(tmp_path / "mta", sink.port, main.replace("8892", str(port)))
    with open(p.config / "master.cf", "a") as f:
        f.write(master.replace("10025", str(back)))
    with gateway(tmp_path / "g", next_hop=sink.port, settings=own) as g, p:
        send(p.port, message("documented ham"))
        assert arrived(sink, "documented ham")[0][2].count(b"X-Gatehouse-Id") == 1
        send(p.port, message(f"{TAG} documented spam"))
        item, = map(json.loads, g.run("quarantine", "list", "--json").stdout.splitlines())
        g.run("quarantine", "release", item["id"])
        got = arrived(sink, "documented spam")
        assert len(got) == 1 and b"X-Gatehouse-Id" not in got[0][2]  # as it came, and not judged again
        # A Unix socket.
        listener = yaml.safe_load("\n".join(line.strip() for line in texts[3].splitlines()))
        path = p.dir / "queue" / "gatehouse"
        path.mkdir()
        path.chmod(0o755)
        g.settings["listeners"][0] |= {**listener, "address": f"unix:{path}/milter.sock"}
        g.reload()
        with open(p.config / "main.cf", "a") as f:
            f.write("\n" + texts[4])
        assert p.command("reload").returncode == 0

        def taken():  # an smtpd that has not heard of the reload knows the old address
            with contextlib.suppress(smtplib.SMTPException):
                send(p.port, message("by socket"))
                return True
        wait_for("Postfix at the socket", taken, 60, 0.5)
        assert b"X-Gatehouse-Id" in arrived(sink, "by socket")[0][2]


def test_sendmail_as_documented(gate, sink, tmp_path):
    line = next(text for _, text in blocks("with-sendmail.md") if "INPUT_MAIL_FILTER" in text).strip()
    with sendmail.Sendmail(tmp_path, sink.port, "", line.replace("8892", str(gate.one))) as m:
        assert f"inet:{gate.one}@127.0.0.1" in m.cf.read_text()
        send(m.port, message("documented sendmail"))
        assert b"X-Gatehouse-Id" in arrived(sink, "documented sendmail")[0][2]
