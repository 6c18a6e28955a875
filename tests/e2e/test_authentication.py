"""Who sent it: SPF, DKIM, ARC and DMARC from the wire to the verdict, on a name server of the test's own. The
attacks are those of the study "Composition Kills" (USENIX Security 2020) in our own words: a reader must never be
shown a domain with p=reject that nothing has vouched for."""
import contextlib
import json
import re
import subprocess

import pytest

import dns_server
from harness import BINARY, free_port, gateway, wait_for

GOOD, BAD = "192.0.2.10", "203.0.113.66"  # of the bank, of the attacker

ZONE = f"""
bank.example. TXT "v=spf1 ip4:{GOOD} -all exp=why.bank.example"
why.bank.example. TXT "mail of %{{o}} does not come from %{{i}}"
_dmarc.bank.example. TXT "v=DMARC1; p=reject; sp=quarantine; rua=mailto:d@bank.example"
news.bank.example. TXT "v=spf1 ip4:{GOOD} -all"
attacker.example. TXT "v=spf1 ip4:{BAD} -all"
_dmarc.attacker.example. TXT "v=DMARC1; p=none"
a.attacker.example. TXT "v=spf1 ip4:{BAD} -all"
mild.example. TXT "v=spf1 -all"
_dmarc.mild.example. TXT "v=DMARC1; p=quarantine"
plain.example. A 192.0.2.99
"""

MESSAGE = """From: {author}
To: bob@example.org
Subject: account
Date: Sun, 22 Nov 2026 10:00:00 +0000
Message-ID: <1@client.test>

Please look.
"""


@pytest.fixture(scope="module")
def dns(tmp_path_factory):
    with dns_server.Nsd(tmp_path_factory.mktemp("dns"), {".": ZONE}) as server:
        yield server


@contextlib.contextmanager
def gate_with(directory, dns, **more):
    settings = {
        "dns": {"servers": [dns.address], "dnssec": False, "timeout": "5s"},
        "authentication": {"enabled": True, "received_spf": True},
    }
    for key, value in more.items():
        settings[key] = {**settings.get(key, {}), **value}
    port = free_port()
    settings["listeners"] = [{"name": "mx", "address": f"127.0.0.1:{port}", "xclient_from": ["127.0.0.1"]}]
    with gateway(directory, settings=settings) as g:
        g.port = port
        yield g


@pytest.fixture(scope="module")
def gate(dns, tmp_path_factory):
    with gate_with(tmp_path_factory.mktemp("gate"), dns) as g:
        yield g


def send(gate, data, sender, ip, helo="client.test"):
    """(code, text) of what refused it or took it."""
    with gate.smtp() as s:
        s.ehlo()
        assert s.docmd("XCLIENT", f"ADDR={ip} NAME=[UNAVAILABLE] HELO={helo}")[0] == 220
        s.ehlo(helo)
        for command in (f"MAIL FROM:<{sender}>", "RCPT TO:<bob@example.org>"):
            code, text = s.docmd(command)
            if code >= 400:
                return code, text.decode()
        if isinstance(data, str):
            data = data.encode()
        code, text = s.data(re.sub(rb"\r?\n", b"\r\n", data))
        return code, text.decode()


def delivered(gate, text):
    """The message of a reply "250 2.0.0 accepted as ID", from the Maildir."""
    number = text.split()[-1]

    def find():
        for path in (gate.dir / "mail").rglob("*"):
            if path.is_file() and number in (body := path.read_text(errors="surrogateescape")):
                return body
        return None
    return wait_for("the message in the Maildir", find)


def field(message, name):
    header = message.split("\n\n")[0].replace("\r", "")
    found = re.search(rf"(?mi)^{name}:((?:.*)(?:\n[ \t].*)*)", header)
    return " ".join(found.group(1).split()) if found else None


def test_honest_mail(gate):
    code, text = send(gate, MESSAGE.format(author="ceo@bank.example"), "ceo@bank.example", GOOD)
    assert code == 250
    message = delivered(gate, text)
    results = field(message, "Authentication-Results")
    assert results.startswith("gate.test; spf=pass smtp.mailfrom=ceo@bank.example; dkim=none")
    assert "dmarc=pass (p=reject dis=none) header.from=bank.example" in results
    assert field(message, "Received-SPF").startswith("pass (gate.test: permitted sender) client-ip=192.0.2.10")


