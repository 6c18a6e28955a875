"""on_virus: clean and the action: the infected part goes, the rest arrives as it was, the original is in the
quarantine; by SMTP, milter (Postfix, Sendmail), spamd's PROCESS, scan --policy. What can't be cleaned is held."""
import base64
import json
import re
import shutil
import smtplib
import subprocess

import pytest

import harness
import postfix
import sendmail
from clamd import SIGNATURE, Clamd, plain_zip, signatures
from harness import BINARY, EICAR, RULES, Sink, gateway, message, wait_for
from test_policies_mta import arrived, send

TAG = "please tag me"
BAD = plain_zip(EICAR)  # once: it holds the time
LUA = """
function part(m, p)
  if p.virus and m.sender == "lua@example.net" then
    add_header("X-Part", p.number .. " " .. p.virus)
    clean("_NAME_ had _VIRUS_, ask for _ID_")
  end
end
"""
POLICIES = [{"name": "lua", "senders": ["lua@example.net"], "on_virus": "reject"},
            {"name": "act", "senders": ["act@example.net"], "parts": {"name": ["*.lnk"]}, "on_virus": "reject",
             "do": {"clean": "gone: _NAME_ (_VIRUS_) see _ID_"}},
            {"name": "no", "recipients": ["strict@example.org"], "on_virus": "reject"},
            {"name": "insists", "senders": ["insists@example.net"], "on_virus": "clean", "touch_signed": True},
            {"name": "default", "on_virus": "clean"}]


@pytest.fixture(scope="module")
def sink():
    s = Sink()
    yield s
    s.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    where = tmp_path_factory.mktemp("engine")
    c = Clamd(where / "clamd", signatures(where / "signatures"))
    yield c
    c.stop()


@pytest.fixture(scope="module")
def gate(tmp_path_factory, sink, engine):
    where = tmp_path_factory.mktemp("cleaning")
    (where / "policy.lua").write_text(LUA)
    ports = [harness.free_port() for _ in range(4)]
    with gateway(where / "g", next_hop=sink.port, rules=RULES, settings={
            "virus": {"enabled": True, "clamd": [engine.unix], "embedded": False},
            "script": {"file": str(where / "policy.lua")}, "policies": POLICIES,
            "listeners": [{"name": "mx", "address": f"127.0.0.1:{ports[3]}"},
                          {"name": "m", "protocol": "milter", "address": f"127.0.0.1:{ports[0]}"},
                          {"name": "spamd", "protocol": "spamd", "address": f"127.0.0.1:{ports[1]}"},
                          {"name": "rspamd", "protocol": "rspamd", "address": f"127.0.0.1:{ports[2]}"}]}) as g:
        g.milter_port, g.spamd_port, g.rspamd_port, g.port = ports
        yield g


def part(name, content, kind="application/octet-stream"):
    return (f'--b\r\nContent-Type: {kind}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'.encode()
            + base64.encodebytes(content).replace(b"\n", b"\r\n"))


def mixed(mark, *parts):
    return (f"From: alice@example.net\r\nTo: bob@example.org\r\nSubject: {mark}\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
            f"--b\r\nContent-Type: text/plain\r\n\r\ntext of {mark}\r\n").encode() + b"".join(parts) + \
        b"--b--\r\nepilogue\r\n"


def signed(mark, *parts):
    """Signed as mail programs do it: what is signed is a message of its own."""
    inner = mixed(mark, *parts).partition(b"MIME-Version: 1.0\r\n")[2]
    return (f"From: alice@example.net\r\nTo: bob@example.org\r\nSubject: {mark}\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/signed; boundary=o; protocol="application/pgp-signature"; micalg=pgp-sha256\r\n'
            "\r\n--o\r\n").encode() + inner + (b"\r\n--o\r\nContent-Type: application/pgp-signature\r\n\r\n"
                                              b"-----BEGIN PGP SIGNATURE-----\r\n\r\n--o--\r\n")


def infected(mark):
    return mixed(mark, part("good.bin", b"good" * 20), part("bad.zip", BAD), part("last.bin", b"x" * 50))


