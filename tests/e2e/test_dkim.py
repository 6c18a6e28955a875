"""DKIM and ARC against peers: what we sign is verified by Debian's python3-dkim and opendkim, what
they sign by us. Keys come from tables, no name is asked outside."""
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from harness import Gateway, Sink, gateway, message, wait_for

sys.path.append("/usr/lib/python3/dist-packages")  # Debian's modules, whatever python runs this
dkim = pytest.importorskip("dkim")


def make_key(tmp_path, name, kind="rsa"):
    """A private key and the p= of its record."""
    path = tmp_path / f"{name}.pem"
    if kind == "rsa":
        subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
        der = subprocess.run(["openssl", "rsa", "-in", path, "-pubout", "-outform", "DER"],
                             check=True, capture_output=True).stdout
    else:
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path], check=True)
        der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"],
                             check=True, capture_output=True).stdout[-32:]
    os.chmod(path, 0o600)
    return path, base64.b64encode(der).decode()


def dns_table(records):
    table = {name: text.encode() for name, text in records.items()}
    return lambda name, timeout=5: table.get(name.decode().rstrip("."))


def settings_for(sink, *entries, **more):
    return {"relay": {"networks": ["127.0.0.0/8"], "domains": ["example.org"]},
            "routes": {"fallback": f"smtp:[127.0.0.1]:{sink.port}"},
            "dkim": {"sign": list(entries), **more}}


@pytest.mark.parametrize("form", ["relaxed/relaxed", "simple/simple", "relaxed/simple"])
def test_what_leaves_is_what_was_signed(tmp_path, sink, form):
    """The subject is tagged, our own fields are added, forged ones removed: the signature fits."""
    rsa, rsa_p = make_key(tmp_path, "one")
    ed, ed_p = make_key(tmp_path, "two", "ed25519")
    records = {"one._domainkey.example.net": f"v=DKIM1; k=rsa; p={rsa_p}",
               "two._domainkey.example.net": f"v=DKIM1; k=ed25519; p={ed_p}"}
    settings = settings_for(sink, f"example.net one {rsa}", f"example.net two {ed}",
                            canonicalisation=form)
    settings["policies"] = [{"name": "default", "subject_tag": "[SPAM] ", "on_spam": "tag"}]
    with gateway(tmp_path, settings=settings) as g:
        g.send(message(subject="please tag me", body="first  line \r\n.dot\r\n\r\nend\r\n\r\n",
                       headers=("X-Spam-Flag: NO", "MIME-Version: 1.0",
                                "Content-Type: text/plain")))
        data = sink.wait()[0][2]
    head = data.split(b"\r\n\r\n")[0]
    assert b"Subject: [SPAM] please tag me" in head
    assert head.count(b"DKIM-Signature:") == 2
    assert max(len(line) for line in head.split(b"\r\n")) < 200
    d = dkim.DKIM(data)
    assert d.verify(idx=0, dnsfunc=dns_table(records))
    assert d.verify(idx=1, dnsfunc=dns_table(records))
    for field in (b"From: Eve <eve@example.net>", b"Subject: other", b"Reply-To: eve@example.com"):
        assert not dkim.DKIM(field + b"\r\n" + data).verify(dnsfunc=dns_table(records))


def test_strangers_mail_is_not_signed(tmp_path, sink):
    rsa, _ = make_key(tmp_path, "one")
    settings = settings_for(sink, f"example.net one {rsa}")
    settings["relay"]["networks"] = ["192.0.2.0/24"]
    with gateway(tmp_path, settings=settings) as g:
        g.send(message())
        assert b"DKIM-Signature" not in sink.wait()[0][2]


@pytest.mark.parametrize("sender, signed", [
    ("alice@example.net", True), ("alice@sub.example.net", True), ("alice@example.com", False),
    ("alice@notexample.net", False)])
def test_domains(tmp_path, sink, sender, signed):
    rsa, p = make_key(tmp_path, "one")
    with gateway(tmp_path, settings=settings_for(sink, f".example.net one {rsa}")) as g:
        g.send(message(sender=sender))
        data = sink.wait()[0][2]
    assert (b"DKIM-Signature" in data) == signed
    if signed:
        records = {"one._domainkey.example.net": f"p={p}"}
        assert dkim.verify(data, dnsfunc=dns_table(records))