def test_forged_mail_is_refused_with_the_reason(gate):
    code, text = send(gate, MESSAGE.format(author="ceo@bank.example"), "x@attacker.example", BAD)
    assert code == 550
    assert text.startswith("5.7.26 Refused by DMARC: bank.example asks to reject mail")


def test_quarantine_is_tagged(gate):
    code, text = send(gate, MESSAGE.format(author="x@mild.example"), "x@attacker.example", BAD)
    assert code == 250
    assert "dmarc=fail (p=quarantine dis=quarantine) header.from=mild.example" in field(
        delivered(gate, text), "Authentication-Results")
    lines = wait_for("the record", lambda: gate.run("log", "--json", f"id={text.split()[-1]}").stdout.splitlines())
    receipt = json.loads(lines[-1])
    assert "tag" in json.dumps(receipt)


def test_foreign_results_under_our_name_go(gate):
    forged = "Authentication-Results: gate.test; dmarc=pass header.from=bank.example\n" \
             "Authentication-Results: (x) \"GATE.test\" 1; spf=pass\n" \
             "Authentication-Results: elsewhere.example; spf=pass\n"
    code, text = send(gate, forged + MESSAGE.format(author="x@plain.example"), "x@plain.example", BAD)
    assert code == 250
    message = delivered(gate, text)
    assert message.lower().count("authentication-results:") == 2
    assert "elsewhere.example; spf=pass" in message
    assert "dmarc=none header.from=plain.example" in field(message, "Authentication-Results")


def test_null_sender_is_checked_by_helo(gate):
    code, text = send(gate, MESSAGE.format(author="m@news.bank.example"), "", GOOD, helo="news.bank.example")
    assert code == 250
    assert "spf=pass smtp.helo=news.bank.example" in field(delivered(gate, text), "Authentication-Results")


def test_our_own_networks_are_not_checked(dns, tmp_path):
    with gate_with(tmp_path, dns, relay={"networks": [BAD + "/32"], "domains": ["example.org"]}) as g:
        code, text = send(g, MESSAGE.format(author="ceo@bank.example"), "ceo@bank.example", BAD)
        assert code == 250
        assert field(delivered(g, text), "Authentication-Results") is None


def test_spf_fail_as_policy(dns, tmp_path):
    with gate_with(tmp_path, dns, spf={"on_fail": "reject"}, dmarc={"enabled": False}) as g:
        code, text = send(g, MESSAGE.format(author="x@plain.example"), "ceo@bank.example", BAD)
        assert (code, text.split(" (")[0]) == (
            550, f"5.7.23 Refused by SPF: bank.example explains: mail of bank.example does not come from {BAD}")


def test_scan_tells_facts(dns, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps({"rules": {"enabled": False}, "virus": {"enabled": False},
                                  "dns": {"servers": [dns.address], "dnssec": False}}))
    (tmp_path / "m").write_text(MESSAGE.format(author="ceo@bank.example"))

    def facts(*args):
        out = subprocess.run([str(BINARY), "scan", "-c", str(config), "--json", *args, str(tmp_path / "m")],
                             capture_output=True, text=True, timeout=60)
        assert out.returncode in (0, 1), out.stderr
        return json.loads(out.stdout)["facts"]

    good = facts("--client-ip", GOOD, "--helo", "news.bank.example", "--from", "a@bank.example")
    assert (good["spf"], good["spf.helo"], good["dmarc"], good["dmarc.aligned"]) == ("pass", "pass", "pass", "spf")
    assert good["spf.mechanism"] == f"ip4:{GOOD}"
    bad = facts("--client-ip", BAD, "--helo", "x.example", "--from", "a@bank.example")
    assert (bad["spf"], bad["dmarc"], bad["dmarc.policy"]) == ("fail", "fail", "reject")
    assert bad["spf.explanation"] == f"mail of bank.example does not come from {BAD}"
    assert "spf" not in facts("--local", "--client-ip", BAD)
    assert "spf" not in facts()


