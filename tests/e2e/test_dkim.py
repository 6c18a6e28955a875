"""DKIM and ARC against peers: what we sign is verified by Debian's python3-dkim and opendkim, what
they sign by us. Keys come from tables, no name is asked outside."""
import base64
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from harness import Sink, gateway, message

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


@pytest.fixture
def sink():
    s = Sink()
    yield s
    s.close()


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