def is_cleaned(got, mark):
    """The text in its place names it and the original; all other bytes are there. Returns the id."""
    start, end = infected(mark).split(part("bad.zip", BAD))
    head, _, body = got.partition(b"\r\n\r\n")
    assert body.startswith(start.partition(b"\r\n\r\n")[2]) and body.endswith(end), body
    text = body[len(start.partition(b"\r\n\r\n")[2]):-len(end)].decode()
    found = re.fullmatch(r'--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n'
                         r'Content-Disposition: inline\r\n\r\nThe attachment "bad.zip" was removed, because it is dangerous:\r\n'
                         rf'{re.escape(SIGNATURE)}\S* \(default\)\r\nIt is kept for a while; ask your postmaster for message '
                         r'([0-9A-Z]{16})\.\r\n\r\n', text)
    assert found, text
    assert b"X-Virus-Status: Cleaned (" + SIGNATURE.encode() in head
    return found.group(1)


def listed(gate):
    """By id, each with what is told about its recipient."""
    items = map(json.loads, gate.run("quarantine", "list", "--json").stdout.splitlines())
    return {x["id"]: {**x, **x["recipients"][0]} for x in items if x["recipients"]}


def test_smtp(gate, sink):
    code, text = gate.send(infected("smtp one"))
    assert code == 250, text
    kept = is_cleaned(arrived(sink, "smtp one")[0][2], "smtp one")
    assert listed(gate)[kept]["reason"] == "original" and kept in text
    gate.run("quarantine", "release", kept)
    again = arrived(sink, "smtp one", 2)[1][2]
    assert again.partition(b"\r\n\r\n")[2] == infected("smtp one").partition(b"\r\n\r\n")[2]
    story = json.loads(gate.run("log", "--json", f"id={kept}").stdout.splitlines()[0])
    assert "clean" in json.dumps(story)


def test_marked_as_spam_too_and_each_by_its_policy(gate, sink):
    data = infected("split " + TAG)
    code, _ = gate.send(data, to=["bob@example.org", "strict@example.org"])
    assert code == 250  # promised to one of them: the other's is held, not bounced
    got = arrived(sink, "split")[0]
    assert got[1] == ["bob@example.org"] and b"X-Spam-Flag: YES" in got[2]
    is_cleaned(got[2], "split " + TAG)
    kept = {r["address"]: r["reason"] for x in listed(gate).values() if x["subject"] == "split " + TAG
            for r in x["recipients"]}
    assert kept == {"bob@example.org": "original", "strict@example.org": "virus"}
    code, text = gate.send(infected("all strict"), to=["strict@example.org"])
    assert code == 550 and SIGNATURE in text


UNCLEANABLE = [
    ("nowhere", message(subject="nowhere", headers=["X-Odd: " + EICAR.decode()]), "in no single part"),
    ("sealed", signed("sealed", part("bad.zip", BAD)), "signed or encrypted part"),
    ("rest", mixed("rest", part("bad.zip", BAD), b"").replace(
        b"epilogue", EICAR + b"\r\nepilogue"), "found in the rest"),
]


@pytest.mark.parametrize("mark, data, why", UNCLEANABLE, ids=[x[0] for x in UNCLEANABLE])
def test_what_cannot_be_cleaned_is_held(gate, sink, mark, data, why):
    assert gate.send(data)[0] == 250
    item = wait_for("the item", lambda: [x for x in listed(gate).values() if x["subject"] == mark])[0]
    assert item["reason"] == "virus" and why in item["detail"], item
    assert not [m for m in sink.messages if mark.encode() in m[2]]


def test_insisting_on_signed_parts(gate, sink):
    data = signed("insisted", part("bad.zip", BAD))
    assert gate.send(data, sender="insists@example.net")[0] == 250
    got = arrived(sink, "insisted")[0][2]
    assert b"bad.zip\" was removed" in got and base64.b64encode(BAD)[:40] not in got


def test_action_and_script(gate, sink):
    data = mixed("action", part("bad.zip", BAD), part("b.lnk", b"no virus"), part("c.txt", b"stays"))
    assert gate.send(data, sender="act@example.net")[0] == 250
    got = arrived(sink, "Subject: action")[0][2]
    assert b"gone: bad.zip (" + SIGNATURE.encode() in got and b"gone: b.lnk" in got and b'"c.txt"' in got
    assert base64.b64encode(b"no virus") not in got
    assert gate.send(infected("script"), sender="lua@example.net")[0] == 250
    got = arrived(sink, "Subject: script")[0][2]
    assert b"X-Part: 4 " + SIGNATURE.encode() in got and b"bad.zip had " + SIGNATURE.encode() in got
    # Without the action the setting of the same policy holds.
    assert gate.send(message(body=EICAR.decode() + "\r\n"), sender="alice@example.net",
                     to=["strict@example.org"])[0] == 550