# ---- composition attacks ----

def attack(author=None, sender="x@attacker.example", helo="a.attacker.example", raw=None):
    return raw or MESSAGE.format(author=author), sender, helo


ATTACKS = {
    # what SPF checks is not what DMARC aligns
    "missing subdomain in MAIL FROM": attack("ceo@bank.example", sender="x@nowhere.bank.example"),
    "null reverse-path, HELO of the attacker": attack("ceo@bank.example", sender=""),
    "HELO of the victim": attack("ceo@bank.example", helo="bank.example"),
    "bracket in the domain of MAIL FROM": attack("ceo@bank.example", sender="x@bank.example(.attacker.example"),
    "quote in the domain of MAIL FROM": attack("ceo@bank.example", sender="x@bank.example'.a.attacker.example"),
    "quoted local part": attack("ceo@bank.example", sender="\"x@bank.example,\"@attacker.example"),
    "source route": attack("ceo@bank.example", sender="@bank.example,@b.example:x@attacker.example"),
    # which From field
    "two From fields, the victim first": attack(raw="From: ceo@bank.example\n" + MESSAGE.format(author="x@attacker.example")),
    "two From fields, the victim last": attack(raw="From: x@attacker.example\n" + MESSAGE.format(author="ceo@bank.example")),
    "From with space before the colon": attack(
        raw="From : ceo@bank.example\n" + MESSAGE.format(author="x@attacker.example")),
    "From that begins with white space": attack(
        raw=" From: ceo@bank.example\n" + MESSAGE.format(author="x@attacker.example")),
    "From folded before the colon": attack(
        raw="From\n : ceo@bank.example\n" + MESSAGE.format(author="x@attacker.example")),
    "no From, the victim as Sender": attack(
        raw=MESSAGE.format(author="x").replace("From: x", "Sender: ceo@bank.example")),
    # which address in it
    "two addresses": attack("x@attacker.example, ceo@bank.example"),
    "two addresses, empty ones between": attack("x@attacker.example,,, ceo@bank.example"),
    "route before the address": attack("<@attacker.example,@x.example:ceo@bank.example>"),
    "two addresses in angles": attack("<ceo@bank.example><x@attacker.example>"),
    "an address in front of the angles": attack("ceo@bank.example <x@attacker.example>"),
    "a comment in the address": attack("<ceo@bank.example(@attacker.example)>"),
    "a quoted address as local part": attack("\"ceo@bank.example,\"@attacker.example"),
    "an encoded local part": attack("=?utf-8?Q?ceo=40bank.example=2C?=@attacker.example"),
    "an encoded list": attack("=?utf-8?B?PGNlb0BiYW5rLmV4YW1wbGU+LA==?= <x@attacker.example>"),
    "a NUL cuts the address": attack("ceo@bank.example\0@attacker.example"),
    "a special character cuts the address": attack("ceo@bank.example'@attacker.example"),
    "the whole address encoded": attack("=?utf-8?B?Y2VvQGJhbmsuZXhhbXBsZQ==?="),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_composition_attack(gate, name):
    data, sender, helo = ATTACKS[name]
    code, text = send(gate, data, sender, BAD, helo)
    if code < 400:
        message = delivered(gate, text)
        raise AssertionError(f"{code} {text}\n{message}")
    assert code in (501, 550, 553, 554)


@pytest.mark.parametrize("signature", [
    "d=bank.example; s=attacker.example.\0.any",
    "d=bank.example; s=a(.attacker.example",
    "d=bank.example(.attacker.example; s=k",
    "d=bank.example'a.attacker.example; s=k",
    "d=attacker.example; s=k; i=ceo@bank.example",
])
def test_signature_of_another_domain(gate, signature):
    """Names bent so that the key is the attacker's and the result the victim's."""
    data = f"DKIM-Signature: v=1; a=rsa-sha256; {signature}; h=From; bh=AAAA; b=AAAA\n" + \
        MESSAGE.format(author="ceo@bank.example")
    code, text = send(gate, data, "x@attacker.example", BAD)
    assert code == 550 and "DMARC" in text
