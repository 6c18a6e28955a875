"""Behind an MTA: milter on the wire, and a real Postfix with the gateway as its filter."""
import contextlib
import os
import random
import shutil
import signal
import smtplib
import socket
import struct
import threading

import pytest

import harness
import milter
from harness import GTUBE, Sink, gateway, message, wait_for

TAG = "please tag me"


def behind(directory, sink, extra=None, **listener):
    """A gateway with a milter listener."""
    port = harness.free_port()
    settings = harness.merge({
        "listeners": [{"name": "behind", "protocol": "milter", "address": f"127.0.0.1:{port}",
                       **listener}],
        "policies": [{"name": "default", "subject_tag": "[SPAM] "}],
    }, extra or {})
    return gateway(directory, next_hop=sink.port, settings=settings), port


@pytest.fixture(scope="module")
def sink():
    s = Sink()
    yield s
    s.close()


@pytest.fixture(scope="module")
def gate(tmp_path_factory, sink):
    (tmp_path_factory.getbasetemp() / "maps").mkdir(exist_ok=True)
    access = tmp_path_factory.getbasetemp() / "maps" / "access"
    access.write_text("To:nobody@example.org REJECT\n"
                      "To:gone@example.org DISCARD\n"
                      'From:bad@example.net ERROR:5.7.1:"550 100% unwanted"\n'
                      "Connect:192.0.2.66 REJECT\n")
    g, port = behind(tmp_path_factory.mktemp("behind"), sink, {
        "access_file": str(access),
        "policies": [
            {"name": "strict", "recipients": ["strict@example.org"], "on_spam": "hold"},
            {"name": "hard", "recipients": ["hard@example.org"], "on_spam": "reject"},
            {"name": "silent", "recipients": ["silent@example.org"], "on_spam": "discard"},
            {"name": "default", "subject_tag": "[SPAM] "}],
    })
    with g as running:
        running.milter_port = port
        yield running


def mta(gate, **kw):
    return milter.Mta(("127.0.0.1", gate.milter_port), **kw)


# ---- on the wire ----

def test_only_what_was_offered_is_asked_for(gate):
    for version, actions, steps in [(6, 0x1FF, 0x1FFFFF), (2, 0x3F, 0x7F), (3, 0x1F, 0x1FF),
                                    (4, 0x3F, 0x3FF), (6, 0x1, 0), (5, 0, 0x80), (99, ~0 % 2**32,
                                                                                   ~0 % 2**32)]:
        with mta(gate, version=version, actions=actions, steps=steps) as m:
            m.negotiate()
            assert m.version == min(version, 6)
            assert m.actions & ~actions == 0 and m.steps & ~steps == 0
            assert not m.steps & 0x30000000, "never larger packets"
            m.connect()
            m.helo()
            edits, verdict = m.message(message())
            assert verdict[0] in b"ac", verdict


def test_macros_are_asked_for_and_used(gate):
    with mta(gate) as m:
        m.negotiate()
        assert b"{client_addr}" in m.macros[0] and b"{auth_authen}" in m.macros[2]
        m.macro(b"C", j="mta.test", client_addr="192.0.2.7")
        m.connect()
        m.macro(b"H", tls_version="TLSv1.3", cipher="X")
        m.helo()
        m.macro(b"M", i="4ABCDEF", auth_authen="alice")
        assert m.message(message("macros"))[1][0] == b"a"
    wait_for("the record", lambda: "macros" in gate.run("log", "--json").stdout)


def test_untouched_mail_is_tagged_by_headers_alone(gate):
    with mta(gate).open() as m:
        edits, verdict = m.message(message())
        assert verdict == (b"a", b"")
        assert {cmd for cmd, _ in edits} <= {b"i", b"h"}
        names = [data[4:].split(b"\0")[0] for _, data in edits]
        assert b"X-Gatehouse-Id" in names and b"Received" not in names
        assert all(struct.unpack(">I", data[:4])[0] == 1 for _, data in edits)


