"""Policies and the policy script behind a real Postfix and a real Sendmail: what is done to parts and to
the envelope, what is refused at which command; and the script's map() as their lookup table."""
import base64
import pathlib
import re
import smtplib
import subprocess

import pytest

import harness
import postfix
import sendmail
from harness import Sink, gateway, wait_for

SCRIPT = """
function helo(m) if m.helo == "evil.example" then return "reject", "550 5.7.1 Not as evil" end end
function recipient(m, a)
  if a == "gone@example.org" then return "reject", "550 5.1.1 Gone" end
  if a == "two@example.org" then return "defer", "One\\nTwo" end
  add_header("X-For", a)
end

function map(name, key)
  if name == "aliases" then
    if key == "sales@example.org" then return "ann@example.org, ben@example.org" end
    if key == "sleepy@example.org" then return nil, "out for lunch" end
    if key == "broken@example.org" then return nonsense() end
  elseif name == "count" then
    return tostring(store.incr(key, 1, 3600))
  end
end
"""

POLICIES = [
    {"name": "helo", "helo": "bad.*", "do": {"reject": "Not as bad"}},
    {"name": "lines", "recipients": ["lines@example.org"], "do": {"reject": "550 5.1.6 They have moved\nto example.com;\n"
                                                                  "ask _HELO_ there\n"}},
    {"name": "late", "header": {"Subject": "*late*"}, "do": {"defer": "Not now\n100% later\n"}},
    {"name": "exe", "parts": {"name": ["*.exe"]}, "continue": True,
     "do": {"quarantine_part": "_NAME_ is kept as _ID_"}},
    {"name": "drop", "parts": {"name": ["*.lnk"]}, "continue": True, "do": "drop_part"},
    {"name": "rename", "parts": {"name": ["*.js"]}, "continue": True, "do": {"rename_part": "_NAME_.txt"}},
    {"name": "note", "senders": ["note@example.net"], "continue": True,
     "do": [{"add_disclaimer": {"text": "-- \nExample Ltd", "html": "<p>Example Ltd</p>"}},
            {"subject_prefix": "[EXT] "}, {"change_header": {"X-Kind": "changed"}},
            {"delete_header": "X-Away"}]},
    {"name": "move", "senders": ["move@example.net"], "recipients": ["bob@example.org"],
     "do": [{"redirect": "joe@example.org"}, {"change_sender": "list@example.net"},
            {"add_recipient": "archive@example.org"}]},
    {"name": "off", "recipients": ["off@example.org"], "do": "delete_recipient"},
]


@pytest.fixture(scope="module")
def sink():
    s = Sink()
    yield s
    s.close()


@pytest.fixture(scope="module")
def gate(tmp_path_factory, sink):
    where = tmp_path_factory.mktemp("policies")
    script = where / "policy.lua"
    script.write_text(SCRIPT)
    ports = [harness.free_port(), harness.free_port()]
    with gateway(where / "g", next_hop=sink.port, settings={
            "script": {"file": str(script)}, "policies": POLICIES,
            "listeners": [{"name": "m", "protocol": "milter", "address": f"127.0.0.1:{ports[0]}"},
                          {"name": "s", "protocol": "socketmap", "address": f"127.0.0.1:{ports[1]}"},
                          {"name": "u", "protocol": "socketmap", "address": f"unix:{where}/maps.sock"}]}) as g:
        g.milter_port, g.map_port = ports
        g.map_socket = where / "maps.sock"
        yield g


def run_postfix(directory, sink, gate):
    return postfix.Postfix(directory, sink.port,
                           f"smtpd_milters = inet:127.0.0.1:{gate.milter_port}\n"
                           "milter_default_action = tempfail\n"
                           f"virtual_alias_maps = socketmap:inet:127.0.0.1:{gate.map_port}:aliases")


def run_sendmail(directory, sink, gate):
    return sendmail.Sendmail(directory, sink.port, f"inet:{gate.milter_port}@127.0.0.1")


