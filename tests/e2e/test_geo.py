"""RelayCountry, ASN and URILocalBL over databases written here."""
import ipaddress
import json
import random
import re
import subprocess

import pytest
import yaml

import dns_server
import harness
import mmdb
from test_preferences import configure, oracle, scan

RULES = r"""
loadplugin Mail::SpamAssassin::Plugin::RelayCountry
loadplugin Mail::SpamAssassin::Plugin::ASN
loadplugin Mail::SpamAssassin::Plugin::URILocalBL
geodb_search_path %s
trusted_networks 198.51.100.0/24
add_header all Relay-Country _RELAYCOUNTRY_ _RELAYCOUNTRYALL_
add_header all Network _ASN_
header FROM_QA   X-Relay-Countries =~ /^QA$/
header ALL_THREE X-Relay-Countries-All =~ /^ZZ QA$/
header NOWHERE   X-Relay-Countries =~ /XX/
header PRIVATE   X-Relay-Countries =~ /\*\*/
header BY_ASN    eval:check_asn('/^AS64500 Example Net$/')
header META_ASN  X-ASN =~ /^64500$/
uri_block_cc     LINK_QA qa
uri_block_cc     LINK_NOT_QA !qa
uri_block_cont   LINK_AN an
uri_block_isp    LINK_ISP "example  NET" other
uri_block_cidr   LINK_NET 203.0.113.64/26
uri_block_cc     LINK_EXCEPT qa
uri_block_exclude LINK_EXCEPT 203.0.113.9
"""
PLACES = {"203.0.113.0/24": {"country": {"iso_code": "QA"}, "continent": {"code": "AN"}},
          "198.51.100.0/24": {"country": {"iso_code": "ZZ"}, "continent": {"code": "EU"}}}
NETWORKS = {"203.0.113.0/24": {"autonomous_system_number": 64500, "autonomous_system_organization": "Example Net",
                               "isp": "Example Net"}}


def mail(client, link):
    return (f"Received: from b.example.net (b.example.net [{client}]) by a.example.org with ESMTP; Sat, 21 Nov 2026 10:00:00 +0000\n"
            "Received: from x.example.net (x.example.net [198.51.100.7]) by b.example.net with ESMTP; Sat, 21 Nov 2026 09:00:00 +0000\n"
            f"From: a@example.net\nSubject: x\nContent-Type: text/plain\n\nsee http://{link}/ now\n").encode()


def judge(tmp_path, message, form="json"):
    r = subprocess.run([harness.BINARY, "scan", "--local", "--rules", tmp_path / "rules", "--format", form, "-"],
                       input=message, capture_output=True)
    assert r.returncode in (0, 1), r.stderr
    return r.stdout


def hits(tmp_path, client, link):
    return {x["name"] for x in json.loads(judge(tmp_path, mail(client, link)))["rules"]}


def rules(tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.cf").write_text(RULES % tmp_path)
    mmdb.write(tmp_path / "GeoLite2-Country.mmdb", PLACES)
    mmdb.write(tmp_path / "GeoIP2-ISP.mmdb", NETWORKS)


def test_countries_networks_and_links(tmp_path):
    rules(tmp_path)
    found = hits(tmp_path, "203.0.113.9", "203.0.113.9")
    assert {"BY_ASN", "META_ASN", "LINK_QA", "LINK_AN", "LINK_ISP"} <= found
    assert not found & {"LINK_NOT_QA", "LINK_NET", "LINK_EXCEPT", "NOWHERE", "PRIVATE"}
    found = hits(tmp_path, "192.0.2.1", "203.0.113.70")
    assert {"NOWHERE", "LINK_NET", "LINK_EXCEPT"} <= found and not found & {"BY_ASN", "FROM_QA"}
    found = hits(tmp_path, "203.0.113.9", "192.0.2.2")
    assert "LINK_NOT_QA" in found and not found & {"LINK_QA", "LINK_AN"}
    out = judge(tmp_path, mail("203.0.113.9", "192.0.2.2"), "message")
    assert b"X-Spam-Network: AS64500 Example Net" in out


def test_a_damaged_database_costs_only_its_answers(tmp_path):
    rules(tmp_path)
    good = (tmp_path / "GeoLite2-Country.mmdb").read_bytes()
    rng = random.Random(7)
    for _ in range(25):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 40)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        (tmp_path / "GeoLite2-Country.mmdb").write_bytes(bytes(bad[:rng.choice([len(bad), rng.randrange(len(bad))])]))
        hits(tmp_path, "203.0.113.9", "203.0.113.9")