def test_spam_is_tagged_and_forged_headers_go(gate):
    data = message(TAG, headers=["X-Spam-Status: No, forged", "X-Spam-Flag: NO",
                                 "X-Spam-Status: No, again"])
    with mta(gate).open() as m:
        edits, verdict = m.message(data)
    assert verdict[0] == b"a"
    changes = [d for c, d in edits if c == b"m"]
    # from the last to the first, so that no index shifts
    assert changes == [struct.pack(">I", 2) + b"X-Spam-Status\0\0",
                       struct.pack(">I", 1) + b"X-Spam-Flag\0\0",
                       struct.pack(">I", 1) + b"X-Spam-Status\0\0",
                       struct.pack(">I", 1) + b"Subject\0 [SPAM] please tag me\0"]
    added = b"".join(d for c, d in edits if c == b"i")
    assert b"X-Spam-Flag\0 YES\0" in added and b"\r" not in added
    commands = [c for c, _ in edits]
    assert commands == sorted(commands, key=lambda c: c != b"m"), "changes first"


def test_without_leading_space_the_mta_puts_it_there(gate):
    with mta(gate, steps=0x7F).open() as m:
        edits, _ = m.message(message(TAG))
    assert struct.pack(">I", 1) + b"Subject\0[SPAM] please tag me\0" in [d for _, d in edits]


def test_gtube_is_refused_with_a_text(gate):
    with mta(gate).open() as m:
        edits, (cmd, text) = m.message(message(body=GTUBE + "\r\n"))
        assert cmd == b"y" and text.startswith(b"550 5.7.1 ") and text.endswith(b"\0")
        assert not edits
        assert m.message(message())[1][0] == b"a", "the session goes on"


def test_refusals_before_the_content(gate):
    with mta(gate).open() as m:
        cmd, text = m.mail("<bad@example.net>")
        assert cmd == b"y" and text == b"550 5.7.1 100%% unwanted\0"
        assert m.mail("<>")[0] == b"c"
        assert m.rcpt("<nobody@example.org>")[0] == b"y"
        assert m.rcpt("<bob@example.org>", "NOTIFY=NEVER")[0] == b"c"
        assert m.rcpt("<gone@example.org>")[0] == b"c"
        assert m.rcpt("<anybody@elsewhere.example>")[0] == b"c", "relaying is the MTA's business"
        m.content(message())
        edits, verdict = m.end()
        assert verdict[0] == b"a" and (b"-", b"<gone@example.org>\0") in edits
    with mta(gate).negotiate() as m:
        assert m.connect(ip="192.0.2.66")[0] == b"y"


def held(gate):
    return gate.run("quarantine", "list").stdout


def test_different_outcomes(gate):
    """Nobody gets what is refused for him; a copy is held; the others get theirs."""
    everybody = ["<bob@example.org>", "<strict@example.org>", "<hard@example.org>",
                 "<silent@example.org>"]
    with mta(gate).open() as m:
        edits, verdict = m.message(message(TAG, "to all\r\n"), to=everybody)
        assert verdict[0] == b"a"
        assert [d for c, d in edits if c == b"-"] == [a.encode() + b"\0" for a in everybody[1:]]
        assert "strict@example.org" in held(gate) and "hard@example.org" in held(gate)
        assert "silent@" not in held(gate)
        # all refused; refused and held; all discarded
        assert m.message(message(TAG, "1\r\n"), to=["<hard@example.org>"])[1][0] == b"y"
        assert m.message(message(TAG, "2\r\n"), to=everybody[1:3])[1][0] == b"d"
        assert m.message(message(TAG, "3\r\n"), to=["<silent@example.org>"])[1][0] == b"d"


def test_who_cannot_take_recipients_off_holds_for_all(gate):
    with mta(gate, actions=0x13).open() as m:
        edits, verdict = m.message(message(TAG, "one for all\r\n"),
                                   to=["<bob@example.org>", "<strict@example.org>"])
        assert verdict[0] == b"d" and not edits


