"""Policies and the policy script at the commands of a session: by SMTP, by milter, with scanners that are
late or die."""
import os
import signal
import socket
import threading

import pytest

import milter
from harness import free_port, gateway, wait_for
from test_wall import Stranger

MAIL = b"From: alice@example.net\r\nSubject: hello\r\n\r\nhello\r\n"

SCRIPT = """
local function note(what) return store.incr(what, 1, 3600) end

function relay(m)
  note("relay")
  add_header("X-Relay", m.client_ip .. " " .. (m.sender or "none"))
  if store.get("barred") then return "reject", "Your host is not welcome" end
end

function helo(m)
  if m.helo == "evil.example" then return "reject", "550 5.7.1 Not as " .. m.helo end
  add_header("X-Helo", m.helo .. " " .. note("helo"))
end

function sender(m)
  if m.sender == "later@example.net" then return "defer", "Come back" end
  if m.sender == "void@example.net" then return "discard" end
  if m.sender == "broken@example.net" then return nonsense() end
  add_header("X-Sender", m.sender .. " " .. m.helo .. " " .. note("sender"))
end

function recipient(m, address)
  if address == "gone@example.org" then return "reject", "550 5.1.1 Gone" end
  if address == "drop@example.org" then return "discard" end
  if address == "hold@example.org" then return "hold", "for " .. m.sender end
  add_header("X-Rcpt", address .. " " .. note("rcpt"))
end

function finish(m)
  if m.sender == "bar@example.net" then store.put("barred", "1", 3600) end
  add_header("X-End", table.concat(m.recipients, ","))
end
"""


@pytest.fixture
def script(tmp_path):
    def write(text):
        file = tmp_path / "policy.lua"
        file.write_text(text)
        return {"file": str(file)}
    return write


def fields(data):
    head = data.split(b"\r\n\r\n")[0].decode().replace("\r\n\t", " ")
    return dict(line.split(": ", 1) for line in head.split("\r\n") if line.startswith("X-"))


def test_a_script_answers_each_command(tmp_path, sink, script):
    with gateway(tmp_path, next_hop=sink.port, settings={"script": script(SCRIPT)}) as g:
        s = g.smtp()
        code, text = s.ehlo("evil.example")
        assert (code, text) == (550, b"5.7.1 Not as evil.example")
        assert s.mail("alice@example.net")[0] == 503
        assert s.ehlo("good.example")[0] == 250 and s.has_extn("pipelining")
        assert s.mail("later@example.net") == (451, b"4.7.1 Come back")
        assert s.mail("alice@example.net")[0] == 250
        assert s.rcpt("gone@example.org") == (550, b"5.1.1 Gone")
        for name in ("drop", "hold", "bob"):
            assert s.rcpt(f"{name}@example.org")[0] == 250
        assert s.data(MAIL)[0] == 250
        sender, to, data = sink.wait(1)[0]
        got = fields(data)
        assert to == ["bob@example.org"]
        assert got["X-Relay"] == "127.0.0.1 none" and got["X-Helo"] == "good.example 1"
        assert got["X-Sender"] == "alice@example.net good.example 1"
        assert got["X-Rcpt"] == "bob@example.org 1"
        assert sorted(got["X-End"].split(",")) == ["bob@example.org", "hold@example.org"]
        assert "for alice@example.net" in g.run("quarantine", "list", "--json").stdout
        # The next message of the session: the client and HELO are not asked again.
        assert s.mail("void@example.net")[0] == 250
        assert s.rcpt("bob@example.org")[0] == 250
        assert s.data(MAIL)[0] == 250
        s.sendmail("bar@example.net", ["bob@example.org"], MAIL)
        got = fields(sink.wait(2)[1][2])
        assert got["X-Helo"] == "good.example 1" and got["X-Sender"].endswith(" 2")
        code, text = s.mail("broken@example.net")
        assert code == 451 and b"Not all checks" in text
        s.quit()
        with socket.create_connection(("127.0.0.1", g.port), timeout=30) as c:
            assert c.recv(1000).startswith(b"550 5.7.1 Your host is not welcome")
        assert "attempt to call a nil value (global 'nonsense')" in g.log_text()