@pytest.mark.parametrize("what, code", [("defer", 451), ("pass", 250)])
def test_key_that_cant_be_used(tmp_path, sink, what, code):
    rsa, _ = make_key(tmp_path, "one")
    os.chmod(rsa, 0o644)
    settings = settings_for(sink, f"example.net one {rsa}", on_sign_error=what)
    with gateway(tmp_path, settings=settings) as g:
        assert g.send(message())[0] == code
    assert "may be read by others" in g.log_text()


OPENDKIM = shutil.which("opendkim")


@pytest.mark.skipif(not OPENDKIM, reason="opendkim is not installed")
def test_opendkim_takes_our_signature(tmp_path, sink):
    rsa, p = make_key(tmp_path, "one")
    with gateway(tmp_path, settings=settings_for(sink, f"example.net one {rsa}")) as g:
        g.send(message(body="hello  there\r\n\r\n\r\n"))
        data = sink.wait()[0][2]
    mail = tmp_path / "mail"
    mail.write_bytes(data)
    keys = tmp_path / "keys"
    keys.write_text(f"one._domainkey.example.net v=DKIM1; k=rsa; p={p}\n")
    conf = tmp_path / "opendkim.conf"
    conf.write_text(f"TestPublicKeys {keys}\nMode v\nSyslog no\n")
    out = subprocess.run([OPENDKIM, "-x", conf, "-t", mail, "-vv"], capture_output=True, text=True)
    assert out.returncode == 0, out
    assert re.search(r"verification .*succeeded", out.stdout + out.stderr), out


# --- the other way: what peers sign, read by the gateway; keys are records of its own DNS ---

def local_data(records):
    """Records for dns.local_data, strings of at most 255 bytes."""
    out = []
    for name, text in records.items():
        parts = " ".join(f'"{text[i:i + 255]}"' for i in range(0, len(text), 255))
        out.append(f"{name}. TXT {parts}")
    return out


def gate_for_strangers(sink, records, **more):
    """Mail of our own is not checked: the tests come from elsewhere, by XCLIENT."""
    return {"relay": {"domains": ["example.org"]}, "spf": {"enabled": False}, "dmarc": {"enabled": False},
            "authentication": {"enabled": True},
            "routes": {"fallback": f"smtp:[127.0.0.1]:{sink.port}"},
            "dns": {"local_data": local_data(records), "dnssec": False}, **more}


def send_from_outside(g, data):
    """As a client at 192.0.2.7."""
    with g.smtp() as s:
        s.ehlo()
        s.docmd("XCLIENT", "ADDR=192.0.2.7 NAME=mail.example.net")
        s.ehlo("mail.example.net")
        s.mail("alice@example.net")
        s.rcpt("bob@example.org")
        return s.data(data)


def run_stranger(tmp_path, sink, records, data, **more):
    g = Gateway(tmp_path, settings=gate_for_strangers(sink, records, **more))
    g.settings["listeners"][0]["xclient_from"] = ["127.0.0.0/8"]
    g.start()
    try:
        before = len(sink.messages)
        code, text = send_from_outside(g, data)
        assert code == 250, text
        got = sink.wait(before + 1)[-1][2]
        g.stop()
        return got
    finally:
        if g.process and g.process.poll() is None:
            g.kill()


def results_of(data):
    head = data.split(b"\r\n\r\n")[0].decode("latin-1")
    unfolded = re.sub(r"\r\n[ \t]+", " ", head)
    return "\n".join(re.findall(r"^Authentication-Results:.*$", unfolded, re.M))


@pytest.mark.parametrize("canon", [(b"relaxed", b"relaxed"), (b"simple", b"simple")])
def test_we_take_what_python3_dkim_signs(tmp_path, sink, canon):
    rsa, p = make_key(tmp_path, "one")
    data = message(body="first  line \r\n\r\nlast\r\n\r\n")
    data = dkim.sign(data, b"one", b"example.net", rsa.read_bytes(), canonicalize=canon) + data
    records = {"one._domainkey.example.net": f"v=DKIM1; k=rsa; p={p}"}
    assert "dkim=pass" in results_of(run_stranger(tmp_path, sink, records, data))


def test_appended_part_is_not_covered(tmp_path, sink):
    rsa, p = make_key(tmp_path, "one")
    data = message(body="first\r\n")
    data = dkim.sign(data, b"one", b"example.net", rsa.read_bytes(), length=True) + data
    records = {"one._domainkey.example.net": f"v=DKIM1; k=rsa; p={p}"}
    got = results_of(run_stranger(tmp_path, sink, records, data + b"appended\r\n"))
    assert "dkim=pass" not in got and "dkim=policy" in got