def test_large_body_in_pieces(gate):
    body = "".join(random.Random(7).choice("abcdefgh ") for _ in range(74)) + "\r\n"
    data = message("large", body * 60000)
    with mta(gate).open() as m:
        assert m.message(data)[1][0] == b"a"
        m.mail(), m.rcpt()
        m.content(data[:300000], chunk=1)
        assert m.end()[1][0] == b"a"


def test_abort_and_new_connection(gate):
    with mta(gate).open() as m:
        for stop in range(5):
            m.mail()
            if stop > 0:
                m.rcpt()
            if stop > 1:
                m.send(b"L", b"Subject\0 x\0")
            if stop > 2:
                m.send(b"N")
            if stop > 3:
                m.send(b"B", b"half")
            m.send(b"A")
        assert m.message(message())[1][0] == b"a"
        m.send(b"K")
        assert m.connect(name="other.example.net", ip="2001:db8::1", family=b"6")[0] == b"c"
        assert m.connect(ip="IPv6:2001:db8::1", family=b"6")[0] == b"c"
        m.helo()
        assert m.message(message("second"))[1][0] == b"a"
        m.send(b"Q")
        assert m.closed()


@pytest.mark.parametrize("bytes_", [
    b"\0\0\0\0", b"\xff\xff\xff\xff", milter.packet(b"C", b"x\0U"), milter.packet(b"?"),
    milter.packet(b"O", b"short"), milter.packet(b"O", struct.pack(">III", 1, 0, 0)),
    b"EHLO client\r\nMAIL FROM:<a@b>\r\n", milter.packet(b"B", b"x" * 70000)])
def test_nonsense_ends_the_session(gate, bytes_):
    with mta(gate) as m:
        m.raw(bytes_)
        assert m.closed()


@pytest.mark.parametrize("cmd", [b"R", b"L", b"N", b"B", b"E", b"T"])
def test_order(gate, cmd):
    with mta(gate).open() as m:
        m.send(cmd, b"x\0y\0")
        assert m.closed()


def test_conversations_of_a_drunkard(gate):
    rng = random.Random(4711)
    for _ in range(150):
        with mta(gate, timeout=5) as m, contextlib.suppress(EOFError, ConnectionError, OSError):
            m.negotiate()
            out = b""
            for _ in range(rng.randrange(1, 30)):
                cmd = rng.choice(b"ABCDEHKLMNORTUQ?").to_bytes(1, "big")
                data = rng.choice([b"", b"x\0y\0", b"C{client_addr}\0", b"a\x004\0\x19192.0.2.1\0",
                                   rng.randbytes(rng.randrange(200)), b"<a@example.org>\0"])
                out += milter.packet(cmd, data)
            if rng.random() < 0.3:
                out = out[:rng.randrange(len(out) + 1)]
            m.raw(out)
            m.sock.shutdown(socket.SHUT_WR)
            m.closed()
    with mta(gate).open() as m:
        assert m.message(message())[1][0] == b"a"


