"""Rules that ask the DNS, in the gateway: a name server on loopback with zones of the test, one that is slow, one that
is dead. And the same hits as SpamAssassin's on a few messages (all: tests/parity/net)."""
import concurrent.futures
import json
import subprocess
import time

import dns_server
import harness
import pytest

RULES = r"""
loadplugin Mail::SpamAssassin::Plugin::DNSEval
loadplugin Mail::SpamAssassin::Plugin::URIDNSBL
loadplugin Mail::SpamAssassin::Plugin::AskDNS
loadplugin Mail::SpamAssassin::Plugin::HashBL
util_rb_tld  test example org net
header   T_RBL       eval:check_rbl('t', 'rbl.example.')
header   T_RBL_SUB   eval:check_rbl_sub('t', '127.0.0.4')
header   T_ENVFROM   eval:check_rbl_envfrom('e', 'from.example.')
urirhssub T_URI      uri.example. A 2
body     T_URI       eval:check_uridnsbl('T_URI')
tflags   T_URI       net
urinsrhsbl T_URI_NS  ns.example. A
body     T_URI_NS    eval:check_uridnsbl('T_URI_NS')
tflags   T_URI_NS    net
askdns   T_ASK       _AUTHORDOMAIN_.ask.example TXT /^listed/
header   T_HASH      eval:check_hashbl_emails('hash.example', 'raw/user', 'From')
tflags   T_HASH      net
meta     T_META      T_URI && T_RBL
header   T_LOCAL     Subject =~ /local/
score    T_RBL       0 3 0 3
"""
ZONES = {
    "rbl.example": "9.113.0.203 A 127.0.0.4",
    "from.example": "spammer.test A 127.0.0.2",
    "uri.example": "badname.net A 127.0.0.2\nodd.test A 127.0.0.1",
    "ns.example": "hoster.net A 127.0.0.2",
    "ask.example": "spammer.test TXT \"list\" \"ed since yesterday\"",
    "hash.example": "carol A 127.0.0.2",
    "badname.net": "@ NS ns1.hoster.net.\n@ SOA a. b. 1 3600 600 86400 60",
}
RECEIVED = "Received: from x.test (x.test [203.0.113.9]) by gate.test with ESMTP id 1; Sun, 22 Nov 2026 07:30:00 +0000"


def gateway(tmp_path, sink, server, **settings):
    return harness.gateway(tmp_path, next_hop=sink.port, rules=RULES, settings=harness.merge({
        "dns": {"servers": [server.address]},
        "rules": {"internal_networks": ["127.0.0.1"], "trusted_networks": ["127.0.0.1"]}}, settings))


def hits(data):
    """Names of the rules in X-Spam-Status."""
    status = data.split(b"X-Spam-Status:", 1)[1].split(b"\r\nX-", 1)[0].decode()
    tests = status.split("tests=", 1)[1].split("autolearn", 1)[0]
    return {t.strip() for t in tests.split(",")} - {"none"}


def story(g):
    """What the record says of the last message."""
    last = harness.wait_for("the record", lambda: g.run("log", "--json").stdout.splitlines())[-1]
    return g.run("log", "--json", json.loads(last)["id"]).stdout


def text(url, sender="x@y.test"):
    return harness.message(body=f"look: http://{url}/\r\n", sender=sender, headers=(RECEIVED,))


def test_rules_hit_what_the_zones_list(tmp_path, sink):
    with dns_server.Nsd(tmp_path, ZONES) as server, gateway(tmp_path / "g", sink, server) as g:
        assert g.send(text("www.badname.net", "carol@spammer.test"), sender="carol@spammer.test")[0] == 250
        assert g.send(text("www.good.test"), sender="x@y.test")[0] == 250
        harness.wait_for("both messages", lambda: len(sink.messages) == 2)
        listed, clean = sorted(sink.messages, key=lambda m: b"www.good" in m[2])
        assert hits(listed[2]) >= {"T_RBL", "T_RBL_SUB", "T_ENVFROM", "T_URI", "T_URI_NS", "T_ASK", "T_HASH",
                                   "T_META"}
        assert hits(clean[2]) == {"T_RBL", "T_RBL_SUB"}  # from the same client


def test_network_rules_can_be_switched_off(tmp_path, sink):
    with dns_server.Scripted(lambda *a: None) as server, \
            gateway(tmp_path, sink, server, rules={"network": False}) as g:
        assert g.send(text("www.badname.net"))[0] == 250
        harness.wait_for("the message", lambda: sink.messages)
        assert not server.asked


def test_a_dead_server_costs_its_time_and_is_told(tmp_path, sink):
    with dns_server.Scripted(lambda *a: None) as server, \
            gateway(tmp_path, sink, server, dns={"message_time": "1s"}) as g:
        start = time.monotonic()
        code, reply = g.send(text("www.badname.net"))
        assert code == 250 and time.monotonic() - start < 20
        harness.wait_for("the message", lambda: sink.messages)
        assert "T_URI" not in hits(sink.messages[0][2])
        assert "questions without an answer" in story(g)


def test_the_budget_of_questions_is_kept(tmp_path, sink):
    def never(name, qtype, packet):
        return dns_server.reply(packet, rcode=dns_server.NXDOMAIN)
    body = "".join(f"http://d{i}.test/\r\n" for i in range(20))
    with dns_server.Scripted(never) as server, \
            gateway(tmp_path, sink, server, dns={"message_questions": 10, "dnssec": False}) as g:
        assert g.send(harness.message(body=body, headers=(RECEIVED,)))[0] == 250
        assert len([k for k in server.asked if k[0].endswith(("test", "example"))]) <= 10
        assert "were not asked" in story(g)