def test_a_message_that_is_the_virus(gate, sink):
    data = message(subject="itself", body=EICAR.decode() + "\r\n")
    assert gate.send(data)[0] == 250
    got = arrived(sink, "itself")[0][2]
    assert EICAR not in got and b"unnamed\" was removed" in got


@pytest.mark.parametrize("make", [
    pytest.param(lambda d, s, g: postfix.Postfix(d, s.port, f"smtpd_milters = inet:127.0.0.1:{g.milter_port}\n"
                                                            "milter_default_action = tempfail\n"), id="postfix"),
    pytest.param(lambda d, s, g: sendmail.Sendmail(d, s.port, f"inet:{g.milter_port}@127.0.0.1"), id="sendmail")])
def test_milter(gate, sink, tmp_path, make):
    with make(tmp_path / "mta", sink, gate) as m:
        mark = "milter " + type(m).__name__
        send(m, infected(mark))
        kept = is_cleaned(arrived(sink, mark)[0][2], mark)
        assert listed(gate)[kept]["reason"] == "original"
        mark = "both " + type(m).__name__  # one copy for both: cleaned; the other's is held
        send(m, infected(mark), to=("bob@example.org", "strict@example.org"))
        got = arrived(sink, mark)
        assert [x[1] for x in got] == [["bob@example.org"]]
        is_cleaned(got[0][2], mark)
        with smtplib.SMTP("127.0.0.1", m.port, timeout=60) as s, pytest.raises(smtplib.SMTPDataError) as refused:
            s.sendmail("alice@example.net", ["strict@example.org"], infected("refused"))
        assert refused.value.smtp_code == 550 and SIGNATURE.encode() in refused.value.smtp_error


@pytest.mark.skipif(not shutil.which("spamc"), reason="spamc is not installed")
def test_spamc_gets_it_cleaned_only_where_it_takes_the_body_back(gate):
    def spamc(*args):
        return subprocess.run(["spamc", "-d", "127.0.0.1", "-p", str(gate.spamd_port), *args],
                              input=infected("spamc"), capture_output=True, timeout=120).stdout
    out = spamc()
    assert b"X-Spam-Flag" not in out and b"PK\x03" not in out and b"bad.zip\" was removed" in out
    kept = re.search(rb"for message ([0-9A-Z]{16})", out).group(1).decode()
    assert kept in gate.run("quarantine", "list", "--json").stdout
    assert b"GATEHOUSE_VIRUS" in spamc("--headers") and b"GATEHOUSE_VIRUS" in spamc("-y")
    assert spamc("-c").startswith(b"15.0/5.0")


def test_rspamd_clients_do_not_deliver_it(gate):
    import urllib.request
    q = urllib.request.Request(f"http://127.0.0.1:{gate.rspamd_port}/checkv2", data=infected("rspamd"))
    with urllib.request.urlopen(q, timeout=60) as r:
        answer = json.load(r)
    assert answer["action"] == "quarantine" and "GATEHOUSE_VIRUS" in answer["symbols"]


def test_scan_tells_it(tmp_path, engine):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "10_test.cf").write_text(RULES)
    (tmp_path / "g.yaml").write_text(
        f"hostname: gate.example.org\nrules: {{dirs: [{tmp_path}/rules], site_dir: null, network: false}}\n"
        f"authentication: {{enabled: false}}\nvirus: {{clamd: ['{engine.unix}'], embedded: false}}\n"
        f"paths: {{cache: {tmp_path}/cache, state: {tmp_path}}}\n")
    (tmp_path / "new.yaml").write_text("policies:\n  - {name: default, on_virus: clean}\n")
    (tmp_path / "mail.eml").write_bytes(infected("scan"))

    def scan(*args):
        r = subprocess.run([BINARY, "scan", "-c", tmp_path / "g.yaml", "--policy", tmp_path / "new.yaml", *args,
                            "--from", "a@example.net", "--to", "b@example.org", tmp_path / "mail.eml"],
                           capture_output=True, timeout=120)
        assert r.returncode == 1, r.stderr
        return r.stdout
    [told] = json.loads(scan("--explain", "--format", "json"))["recipients"]
    assert (told["outcome"], told["reason"], told["keep"]) == ("clean", "virus", True)
    text = scan("--explain").decode()
    assert "Outcome: clean (virus: " + SIGNATURE in text and "kept in the quarantine" in text
    is_cleaned(scan("--format", "message"), "scan")