def test_five_thousand_idle_sessions(gate):
    """They cost less than 100 MB; under AddressSanitizer, which keeps what was freed, they are only
    there."""
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 12000)), hard))
    count = min(5000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    door, = gate.pids("door")
    with open(f"/proc/{door}/limits") as f:
        files = int(next(line for line in f if line.startswith("Max open files")).split()[3])
    count = min(count, files - 500)

    def resident():
        with open(f"/proc/{door}/statm") as f:
            return int(f.read().split()[1]) * 4096
    before = resident()
    sessions = []
    try:
        for _ in range(count):
            sessions.append(mta(gate).open())
        used = resident() - before
        assert sessions[0].message(message("among many"))[1][0] == b"a"
        assert sessions[-1].message(message("among many"))[1][0] == b"a"
    finally:
        for s in sessions:
            s.close()
    if "asan" not in str(harness.BINARY):
        assert used < 100e6 * count / 5000, used


def random_step(rng, m):
    """One thing an MTA may say, in or out of order; True when it should be answered."""
    address = rng.choice(["<a@example.org>", "<>", "<" + "x" * 300 + "@y>", "no brackets", "<bob@example.org>"])
    kind = rng.randrange(14)
    if kind == 0:
        m.macro(rng.choice([b"C", b"M", b"R", b"E", b"?"]), i="1", client_addr="192.0.2.9")
    elif kind == 1:
        m.send(b"A")
    elif kind == 2:
        m.send(b"K")
    elif kind == 3:
        m.send(b"C", rng.choice([b"c.example\x004\x00\x19192.0.2.9\0", b"c\0U", b"l\0L\0\0/x\0"]))
    elif kind == 4:
        m.send(b"H", b"helo.example\0")
    elif kind == 5:
        m.send(b"M", address.encode() + b"\0SIZE=" + str(rng.randrange(10**6)).encode() + b"\0")
    elif kind == 6:
        m.send(b"R", address.encode() + b"\0")
    elif kind in (7, 8):
        m.send(b"L", rng.choice([b"Subject", b"X", b"From ", b"\xff", b"X-Spam-Flag"]) + b"\0"
               + rng.randbytes(rng.randrange(60)).replace(b"\0", b"") + b"\0")
    elif kind == 9:
        m.send(b"N")
    elif kind in (10, 11):
        m.send(b"B", rng.randbytes(rng.randrange(1, 3000)))
    elif kind == 12:
        m.send(b"T")
    else:
        m.send(b"E")


def test_random_conversations(gate):
    """A hostile MTA that follows the order now and then: the next one is served as ever, no process
    has died, and nothing that was not finished is on record."""
    rng = random.Random(815)
    before = sorted(gate.pids())
    for _ in range(120):
        with mta(gate, timeout=10) as m, contextlib.suppress(EOFError, ConnectionError, OSError,
                                                            AssertionError):
            m.negotiate()
            if rng.random() < 0.8:
                m.connect()
                m.helo()
            for _ in range(rng.randrange(40)):
                if rng.random() < 0.4:
                    m.mail(), m.rcpt()
                    m.content(message("drunk", "x" * rng.randrange(3000)))
                    if rng.random() < 0.5:
                        m.end()
                random_step(rng, m)
            m.sock.shutdown(socket.SHUT_WR)
            m.closed()
    assert sorted(gate.pids()) == before
    with mta(gate).open() as m:
        assert m.message(message())[1][0] == b"a"


def test_progress_while_scanning(gate, tmp_path):
    scanners = gate.pids("scan")
    for pid in scanners:
        os.kill(pid, signal.SIGSTOP)
    try:
        with mta(gate).open() as m:
            m.mail(), m.rcpt(), m.content(message("slow"))
            m.send(b"E")
            assert m.reply()[0] == b"p"
            for pid in scanners:
                os.kill(pid, signal.SIGCONT)
            while (answer := m.reply()[0]) in (b"p", b"i"):
                pass
            assert answer == b"a"
    finally:
        for pid in scanners:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_quarantine_of_the_mta_and_unix_socket(tmp_path, sink):
    path = str(tmp_path / "milter.sock")
    g, _ = behind(tmp_path / "gate", sink, {"policies": [{"name": "default", "on_spam": "hold"}]},
                  address="unix:" + path, milter_hold="mta")
    with g as running:
        with milter.Mta(path).open() as m:
            edits, verdict = m.message(message(TAG))
            assert verdict[0] == b"a" and [c for c, _ in edits] == [b"q"]
        assert TAG not in running.run("quarantine", "list").stdout
        with milter.Mta(path, actions=0x1F).open() as m:  # an MTA that has none: held here
            assert m.message(message(TAG))[1][0] == b"d"
        assert TAG in running.run("quarantine", "list").stdout


def test_limits_and_callouts(tmp_path):
    """Sizes are refused at the end; recipients are asked for at the next hop, one by one."""
    hop = Sink()
    hop.rcpt_reply = lambda addr: b"550 5.1.1 unknown" if "ghost" in addr or len(addr) > 30 else None
    g, port = behind(tmp_path / "gate", hop, {
        "limits": {"message_size": "64KiB", "header_bytes": "4KiB", "recipients": 3},
        "recipients": {"check": "callout"}})
    with g, milter.Mta(("127.0.0.1", port)).open() as m:
        assert m.message(message("x", "y" * 60000 + "\r\n"))[1][0] == b"a"
        assert m.message(message("x", "y" * 70000 + "\r\n"))[1][1].startswith(b"552 5.3.4")
        assert m.message(message("x", headers=["X-Long: " + "z" * 5000]))[1][1].startswith(b"552 ")
        m.mail()
        assert m.rcpt("<ghost@example.org>")[1].startswith(b"550 5.1.1")
        for i in range(3):
            assert m.rcpt(f"<u{i}@example.org>")[0] == b"c"
        assert m.rcpt("<u1@example.org>")[0] == b"c", "again the same one"
        assert m.rcpt("<u4@example.org>")[1].startswith(b"452 ")
        m.content(message())
        assert m.end()[1][0] == b"a"
    hop.close()


def test_end_of_the_gateway(tmp_path, sink):
    """SIGTERM: idle sessions end at once, a message that is under way gets its answer first."""
    g, port = behind(tmp_path / "gate", sink)
    with g as running:
        idle, busy = (milter.Mta(("127.0.0.1", port)).open() for _ in range(2))
        busy.mail(), busy.rcpt()
        running.process.send_signal(signal.SIGTERM)
        assert idle.closed()
        busy.content(message("the last one"))
        assert busy.end()[1][0] == b"a"
        assert busy.closed()
        idle.close(), busy.close()
        assert running.process.wait(20) == 0


# ---- a real Postfix ----

postfix_only = pytest.mark.skipif(os.getuid() != 0 or not shutil.which("postfix"),
                                  reason="Postfix needs root")


@pytest.fixture(scope="module")
def behind_postfix(gate, tmp_path_factory):
    from postfix import Postfix
    hop = Sink()
    directory = tmp_path_factory.mktemp("postfix")
    with Postfix(directory, hop.port, extra=f"""
smtpd_milters = inet:127.0.0.1:{gate.milter_port}
milter_default_action = tempfail
smtpd_discard_ehlo_keywords =
local_header_rewrite_clients =
""") as p:
        p.sink = hop
        yield p
    hop.close()


def send(port, data, sender="alice@example.net", to=("bob@example.org",)):
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=60) as s:
        try:
            return s.sendmail(sender, list(to), data)
        except smtplib.SMTPDataError as e:
            return e.smtp_code, e.smtp_error.decode()