def test_what_was_said_waits_in_the_queue(tmp_path, sink, script):
    """Scanned after the queue: no callback is asked again, also after a crash, and the wall's facts are there."""
    facts = SCRIPT.replace("add_header(\"X-End\"", "add_header(\"X-Manners\", tostring(m.facts[\"wall.manners\"]))\n"
                           "  add_header(\"X-End\"")
    with gateway(tmp_path, next_hop=sink.port, settings={
            "script": script(facts), "queue": {"after_queue": True},
            "listeners": [{"name": "mx", "address": f"127.0.0.1:{free_port()}", "proxy_from": ["127.0.0.0/8"]}]}) as g:
        g.port = int(g.settings["listeners"][0]["address"].split(":")[1])
        with Stranger(g, "192.0.2.9") as s:
            s.s.sendall(b"NOOP\n")  # a fact of the wall: a bare line end
            assert s.reply().startswith("500")
            s.say("EHLO good.example")
            for turn, name in ((1, "bob"), (2, "ann")):
                for line in ("MAIL FROM:<alice@example.net>", f"RCPT TO:<{name}@example.org>",
                             "RCPT TO:<hold@example.org>"):
                    assert s.say(line).startswith("250")
                if turn == 2:
                    for pid in g.pids("scan"):
                        os.kill(pid, signal.SIGSTOP)
                assert s.say("DATA").startswith("354")
                s.s.sendall(MAIL + b".\r\n")
                assert s.reply().startswith("250")
                if turn == 1:
                    sink.wait(1)
        g.kill()
        g.start()
        for turn, (_, to, data) in enumerate(sink.wait(2, timeout=60), 1):
            got = fields(data)
            assert to == [["bob@example.org"], ["ann@example.org"]][turn - 1]
            assert got["X-Relay"] == "192.0.2.9 none" and got["X-Helo"] == "good.example 1"
            assert got["X-Sender"] == f"alice@example.net good.example {turn}"
            assert got["X-Rcpt"] == f"{to[0]} {turn}" and got["X-Manners"] == "bare-line-end"
            assert got["X-End"] == f"{to[0]},hold@example.org"
        held = wait_for("both", lambda: [x for x in g.run("quarantine", "list", "--json").stdout.splitlines()
                                         if "for alice@example.net" in x][1:])
        assert held and "hold@example.org" in held[0] and "bob@" not in held[0]