def test_seal_is_taken_by_python3_dkim(tmp_path, sink):
    rsa, p = make_key(tmp_path, "seal")
    keys = tmp_path / "keys" / "example.org"
    keys.mkdir(parents=True, mode=0o700)
    rsa.rename(keys / "seal.pem")
    (keys / "active").write_text("seal\n")
    records = {"seal._domainkey.example.org": f"v=DKIM1; k=rsa; p={p}"}
    arc = {"dkim": {"keys": str(tmp_path / "keys")}, "arc": {"seal": "always", "domain": "example.org"}}
    data = run_stranger(tmp_path, sink, records, message(), **arc)
    assert data.count(b"ARC-Seal:") == 1
    cv, chain, why = dkim.arc_verify(data, dnsfunc=dns_table(records))
    assert cv == b"pass", (chain, why)


# --- gatehouse dkim ---

def test_keys_from_the_command(tmp_path, sink):
    with gateway(tmp_path, settings=settings_for(sink, "example.net", keys=str(tmp_path / "keys"))) as g:
        out = g.run("dkim", "keygen", "example.net").stdout
        name, text = re.search(r"^(\S+)\. IN TXT \( (.*) \)$", out, re.M).groups()
        record = "".join(re.findall(r'"([^"]*)"', text))
        pem = next((tmp_path / "keys" / "example.net").glob("*.pem"))
        assert pem.stat().st_mode & 0o777 == 0o600
        assert pem.parent.stat().st_mode & 0o777 == 0o700
        assert g.run("dkim", "keygen", "example.net").returncode == 1  # there is one
        g.reload()
        g.send(message())
        assert dkim.verify(sink.wait()[0][2], dnsfunc=dns_table({name: record}))
        # The next key signs when its record is there, or when told to.
        g.settings["dns"] = {"client_names": False, "dnssec": False, "local_data": local_data({name: record})}
        g.reload()
        assert g.run("dkim", "dns", "example.net").returncode == 0
        assert "rotate example.net" in g.run("dkim", "rotate", "example.net").stdout
        assert g.run("dkim", "rotate", "--force", "example.net").returncode == 0
        listed = [json.loads(line) for line in g.run("dkim", "--json", "dns", "example.net").stdout.splitlines()]
        assert [k["state"] for k in listed] == ["active", "retired"]
        assert listed[0]["published"] in ("no", "unknown") and listed[1]["published"] == "yes"
        g.reload()
        g.send(message(subject="second"))
        fresh = {f"{listed[0]['selector']}._domainkey.example.net": listed[0]["record"]}
        assert dkim.verify(sink.wait(2)[1][2], dnsfunc=dns_table(fresh))


HASHCASH_RULES = """
loadplugin Mail::SpamAssassin::Plugin::Hashcash
header   HASHCASH_12      eval:check_hashcash_value('12', '9999')
describe HASHCASH_12      Contains valid Hashcash token (12 bits or more)
score    HASHCASH_12      -0.5
header   HASHCASH_2SPEND  eval:check_hashcash_double_spend()
describe HASHCASH_2SPEND  Hashcash token already spent in another mail
score    HASHCASH_2SPEND  0.1
"""


def test_stamps_are_worth_their_bits_once(tmp_path):
    """SpamAssassin 3's rules about hashcash stamps."""
    day = time.strftime("%y%m%d", time.gmtime())
    stamp = next(s for s in (f"1:12:{day}:bob@example.org::stone:{n:x}" for n in range(1 << 24))
                 if int.from_bytes(hashlib.sha1(s.encode()).digest()[:2], "big") >> 4 == 0)
    sink = Sink()
    try:
        with gateway(tmp_path, next_hop=sink.port, rules=HASHCASH_RULES) as g:
            for i, (field, hit) in enumerate(((stamp, "HASHCASH_12"), (stamp, "HASHCASH_2SPEND"),
                                              (stamp.replace("stone", "store"), None))):
                code, text = g.send(message(subject=f"mail {i}", headers=(f"X-Hashcash: {field}",)))
                assert code == 250
                mid = re.search(r"\b\w{16}\b", text)[0]
                wait_for("the record", lambda: mid in g.run("log", f"id={mid}").stdout)
                for rule in ("HASHCASH_12", "HASHCASH_2SPEND"):
                    assert (mid in g.run("log", f"rule={rule}").stdout) == (rule == hit), (i, rule)
    finally:
        sink.close()