@pytest.fixture(scope="module", params=[run_postfix, run_sendmail], ids=["postfix", "sendmail"])
def mta(request, gate, sink, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("mta"), sink, gate) as m:
        m.is_sendmail = request.param is run_sendmail
        yield m


def talk(m, helo="client.example.net"):
    return smtplib.SMTP("127.0.0.1", m.port, local_hostname=helo, timeout=60)


def send(m, data, sender="alice@example.net", to=("bob@example.org",)):
    with talk(m) as s:
        s.sendmail(sender, list(to), data)


def arrived(sink, mark, n=1):
    def found():
        return [m for m in sink.messages if mark.encode() in m[2]]
    wait_for(mark, lambda: len(found()) >= n, 60)
    return found()


def mixed(mark, *names):
    parts = "".join(f'--b\r\nContent-Type: application/x; name="{n}"\r\n'
                    f"Content-Transfer-Encoding: base64\r\n\r\n{base64.b64encode(n.encode() * 9).decode()}\r\n"
                    for n in names)
    return (f"From: alice@example.net\r\nTo: bob@example.org\r\nSubject: {mark}\r\nX-Away: x\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
            f"--b\r\nContent-Type: text/plain\r\n\r\ntext of {mark}\r\n{parts}--b--\r\nepilogue\r\n").encode()


def test_parts(mta, sink, gate):
    mark = "parts" + str(mta.is_sendmail)
    data = mixed(mark, "a.txt", "b.exe", "c.lnk", "d.js")
    send(mta, data)
    got = arrived(sink, mark)[0][2]
    kept = re.search(rb"b\.exe is kept as ([0-9A-Z]{16})", got).group(1).decode()
    assert b"c.lnk" not in got and b'"d.js.txt"' in got
    # What was not meant is the same to the last byte.
    for piece in (b"preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\ntext of " + mark.encode(),
                  base64.b64encode(b"a.txt" * 9), base64.b64encode(b"d.js" * 9), b"--b--\r\nepilogue\r\n"):
        assert piece in got
    assert base64.b64encode(b"b.exe" * 9) not in got
    gate.run("quarantine", "release", kept)
    again = arrived(sink, mark, 2)[1][2]
    assert again.partition(b"\r\n\r\n")[2] == data.partition(b"\r\n\r\n")[2]


def test_texts_and_header(mta, sink):
    mark = "texts" + str(mta.is_sendmail)
    send(mta, mixed(mark, "a.txt"), sender="note@example.net")
    head, _, body = arrived(sink, mark)[0][2].partition(b"\r\n\r\n")
    assert b"Subject: [EXT] " + mark.encode() in head and b"X-Kind: changed" in head
    assert b"X-Away" not in head
    assert b"text of " + mark.encode() + b"\r\n-- \r\nExample Ltd\r\n" in body


def test_envelope(mta, sink):
    mark = "envelope" + str(mta.is_sendmail)
    send(mta, mixed(mark), sender="move@example.net", to=["bob@example.org", "off@example.org"])
    wait_for("all", lambda: {r for m in arrived(sink, mark) for r in m[1]} >=
             {"joe@example.org", "archive@example.org"}, 60)
    got = arrived(sink, mark)
    assert {r for m in got for r in m[1]} == {"joe@example.org", "archive@example.org"}
    assert {m[0] for m in got} == {"list@example.net"}


def test_refusals_at_their_commands(mta, sink):
    for name, text in (("bad.example", b"Not as bad"), ("evil.example", b"Not as evil")):
        with talk(mta, name) as s:
            code, answer = s.ehlo()
            if code < 400:  # MTAs keep the refusal of HELO for the MAIL that follows
                code, answer = s.mail("alice@example.net")
            assert code == 550 and text in answer
    with talk(mta) as s:
        s.ehlo()
        s.mail("alice@example.net")
        code, text = s.rcpt("gone@example.org")
        assert code == 550 and b"Gone" in text
        assert s.rcpt("bob@example.org")[0] == 250
        mark = "rest" + str(mta.is_sendmail)
        assert s.data(mixed(mark))[0] == 250
    got = arrived(sink, mark)[0]
    assert got[1] == ["bob@example.org"] and b"X-For: bob@example.org" in got[2]