def test_many_sessions_and_pipelining(tmp_path, sink, script):
    with gateway(tmp_path, next_hop=sink.port, settings={"script": script(SCRIPT)}) as g:
        def run(i):
            with socket.create_connection(("127.0.0.1", g.port), timeout=60) as c:
                f = c.makefile("rwb")
                f.readline()
                f.write(b"HELO c%d.example\r\n" % i)
                f.flush()
                codes.append(f.readline()[:3])
                f.write(b"MAIL FROM:<a%d@example.net>\r\n" % i +
                        b"".join(b"RCPT TO:<r%d@example.org>\r\n" % k for k in range(5)) + b"DATA\r\n")
                f.flush()
                codes.extend(f.readline()[:3] for _ in range(7))
                f.write(MAIL + b".\r\nQUIT\r\n")
                f.flush()
                codes.append(f.readline()[:3])
        codes = []
        threads = [threading.Thread(target=run, args=(i,)) for i in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(120)
        assert sorted(codes) == sorted([b"250"] * 8 * 20 + [b"354"] * 20)
        got = sink.wait(20 * 5)  # each recipient has its own header: a group each
        assert {fields(d)["X-Rcpt"].split()[0] for _, to, d in got for _ in to} == {
            f"r{k}@example.org" for k in range(5)}
        for _, to, data in got:
            assert fields(data)["X-Rcpt"].split()[0] == to[0]


def test_milter_asks_at_each_command(tmp_path, script):
    port = free_port()
    listeners = [{"name": "milter", "address": f"127.0.0.1:{port}", "protocol": "milter"}]
    with gateway(tmp_path, settings={
            "listeners": listeners, "script": script(SCRIPT),
            "policies": [{"name": "c", "clients": ["203.0.113.9"], "do": {"reject": "Go away"}},
                         {"name": "h", "helo": "bad.*", "do": {"defer": "Not now"}}]}):
        with milter.Mta(("127.0.0.1", port)) as m:
            m.negotiate()
            assert not m.steps & 0x2000  # the answer to HELO is waited for
            assert m.connect(ip="203.0.113.9") == (b"y", b"550 5.7.1 Go away\0")
            assert m.connect() == (b"c", b"")
            assert m.helo("bad.example") == (b"y", b"451 4.7.1 Not now\0")
            assert m.helo("evil.example") == (b"y", b"550 5.7.1 Not as evil.example\0")
            assert m.helo("good.example") == (b"c", b"")
            assert m.mail("<later@example.net>") == (b"y", b"451 4.7.1 Come back\0")
            assert m.mail("<alice@example.net>") == (b"c", b"")
            assert m.rcpt("<gone@example.org>") == (b"y", b"550 5.1.1 Gone\0")
            assert m.rcpt("<bob@example.org>") == (b"c", b"")
            m.content(MAIL)
            edits, verdict = m.end()
            assert verdict[0] in (b"c", b"a")
            text = b"".join(d for _, d in edits).decode()
            for want in ("192.0.2.7 none", "good.example 1", "alice@example.net good.example 1",
                         "bob@example.org 1"):
                assert want in text
            assert m.mail("<void@example.net>") == (b"c", b"")
            assert m.rcpt("<bob@example.org>") == (b"c", b"")
            m.content(MAIL)
            assert m.end()[1][0] == b"d"
            m.mail("<bar@example.net>")
            m.rcpt()
            m.content(MAIL)
            m.end()
            code, text = m.connect()
            assert code == b"y" and text.startswith(b"550 5.7.1 Your host")
        # An MTA that goes away while its question is open leaves nothing behind: the sanitizers look.
        for command in (b"C", b"M"):
            with milter.Mta(("127.0.0.1", port)) as m:
                m.negotiate()
                m.send(command, b"x\x004\0\x19192.0.2.7\0" if command == b"C" else b"<a@b.example>\0")


SLOW = """
function sender(m)
  if m.sender == "hang@example.net" then (("a"):rep(40000)):find(("a-"):rep(60) .. "b") end
  if m.sender == "loop@example.net" then while true do end end
end
"""


def patient(g):
    s = g.smtp()
    s.sock.settimeout(180)
    s.ehlo()
    return s


@pytest.mark.parametrize("on_error,code", [("defer", 451), ("pass", 250), ("hold", 250)])
def test_a_script_that_fails_or_is_late(tmp_path, sink, script, on_error, code):
    with gateway(tmp_path, next_hop=sink.port, settings={
            "script": {**script(SLOW), "timeout": "2s", "on_error": on_error}}) as g:
        s = patient(g)
        assert s.mail("loop@example.net")[0] == code
        if code == 250:
            s.rcpt("bob@example.org")
            assert s.data(MAIL)[0] == 250
            if on_error == "hold":
                assert "the script failed" in g.run("quarantine", "list", "--json").stdout
            else:
                sink.wait(1)
        s.rset()
        scanners = g.pids("scan")
        for pid in scanners:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert s.mail("alice@example.net")[0] == code
        finally:
            for pid in scanners:
                os.kill(pid, signal.SIGCONT)
        s.quit()
        assert "no answer within script.timeout" in g.log_text()


def test_a_script_that_says_too_much(tmp_path, sink, script):
    """What is said about recipients travels with the message: it has a limit, and the scanners survive."""
    with gateway(tmp_path, next_hop=sink.port, settings={"script": script(
            "function recipient(m, a) add_disclaimer(('x'):rep(99990)) end")}) as g:
        s = patient(g)
        assert s.mail("alice@example.net")[0] == 250
        codes = [s.rcpt(f"r{i}@example.org")[0] for i in range(50)]
        assert 30 < codes.count(250) < 42 and codes[41:] == [451] * 9
        s.rset()
        s.sendmail("alice@example.net", ["bob@example.org"], MAIL)
        sink.wait(1)
        s.quit()


def test_scanners_that_die_on_a_question(tmp_path, sink, script):
    with gateway(tmp_path, next_hop=sink.port, settings={
            "script": {**script(SLOW), "timeout": "2s"}}) as g:
        s = patient(g)
        before = g.pids("scan")
        assert s.mail("hang@example.net")[0] == 451
        wait_for("the end of a scanner that hangs", lambda: set(before) - set(g.pids("scan")), 60)

        def answered():
            s.rset()
            return s.mail("alice@example.net")[0] == 250
        wait_for("an answer", answered, 60, 0.2)
        s.quit()


def test_ticks_in_scanners(tmp_path, script):
    """tick() runs in each scanner by itself, also after one that fails; map() sees what it has put down."""
    port = free_port()
    ticking = script("function tick() store.incr('ticks', 1, 3600) if store.get('ticks') == '2' then nonsense() end end\n"
                     "function map(name, key) return store.get(key) or 'none' end")
    with gateway(tmp_path, settings={
            "script": {**ticking, "tick": "1s"},
            "listeners": [{"name": "s", "protocol": "socketmap", "address": f"127.0.0.1:{port}"}]}) as g:
        def ticks():
            with socket.create_connection(("127.0.0.1", port), timeout=60) as c:
                c.sendall(b"7:m ticks,")
                value = c.recv(100).partition(b"OK ")[2].rstrip(b",")
                return int(value) if value.isdigit() else 0
        wait_for("ticks after one that failed", lambda: ticks() > 4, 60, 0.2)
        assert "script-tick-failed" in g.log_text() and "nonsense" in g.log_text()


def test_strangers_at_a_map(tmp_path, script):
    port = free_port()
    maps = script("function map(name, key) if name == 'hang' then while true do end end return name .. key end")
    with gateway(tmp_path, settings={
            "script": {**maps, "timeout": "5s"},
            "listeners": [{"name": "s", "protocol": "socketmap", "address": f"127.0.0.1:{port}"}]}) as g:
        def talk(data, n=None):
            with socket.create_connection(("127.0.0.1", port), timeout=60) as c:
                c.sendall(data)
                out = b""
                while (n is None or len(out) < n) and (piece := c.recv(65536)):
                    out += piece
                return out
        want = b"7:OK mkey," * 1000
        assert talk(b"5:m key," * 1000, len(want)) == want  # all at once
        for nonsense in (b"GET / HTTP/1.0\r\n\r\n", b"99999:", b"5:mkey,,", b"\0" * 100, b"3:m k5:m key,"):
            assert talk(nonsense) == b""
        assert talk(b"6:hang k,", 20).partition(b":")[2].startswith(b"TEMP ")  # more instructions than it may
        with socket.create_connection(("127.0.0.1", port)) as c:  # gone while its question is open
            c.sendall(b"6:hang k,")
        assert talk(b"5:m key,", 10) == b"7:OK mkey,"
        # A reload closes idle sessions: their clients come back.
        with socket.create_connection(("127.0.0.1", port), timeout=60) as c:
            c.sendall(b"5:m key,")
            assert c.recv(100) == b"7:OK mkey,"
            g.reload()
            assert c.recv(100) == b""
        assert talk(b"5:m key,", 10) == b"7:OK mkey,"