def arrived(p, text, timeout=20):
    """The message that holds text, as its next hop has it: (sender, recipients, bytes)."""
    return wait_for(f"'{text}' in the next hop",
                    lambda: next((m for m in p.sink.messages if text.encode() in m[2]), None),
                    timeout)


def own_headers_removed(data):
    """Without what gateway and Postfix put on top."""
    head, sep, body = data.partition(b"\r\n\r\n")
    fields = []
    for line in head.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            fields[-1] += b"\r\n" + line
        else:
            fields.append(line)
    ours = (b"x-spam-", b"x-gatehouse-", b"x-virus-")
    rest = [f for f in fields if not f.lower().startswith(ours)]
    assert rest[0].startswith(b"Received:"), rest
    return b"\r\n".join(rest[1:]) + sep + body


@postfix_only
def test_postfix_untouched_mail_is_identical(behind_postfix):
    data = message("byte by byte", "two  spaces, tab\t, trailing \r\n.dot\r\n\r\n" + "x" * 900 + "\r\n",
                   headers=["X-Folded: first\r\n\tsecond\r\n   third", "X-Tight:no space",
                            "X-Wide:   three", "X-8bit: gr\xfc\xdf".encode("latin-1").decode("latin-1")
                            .replace("\xfc", "u").replace("\xdf", "ss")])
    assert send(behind_postfix.port, data) == {}
    sender, rcpts, got = arrived(behind_postfix, "byte by byte")
    assert own_headers_removed(got) == data
    assert b"X-Gatehouse-Id" in got