def test_a_slow_server_costs_latency_and_not_throughput(tmp_path, sink):
    """200 messages whose questions are all different and take half a second each."""
    with dns_server.Nsd(tmp_path, ZONES) as nsd, dns_server.Slow(nsd.port, 0.5) as server, \
            gateway(tmp_path / "g", sink, server, processes={"window": 200},
                    limits={"sessions_per_address": 300}) as g, \
            concurrent.futures.ThreadPoolExecutor(200) as pool:
        assert g.send(text("warm.test"))[0] == 250
        start = time.monotonic()
        codes = list(pool.map(lambda i: g.send(text(f"www.u{i}.test"))[0], range(200)))
        took = time.monotonic() - start
    assert codes == [250] * 200
    assert took < 50, f"{took:.1f} s: one behind the other they would take more than 100"


@pytest.mark.parametrize("names", [("advance-fee", "plain", "html-only", "alternative", "bitcoin")])
def test_hits_are_spamassassins(tmp_path, names):
    import sys
    sys.path.insert(0, str(harness.ROOT / "tests/parity"))
    import messages
    chosen = dict(messages.messages())
    for name in names:
        (tmp_path / f"{name}.eml").write_bytes(chosen[name])
    for i in range(24):  # signing practices (ADSP): each way to write a record, of domains that exist and that do not
        (tmp_path / f"{i}.eml").write_bytes(
            b"Received: from x.test (x.test [192.0.2.9]) by mx.test with ESMTP; Sun, 22 Nov 2026 07:30:00 +0000\r\n"
            + harness.message(subject=f"hello {i}", sender=f"alice@d{i}.adsp{i % 7}.example"))
    r = subprocess.run([harness.ROOT / "tests/parity/net", "--binary", harness.BINARY, "--minimum", "0.995", tmp_path],
                       capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr


ASN = """
loadplugin Mail::SpamAssassin::Plugin::ASN
loadplugin Mail::SpamAssassin::Plugin::AskDNS
asn_lookup gone.example
clear_asn_lookups
asn_lookup views.example
asn_lookup cymru.example _CYASN_ _CYROUTE_
asn_lookup_ipv6 six.example
header T_AS_FIRST   eval:check_asn('/^AS64500$/')
header T_AS_SECOND  eval:check_asn('/^AS64501 AS64502$/', 'CYASN')
header T_AS_BOTH    eval:check_asn('/64510.*64511/')
header T_AS_ANY     eval:check_asn('/./')
header T_AS_CYANY   eval:check_asn('/./', 'CYASN')
header T_ROUTE      eval:check_asn('/203.0.113.0.24/', 'ASNCIDR')
header T_CYROUTE    eval:check_asn('/^198.51.100.0.24$/', 'CYROUTE')
header T_XASN       X-ASN =~ /^6450/
askdns T_ASKED      _ASN_.asked.example A 127.0.0.2
"""
ASN_ZONES = {
    "views.example": '9.113.0.203 TXT "64500" "203.0.113.0" "24"\n10.113.0.203 TXT "64510 64511" "203.0.113.0/24"\n'
                     '11.113.0.203 TXT "4294967295" "0.0.0.0" "0"\n12.113.0.203 TXT "no system"\n'
                     '13.113.0.203 TXT "203.0.113.0/24 | AS64500 | US"\n13.113.0.203 TXT "64501"',
    "cymru.example": '9.113.0.203 TXT "64501 64502 | 198.51.100.0/24 | DE | ripencc"\n14.113.0.203 TXT "0 | 0.0.0.0/0"',
    "six.example": "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 TXT \"64500 | 2001:db8::/32\"",
    "gone.example": '9.113.0.203 TXT "1"',
    "asked.example": "AS64500 A 127.0.0.2",
}


def test_systems_of_clients_are_spamassassins(tmp_path):
    paths = []
    for i, ip in enumerate([f"203.0.113.{n}" for n in range(9, 16)] + ["2001:db8::9", "10.0.0.1"]):
        paths.append(tmp_path / f"{i}.eml")
        paths[-1].write_bytes(f"Received: from x.test (x.test [{ip}]) by mx.test with ESMTP; Sun, 22 Nov 2026 07:30:00 "
                              "+0000\r\n".encode() + harness.message(subject=f"hello {i}"))
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "own.cf").write_text(ASN)
    with dns_server.Nsd(tmp_path / "nsd", ASN_ZONES) as server:
        config = tmp_path / "gatehouse.yaml"
        config.write_text(json.dumps({"dns": {"servers": [server.address], "dnssec": False},
                                      "rules": {"dirs": [str(rules)], "site_dir": str(rules)},
                                      "virus": {"enabled": False}, "authentication": {"enabled": False},
                                      "paths": {"cache": str(tmp_path / "cache")}}))
        ours = subprocess.run([harness.BINARY, "scan", "-c", config, "--format", "tsv", *paths], capture_output=True,
                              text=True, timeout=120)
        assert ours.returncode in (0, 1), ours.stderr
        theirs = subprocess.run(["perl", harness.ROOT / "tests/parity/oracle.pl", "--net", server.address.replace("@", ":"),
                                 rules / "own.cf"], input="".join(f"{p}\n" for p in paths), capture_output=True, text=True,
                                timeout=120)
    found, wanted = ([set(t for t in line.split("\t")[2].split(",") if t.startswith("T_")) for line in r.stdout.splitlines()]
                     for r in (ours, theirs))
    assert found == wanted, theirs.stderr
    assert {"T_AS_FIRST", "T_AS_SECOND", "T_ROUTE", "T_CYROUTE", "T_XASN", "T_ASKED"} <= found[0]
    assert "T_AS_BOTH" in found[1] and not found[2] and "T_AS_FIRST" in found[7]