def test_replies_of_several_lines(mta):
    with talk(mta) as s:
        s.ehlo()
        s.mail("alice@example.net")
        for address, code, said in (("lines@example.org", 550, b"5.1.6 They have moved\n5.1.6 to example.com;\n"
                                                               b"5.1.6 ask client.example.net there"),
                                    ("two@example.org", 451, b"4.7.1 One\n4.7.1 Two")):
            got = s.rcpt(address)  # Sendmail says whom it is about
            assert (got[0], got[1].replace(f"<{address}>... ".encode(), b"")) == (code, said)
        assert s.rcpt("bob@example.org")[0] == 250
        code, text = s.data(mixed("late"))
        assert code == 451 and re.fullmatch(rb"4\.7\.1 Not now\n4\.7\.1 100% later \([0-9A-Z]{16}\)", text), text


# ---- maps ----

def postmap(config, gate, name, *keys):
    r = subprocess.run(["postmap", "-c", str(config), "-q", "-",
                        f"socketmap:inet:127.0.0.1:{gate.map_port}:{name}"],
                       input="".join(k + "\n" for k in keys), capture_output=True, text=True, timeout=60)
    return r.returncode, r.stdout, r.stderr


def test_postmap_asks_the_map(gate, sink, tmp_path):
    config = run_postfix(tmp_path / "p", sink, gate).config
    assert postmap(config, gate, "aliases", "sales@example.org") == (
        0, "sales@example.org\tann@example.org, ben@example.org\n", "")
    code, out, err = postmap(config, gate, "aliases", "nobody@example.org")
    assert (code, out) == (1, "")
    code, out, err = postmap(config, gate, "aliases", "sleepy@example.org")
    assert code != 0 and "out for lunch" in err
    code, out, err = postmap(config, gate, "aliases", "broken@example.org")
    assert code != 0 and "nil value" in err
    r = subprocess.run(["postmap", "-c", str(config), "-q", "sales@example.org",
                        f"socketmap:unix:{gate.map_socket}:aliases"], capture_output=True, text=True, timeout=60)
    assert r.stdout == "ann@example.org, ben@example.org\n", r.stderr
    keys = [f"k{i}" for i in range(200)]  # over one connection
    code, out, _ = postmap(config, gate, "count", *keys)
    assert code == 0 and out == "".join(f"{k}\t1\n" for k in keys)


def test_aliases_of_a_mail(mta, gate, sink):
    if mta.is_sendmail:
        pytest.skip("Postfix's virtual_alias_maps")
    send(mta, mixed("aliased"), to=["sales@example.org"])
    wait_for("both", lambda: {r for m in arrived(sink, "aliased") for r in m[1]} ==
             {"ann@example.org", "ben@example.org"}, 60)
    with talk(mta) as s:
        s.ehlo()
        s.mail("alice@example.net")
        assert 400 <= s.rcpt("sleepy@example.org")[0] < 500


def test_sendmail_asks_the_map(gate, sink, tmp_path):
    m = run_sendmail(tmp_path / "s", sink, gate)
    cf = m.cf.read_text().replace("\nO ", f"\nKgate socket inet:{gate.map_port}@127.0.0.1\nO ", 1)
    # The name of the map is the one that Sendmail knows it by.
    text = SCRIPT.replace('name == "aliases"', 'name == "gate" or name == "aliases"')
    pathlib.Path(gate.settings["script"]["file"]).write_text(text)
    gate.reload()
    m.cf.write_text(cf)
    r = subprocess.run(m.command("-bt"), input="/map gate sales@example.org\n"
                       "/map gate nobody@example.org\n", capture_output=True, text=True, timeout=120)
    assert "map_lookup: gate (sales@example.org) returns ann@example.org, ben@example.org (0)" in r.stdout
    assert "map_lookup: gate (nobody@example.org) no match" in r.stdout