@postfix_only
def test_postfix_order_of_headers(behind_postfix):
    send(behind_postfix.port, message("in this order"))
    _, _, got = arrived(behind_postfix, "in this order")
    names = [line.split(b":")[0] for line in got.partition(b"\r\n\r\n")[0].split(b"\r\n")
             if line[:1] not in (b" ", b"\t")]
    assert names[0] == b"Received", names
    ours = [n for n in names if n.startswith(b"X-")]
    assert names[1:1 + len(ours)] == ours, "below the MTA's own trace, above what came"
    assert ours[-1] == b"X-Gatehouse-Id"


@postfix_only
def test_postfix_refuses_and_tags(behind_postfix):
    p = behind_postfix
    code, text = send(p.port, message("bad", GTUBE + "\r\n"))
    assert code == 550 and "5.7.1" in text
    send(p.port, message(TAG, "tagged by milter\r\n",
                         headers=["X-Spam-Status: No, a forged one", "Subject: please tag me too"]))
    _, _, got = arrived(p, "tagged by milter")
    assert b"\r\nSubject: [SPAM] please tag me\r\n" in got
    assert b"\r\nSubject: [SPAM] please tag me too\r\n" in got
    assert b"X-Spam-Flag: YES" in got and b"a forged one" not in got


@postfix_only
def test_postfix_recipients(behind_postfix):
    p = behind_postfix
    with smtplib.SMTP("127.0.0.1", p.port, timeout=60) as s:
        refused = s.sendmail("alice@example.net", ["nobody@example.org", "bob@example.org"],
                             message("for one of two"))
    assert list(refused) == ["nobody@example.org"]
    assert arrived(p, "for one of two")[1] == ["bob@example.org"]
    send(p.port, message(TAG, "taken off\r\n"), to=["bob@example.org", "strict@example.org"])
    assert arrived(p, "taken off")[1] == ["bob@example.org"]