# ---- compared with SpamAssassin's plugins ----

PERL = subprocess.run(["perl", "-MMaxMind::DB::Reader", "-e", "1"], capture_output=True).returncode == 0
MORE = r"""
header  RELAY_UNTRUSTED X-Relay-Countries =~ /^((?:[A-Z*]{2} ?)+)$/
header  RELAY_EXT       X-Relay-Countries-External =~ /QA/
header  RELAY_AUTH      X-Relay-Countries-Auth =~ /ZZ/
header  RELAY_ALL       X-Relay-Countries-All =~ /\*\*.*ZZ/
header  NO_RELAYS_CC    X-Relay-Countries !~ /./
header  ASN_HEADER      X-ASN =~ /64500/
header  ASN_ORG         eval:check_asn('/example net/i')
header  ASN_TAG         eval:check_asn('/AS6450/', 'ASN')
header  ASN_NONE        eval:check_asn('/AS99999/')
header  ASN_UNQUOTED    eval:check_asn('AS64501')
uri_block_cc    CC_SEVERAL  us zz qa
uri_block_cc    CC_TWO_LINES us
uri_block_cc    CC_TWO_LINES zz
uri_block_cc    CC_NOT_TWO  !us !qa
uri_block_cont  CONT_NOT    !eu
uri_block_cont  CONT_TWO    na eu
uri_block_isp   ISP_OTHER   "Other Net"
uri_block_isp   ISP_CASE    "example net" "OTHER net"
uri_block_cidr  CIDR_TWO    198.51.100.0/24 203.0.113.9
uri_block_cidr  CIDR_RANGE  203.0.113.10-203.0.113.80
uri_block_cidr  CIDR_SHORT  203.0.113/24
uri_block_cc    CC_EXCLUDE  zz
uri_block_exclude CC_EXCLUDE 198.51.100.9 www.example.com
"""
NETWORKS_MORE = {**NETWORKS, "198.51.100.0/25": {"autonomous_system_number": 64501, "autonomous_system_organization": "Other Net",
                                                 "isp": "Other Net"}}
PLACES_MORE = {**PLACES, "192.0.2.128/25": {"country": {"iso_code": "US"}, "continent": {"code": "NA"}},
               "2001:db8::/32": {"country": {"iso_code": "QA"}, "continent": {"code": "AN"}},
               "192.0.2.64/26": {"continent": {"code": "EU"}}}
CLIENTS = ["203.0.113.9", "198.51.100.20", "192.0.2.200", "10.0.0.9", "2001:db8::9", "192.0.2.70", "127.0.0.1"]
LINKS = ["203.0.113.9", "203.0.113.70", "198.51.100.9", "198.51.100.200", "192.0.2.200", "192.0.2.70", "10.1.1.1", "203.0.113.9:8080"]


@pytest.mark.skipif(not PERL, reason="needs libmaxmind-db-reader-perl")
@pytest.mark.parametrize("kinds", [("Country", "ISP"), ("ASN",)])
def test_as_the_perl_plugins(tmp_path, kinds):
    site_dir, config = configure(tmp_path, RULES % tmp_path + MORE)
    for kind in kinds:
        name = "GeoIP2-ISP" if kind == "ISP" else f"GeoLite2-{kind}"
        mmdb.write(tmp_path / f"{name}.mmdb", PLACES_MORE if kind in ("Country", "City") else NETWORKS_MORE, kind=name)
    paths = []
    for i, (client, link) in enumerate([(c, LINKS[i % len(LINKS)]) for i, c in enumerate(CLIENTS)] +
                                       [("203.0.113.9", x) for x in LINKS]):
        paths.append(tmp_path / f"{i}.eml")
        paths[-1].write_bytes(mail(client if ":" not in client else "IPv6:" + client, link))
    (tmp_path / "none").write_text("")
    ours = set(re.findall(r"^(?:header|uri_block_\w+)\s+(\w+)", RULES + MORE, re.M))
    found = [json.loads(line) for line in scan(config, tmp_path / "none", paths, "json").splitlines()]
    hit = set()
    for path, w, g in zip(paths, oracle(site_dir, [(tmp_path / "none", p) for p in paths]), found, strict=True):
        want = set(w["rules"]) & ours
        hit |= want
        assert {r["name"] for r in g["rules"]} & ours == want, (kinds, path.read_bytes())
        assert sorted({r["name"] for r in g["rules"]}) == w["rules"]
    assert len(hit) > (3 if kinds == ("ASN",) else 10), hit


