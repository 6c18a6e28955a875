"""DANE towards next hops (RFC 7672): a real Postfix with TLS behind exchangers in a signed zone."""
import contextlib
import json

import pytest

import harness
import postfix
import signed
from harness import message


class PlainHop(harness.Sink):
    """A next hop without STARTTLS, at an address of our choice."""

    def __init__(self, address):
        super().__init__()
        self.close()
        self.server = self.server_class(address, self.handler)
        self.port = address[1]
        self.run()


def exchanger(name, port, *records, address="127.0.0.1"):
    """A domain, its exchanger, and the TLSA records of that."""
    lines = [f"{name}. MX 10 mx.{name}.", f"mx.{name}. A {address}"]
    return "\n".join(lines + [f"_{port}._tcp.mx.{name}. {r}" for r in records]) + "\n"


def alias(name, port, target, *records):
    """A domain whose exchanger is an alias; the records are those of the alias."""
    lines = [f"{name}. MX 10 mx.{name}.", f"mx.{name}. CNAME {target}."]
    return "\n".join(lines + [f"_{port}._tcp.mx.{name}. {r}" for r in records]) + "\n"


# Exchangers that are aliases (RFC 7672 section 2.2.2), and hosts that a route names.
ALIASES = {"behind.signed": True, "badbehind.signed": False, "infront.signed": True, "badinfront.signed": False,
           "leaving.signed": True, "badleaving.signed": False}
NAMED = {"named.signed": True, "badnamed.signed": False, "bogusnamed.signed": False, "freenamed.signed": True}

DELIVERED = ["ee.signed", "ta.signed", "full.signed", "rollover.signed", "unusable.signed", "insecure.signed", "none.signed"]
KEPT = ["wrong.signed", "name.signed", "bogus.signed", "plain.signed"]
for found in (ALIASES, NAMED):
    DELIVERED += [d for d, good in found.items() if good]
    KEPT += [d for d, good in found.items() if not good]


@pytest.fixture
def world(tmp_path):
    authority = signed.Authority(tmp_path)
    ours = [f"mx.{d}" for d in DELIVERED + KEPT if d != "name.signed"]
    chain, key = authority.issue(*ours)
    other, _ = authority.issue("mx.elsewhere.signed")
    with contextlib.ExitStack() as stack:
        sink = harness.Sink()
        stack.callback(sink.close)
        hop = stack.enter_context(postfix.Postfix(tmp_path / "hop", next_hop=sink.port, extra=(
            f"smtpd_tls_chain_files = {key}, {chain}\nsmtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\n"
            "relay_domains = signed\nmaillog_file = " + str(tmp_path / "hop" / "log"))))
        port, ca = hop.port, authority.cert
        plain = PlainHop(("127.0.0.2", port))
        stack.callback(plain.close)
        good, wrong = signed.tlsa(3, 1, 1, chain), signed.tlsa(3, 1, 1, other)
        root = "".join([
            exchanger("ee.signed", port, good),
            exchanger("ta.signed", port, signed.tlsa(2, 0, 1, ca)),
            exchanger("full.signed", port, signed.tlsa(3, 0, 0, chain)),
            exchanger("rollover.signed", port, wrong, signed.tlsa(3, 0, 2, chain)),
            exchanger("unusable.signed", port, signed.tlsa(1, 1, 1, other), "TLSA 3 7 1 00"),
            exchanger("none.signed", port),
            exchanger("wrong.signed", port, wrong),
            exchanger("name.signed", port, signed.tlsa(2, 0, 1, ca)),
            exchanger("bogus.signed", port, "TLSA 3 1 1 " + "ab" * 32),
            exchanger("plain.signed", port, good, address="127.0.0.2"),
            # The records of the host behind the alias count, ...
            alias("behind.signed", port, "mx.ee.signed", wrong),
            alias("badbehind.signed", port, "mx.wrong.signed", good),
            # ... where it has some, ...
            alias("infront.signed", port, "mx.none.signed", good),
            alias("badinfront.signed", port, "mx.none.signed", wrong),
            # ... and all of the way there is signed.
            alias("leaving.signed", port, "mx.insecure.signed", good),
            alias("badleaving.signed", port, "mx.insecure.signed", wrong),
            "insecure.signed. NS ns.invalid.\n",
        ])
        dns = stack.enter_context(signed.SignedNsd(
            tmp_path, root, {"insecure.signed": "@ MX 10 mx\nmx A 127.0.0.1\n"
                             f"_{port}._tcp.mx {wrong}\n"},
            tamper=lambda text: text.replace("ab" * 32, "cd" * 32).replace("AB" * 32, "CD" * 32)))
        hosts = dict(zip(NAMED, ("mx.ee.signed", "mx.wrong.signed", "mx.bogus.signed", "mx.none.signed")))
        (tmp_path / "routes").write_text(f". smtp::{port}\n" + "".join(
            f"{domain} smtp:[{host}]:{port}\n" for domain, host in hosts.items()))
        gate = stack.enter_context(harness.gateway(tmp_path / "gate", settings={
            "dns": {"servers": [dns.address], "dnssec": True, "trust_anchor": dns.anchor, "timeout": "5s"},
            "relay": {"domains": DELIVERED + KEPT},
            "routes": {"file": str(tmp_path / "routes"), "fallback": "mx"},
            "queue": {"tls": "may", "retry": ["1h"]}}))
        yield gate, sink, plain, hop


def reasons(gate):
    """Of what waits: address -> reason."""
    rows = [json.loads(line) for line in gate.run("queue", "list", "--json").stdout.splitlines()]
    return {r["address"].split("@")[1]: r["reason"] for m in rows for r in m["recipients"]}


def test_exchangers_prove_who_they_are(world):
    gate, sink, plain, hop = world
    for domain in DELIVERED + KEPT:
        assert gate.send(message(subject=domain), to=[f"bob@{domain}"])[0] == 250
    harness.wait_for("what may be delivered", lambda: len(sink.messages) >= len(DELIVERED), 60)
    kept = harness.wait_for("reasons for the rest", lambda: all(
        reasons(gate).get(d) for d in KEPT) and reasons(gate), 60)
    arrived = sorted(rcpt.split("@")[1] for _, rcpts, _ in sink.messages for rcpt in rcpts)
    assert arrived == sorted(DELIVERED)
    assert sorted(kept) == sorted(KEPT)
    assert "no matching DANE TLSA" in kept["wrong.signed"], kept
    assert "4.7.5" in kept["name.signed"] and "4.7.5" in kept["wrong.signed"]
    assert "does not offer TLS" in kept["plain.signed"], kept
    assert "can't be found now" in kept["bogus.signed"], kept
    for domain in ("badbehind.signed", "badinfront.signed", "badleaving.signed", "badnamed.signed"):
        assert "no matching DANE TLSA" in kept[domain], kept
    assert "can't be found out now" in kept["bogusnamed.signed"], kept
    assert not plain.messages and plain.connections
    # Where there are no records, or none that can be used, mail is encrypted all the same.
    assert hop.log().count("TLS connection established") >= len(DELIVERED)