def many(mta, name, count, sessions, extra=lambda s, i: None):
    """count messages over so many sessions at a time; every one arrives once, and judged."""
    before = len(mta.sink.messages)
    each = count // sessions
    failures = []

    def session(k):
        try:
            with smtplib.SMTP("127.0.0.1", mta.port, timeout=300) as s:
                for i in range(each):
                    s.sendmail("alice@example.net", ["bob@example.org"],
                               message(f"{name} {k}/{i}", f"load {k}/{i}\r\n" * 20))
                    extra(s, i)
        except (OSError, smtplib.SMTPException) as e:
            failures.append(e)
    threads = [threading.Thread(target=session, args=(k,)) for k in range(sessions)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures[:3]
    mta.sink.wait(before + count, 300)
    got = [m for m in mta.sink.messages[before:] if f"Subject: {name} ".encode() in m[2]]
    subjects = {m[2].partition(b"Subject: ")[2].split(b"\r\n")[0] for m in got}
    assert len(got) == len(subjects) == count
    assert all(b"X-Gatehouse-Id" in m[2] for m in got)


@postfix_only
def test_postfix_thousand_messages_over_fifty_sessions(behind_postfix):
    def abort(s, i):
        if i == 2:
            s.mail("alice@example.net")
            s.rset()
    many(behind_postfix, "load", 1000, 50, abort)


@postfix_only
def test_postfix_holds_in_its_own_quarantine(tmp_path, sink):
    import subprocess
    from postfix import Postfix
    hop = Sink()
    g, port = behind(tmp_path / "gate", hop,
                     {"policies": [{"name": "default", "on_spam": "hold"}]}, milter_hold="mta")
    with g, Postfix(tmp_path / "postfix", hop.port, extra=f"""
smtpd_milters = inet:127.0.0.1:{port}
milter_default_action = tempfail
""") as p:
        assert send(p.port, message(TAG)) == {}

        def held():
            out = subprocess.run(["postqueue", "-c", str(p.config), "-j"], capture_output=True,
                                 text=True).stdout
            return '"queue_name": "hold"' in out
        wait_for("the message in the hold queue", held)
        assert not hop.messages
    hop.close()


@postfix_only
def test_postfix_viruses(tmp_path):
    """EICAR by milter: refused, also inside an attachment; with the engine away the MTA tries again."""
    import clamd
    from postfix import Postfix
    if not shutil.which("clamd") and not os.path.exists("/usr/sbin/clamd"):
        pytest.skip("clamd is not installed")
    hop = Sink()
    engine = clamd.Clamd(tmp_path / "clamd", clamd.signatures(tmp_path / "signatures"))
    g, port = behind(tmp_path / "gate", hop,
                     {"virus": {"enabled": True, "clamd": [engine.unix], "embedded": False}})
    try:
        with g, Postfix(tmp_path / "postfix", hop.port, extra=f"""
smtpd_milters = inet:127.0.0.1:{port}
milter_default_action = tempfail
""") as p:
            p.sink = hop
            assert send(p.port, message("clean one")) == {}
            assert b"X-Virus-Status: Clean" in arrived(p, "clean one")[2]
            code, text = send(p.port, message("bad one", harness.EICAR.decode() + "\r\n"))
            assert code == 550 and "5.7.1" in text
            engine.stop()
            code, text = send(p.port, message("unscanned"))
            assert 400 <= code < 500, text
            assert len(hop.messages) == 1
    finally:
        engine.stop()
        hop.close()


@postfix_only
def test_postfix_filter_dies_in_mid_message(behind_postfix, gate):
    """Its fail action holds: the sender is asked to try again, nothing passes unscanned."""
    p = behind_postfix
    with smtplib.SMTP("127.0.0.1", p.port, timeout=60) as s:
        s.ehlo()
        s.mail("alice@example.net")
        s.rcpt("bob@example.org")
        for pid in gate.pids("door"):
            os.kill(pid, signal.SIGKILL)
        code, _ = s.data(message("in mid-message"))
        assert 400 <= code < 500
    wait_for("the next door", lambda: gate.pids("door"))

    def again():
        with contextlib.suppress(smtplib.SMTPException, OSError):
            return send(p.port, message("in mid-message")) == {}
    wait_for("the filter", again, 30, 0.3)
    _, _, got = arrived(p, "in mid-message")
    assert b"X-Gatehouse-Id" in got
    assert sum(b"in mid-message" in m[2] for m in p.sink.messages) == 1


# ---- a real Sendmail ----

@pytest.fixture(scope="module")
def behind_sendmail(gate, tmp_path_factory):
    from sendmail import Sendmail
    hop = Sink()
    with Sendmail(tmp_path_factory.mktemp("sendmail"), hop.port,
                  f"inet:{gate.milter_port}@127.0.0.1") as s:
        s.sink = hop
        yield s
    hop.close()


def test_sendmail_untouched_mail_is_identical(behind_sendmail):
    data = message("byte by byte", "two  spaces, tab\t\r\n.dot\r\n\r\nend\r\n",
                   headers=["X-Folded: first\r\n\tsecond\r\n   third", "X-Tight:no space",
                            "X-Wide:   three"])
    assert send(behind_sendmail.port, data) == {}
    _, _, got = arrived(behind_sendmail, "byte by byte", 40)
    assert own_headers_removed(got) == data
    names = [line.split(b":")[0] for line in got.partition(b"\r\n\r\n")[0].split(b"\r\n")
             if line[:1] not in (b" ", b"\t")]
    ours = [n for n in names if n.startswith((b"X-Spam", b"X-Gatehouse"))]
    assert names[0] == b"Received" and names[1:1 + len(ours)] == ours
    assert ours[-1] == b"X-Gatehouse-Id"


def test_sendmail_refuses_tags_and_takes_off(behind_sendmail):
    s = behind_sendmail
    code, text = send(s.port, message("bad", GTUBE + "\r\n"))
    assert code == 550 and "5.7.1" in text
    send(s.port, message(TAG, "tagged by milter\r\n",
                         headers=["X-Spam-Status: No, a forged one", "X-Spam-Flag: NO",
                                  "X-Spam-Status: No, another forged one"]))
    _, _, got = arrived(s, "tagged by milter", 40)
    assert b"\r\nSubject: [SPAM] please tag me\r\n" in got
    assert b"X-Spam-Flag: YES" in got and b"forged one" not in got
    assert got.count(b"X-Spam-Status:") == 1
    with smtplib.SMTP("127.0.0.1", s.port, timeout=60) as c:
        refused = c.sendmail("alice@example.net", ["nobody@example.org", "bob@example.org"],
                             message("for one of two"))
        assert list(refused) == ["nobody@example.org"]
        assert arrived(s, "for one of two", 40)[1] == ["bob@example.org"]
        c.sendmail("alice@example.net", ["bob@example.org", "strict@example.org"],
                   message(TAG, "taken off\r\n"))
        assert arrived(s, "taken off", 40)[1] == ["bob@example.org"]


def test_sendmail_thousand_messages_over_fifty_sessions(behind_sendmail):
    many(behind_sendmail, "sendmail-load", 1000, 50)


def test_sendmail_holds_in_its_own_quarantine(tmp_path):
    from sendmail import Sendmail
    hop = Sink()
    g, port = behind(tmp_path / "gate", hop,
                     {"policies": [{"name": "default", "on_spam": "hold"}]}, milter_hold="mta")
    with g, Sendmail(tmp_path / "sendmail", hop.port, f"inet:{port}@127.0.0.1") as s:
        assert send(s.port, message(TAG)) == {}
        wait_for("the quarantined queue file", s.held)
        assert not hop.messages
    hop.close()


def test_sendmail_without_filter_defers(behind_sendmail, gate):
    """F=T: nothing passes unscanned while the filter is away."""
    with smtplib.SMTP("127.0.0.1", behind_sendmail.port, timeout=60) as s:
        s.ehlo()
        s.mail("alice@example.net")
        s.rcpt("bob@example.org")
        for pid in gate.pids("door"):
            os.kill(pid, signal.SIGKILL)
        code, _ = s.data(message("unscanned"))
        assert 400 <= code < 500
    wait_for("the next door", lambda: gate.pids("door"))
    assert not any(b"unscanned" in m[2] for m in behind_sendmail.sink.messages)


# ---- signatures ----

def test_signatures_of_untouched_mail_still_verify(behind_postfix, behind_sendmail):
    dkim = pytest.importorskip("dkim")
    import subprocess
    key = subprocess.run(["openssl", "genrsa", "-traditional", "1024"], capture_output=True,
                         check=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=key,
                            capture_output=True, check=True).stdout
    import base64
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    for canonical in (b"simple", b"relaxed"):
        text = "signed " + canonical.decode()
        data = message(text, "text  with spaces \r\n\r\n", headers=["X-Odd:tight", "X-Wide:   w"])
        signature = dkim.sign(data, b"s", b"example.net", key, canonicalize=(canonical, canonical),
                              include_headers=[b"From", b"Subject", b"X-Odd", b"X-Wide"])
        for mta_ in (behind_postfix, behind_sendmail):
            send(mta_.port, signature + data)
            _, _, got = arrived(mta_, text, 40)
            assert dkim.verify(got, dnsfunc=lambda name, timeout=5: record), got.decode()