NAMES = {"qa.example.com": [("A", "203.0.113.70")], "two.example.net": [("A", "192.0.2.1"), ("A", "203.0.113.80")],
         "six.example.org": [("AAAA", "2001:db8::5")], "both.example.com": [("A", "198.51.100.9"), ("AAAA", "2001:db8::7")],
         "excluded.example.com": [("A", "203.0.113.9")], "other.example.net": [("A", "198.51.100.20")],
         "alias.example.com": [("CNAME", "qa.example.com"), ("A", "203.0.113.70")], "nothing.example.com": [], "www.example.com": [("A", "203.0.113.70")]}


def answer(name, qtype, packet):
    found = NAMES.get(name)
    if found is None:
        return dns_server.reply(packet, rcode=dns_server.NXDOMAIN)
    records, owner = [], name
    for kind, value in found:
        if kind == "CNAME":
            records.append(("CNAME", dns_server.wire(value), owner))
            owner = value
        elif kind == qtype:
            records.append((kind, ipaddress.ip_address(value).packed, owner))
    return dns_server.reply(packet, records if any(r[0] == qtype for r in records) else [])


@pytest.mark.skipif(not PERL, reason="needs libmaxmind-db-reader-perl")
@pytest.mark.parametrize("kinds", [("Country", "ISP"), ("ISP",)])
def test_names_of_links_are_resolved(tmp_path, kinds):
    """Compared with the Perl plugin, which asks the same name server."""
    for kind in kinds:
        name = "GeoIP2-ISP" if kind == "ISP" else f"GeoLite2-{kind}"
        mmdb.write(tmp_path / f"{name}.mmdb", PLACES_MORE if kind == "Country" else NETWORKS_MORE, kind=name)
    own = tmp_path / "own.cf"
    own.write_text(RULES % tmp_path + MORE)
    mails = tmp_path / "mails"
    mails.mkdir()
    for name in [*NAMES, "missing.example.com"]:
        (mails / f"{name}.eml").write_bytes(mail("203.0.113.9", name))
    # An address that decides comes before any question.
    (mails / "address.eml").write_bytes(mail("203.0.113.9", "203.0.113.70/ http://qa.example.com"))
    ours = set(re.findall(r"^uri_block_\w+\s+(\w+)", RULES + MORE, re.M))
    with dns_server.Scripted(answer) as server:
        config = tmp_path / "c.yaml"
        config.write_text(yaml.safe_dump({"dns": {"servers": [server.address], "dnssec": False}, "virus": {"enabled": False},
                                          "rules": {"dirs": ["/usr/share/spamassassin", str(tmp_path / "rules")]}}))
        (tmp_path / "rules").mkdir()
        (tmp_path / "rules" / "own.cf").write_text(own.read_text())
        files = sorted(p.name for p in mails.iterdir())
        r = subprocess.run([harness.BINARY, "scan", "-c", config, "--format", "json", *files], cwd=mails, capture_output=True)
        got = {x["file"]: {h["name"] for h in x["rules"]} & ours for x in map(json.loads, r.stdout.splitlines())}
        asked = dict(server.asked)
        r = subprocess.run(["perl", harness.ROOT / "tests/parity/oracle.pl", "--net", f"127.0.0.1:{server.port}", own],
                           input="\n".join(files) + "\n", cwd=mails, text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, check=True)
    want = {line.split("\t")[0]: set(line.split("\t")[2].split(",")) & ours for line in r.stdout.splitlines()}
    assert got == want
    assert len(set.union(*want.values())) > (6 if len(kinds) == 2 else 2)
    assert ("six.example.org", "AAAA") in asked if len(kinds) == 2 else ("six.example.org", "A") in asked
