"""Reports from the wire to the wire: DMARC aggregate reports and TLS reports are made of mail that really came and
went, sent to a next hop, checked against schemas of our own, read again, and shown with the same numbers. Days pass
in the database: what was seen today is moved to yesterday."""
import collections
import contextlib
import email
import email.policy
import gzip
import json
import pathlib
import smtplib
import sqlite3
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest

import dns_server
import postfix
import signed
from harness import Sink, free_port, gateway, message, wait_for
from test_dkim import make_key

sys.path.append("/usr/lib/python3/dist-packages")
dkim = pytest.importorskip("dkim")

SCHEMAS = pathlib.Path(__file__).parent / "schemas"
GOOD, BAD, SIX = "192.0.2.10", "203.0.113.66", "2001:db8::25"
DAY = 86400

ZONE = f"""
bank.example. TXT "v=spf1 ip4:{GOOD} ip6:{SIX} -all"
_dmarc.bank.example. TXT "v=DMARC1; p=reject; sp=quarantine; fo=1; rua=mailto:in@reports.example!10m,mailto:own@mail.bank.example,mailto:x@victim.example,mailto:tiny@bank.example!1,https://bank.example/r"
bank.example._report._dmarc.reports.example. TXT "v=DMARC1; rua=mailto:dmarc@reports.example"
mild.example. TXT "v=spf1 -all"
_dmarc.mild.example. TXT "v=DMARC1; p=quarantine"
sneaky.example. TXT "v=spf1 -all"
_dmarc.sneaky.example. TXT "v=DMARC1; p=none; rua=mailto:a@elsewhere.example"
sneaky.example._report._dmarc.elsewhere.example. TXT "v=DMARC1; rua=mailto:b@victim.example"
attacker.example. TXT "v=spf1 ip4:{BAD} -all"
"""


def put(gate, data, sender, client, to=("bob@example.org",)):
    with smtplib.SMTP("127.0.0.1", gate.port, local_hostname="h.example", timeout=60) as s:
        s.ehlo()
        s.docmd("XCLIENT", f"ADDR={'IPV6:' if ':' in client else ''}{client} NAME=h.example")
        s.ehlo()
        s.mail(sender)
        for t in to:
            assert s.rcpt(t)[0] == 250
        return s.data(data)


def mail(author, subject="account", headers=()):
    return message(subject=subject, sender=author, headers=headers)


def rows(gate, query, *args):
    with contextlib.closing(sqlite3.connect(gate.dir / "state" / "reports.db", timeout=60)) as db:
        out = db.execute(query, args).fetchall()
        db.commit()
        return out


def counted(gate, table="agg_row"):
    with contextlib.suppress(sqlite3.OperationalError):
        return rows(gate, f"SELECT coalesce(sum(count), 0) FROM {table}")[0][0]
    return 0


def a_day_passes(gate, table):
    rows(gate, f"UPDATE {table} SET begin = begin - {DAY}, end = end - {DAY} WHERE ours = 1")


def attachment(data):
    """(the mail, name of the file, its text)"""
    m = email.message_from_bytes(data, policy=email.policy.default)
    part, = m.iter_attachments()
    return m, part.get_filename(), gzip.decompress(part.get_content())


def valid(path, schema):
    r = subprocess.run(["xmllint", "--noout", "--nonet", "--schema", SCHEMAS / schema, path],
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr


def lines(gate, *args):
    return [json.loads(line) for line in gate.run(*args).stdout.splitlines()]


@contextlib.contextmanager
def stand(tmp_path, method):
    key, p = make_key(tmp_path, "k1")
    theirs, theirs_p = make_key(tmp_path, "theirs")
    zone = ZONE + f'k1._domainkey.gate.example. TXT "v=DKIM1; k=rsa; p={p[:200]}" "{p[200:]}"\n' \
                  f's1._domainkey.bank.example. TXT "v=DKIM1; k=rsa; p={theirs_p[:200]}" "{theirs_p[200:]}"\n'
    with contextlib.ExitStack() as stack:
        sink = Sink()
        stack.callback(sink.close)
        dns = stack.enter_context(dns_server.Nsd(tmp_path, {".": zone}))
        port = free_port()
        gate = stack.enter_context(gateway(tmp_path / "gate", settings={
            "listeners": [{"name": "mx", "address": f"127.0.0.1:{port}", "xclient_from": ["127.0.0.1"]}],
            "dns": {"servers": [dns.address], "dnssec": False, "timeout": "5s"},
            "authentication": {"enabled": True},
            "dmarc": {"method": method},
            "relay": {"domains": ["example.org", "gate.example"]},
            "routes": {"fallback": f"smtp:[127.0.0.1]:{sink.port}"},
            "dkim": {"sign": [f"gate.example k1 {key}"]},
            "reports": {"from": "noreply@gate.example", "organisation": "Gate & Söhne <gate>",
                        "rate": 6000, "inbox": ["Dmarc@example.org"]}}))
        gate.port = port
        yield gate, sink, theirs, f"v=DKIM1; k=rsa; p={p}"


def send_all(gate, key):
    """What came in, as a Counter of (address, disposition, dkim, spf)."""
    seen = collections.Counter()

    def one(n, expect, *args):
        for _ in range(n):
            code, text = put(gate, *args)
            assert code == (550 if expect[1] == "reject" else 250), text
        seen[expect] += n
    good = mail("ceo@bank.example")
    one(3, (GOOD, "none", "fail", "pass"), good, "ceo@bank.example", GOOD)
    one(1, (SIX, "none", "fail", "pass"), good, "ceo@bank.example", SIX)
    one(4, (BAD, "reject", "fail", "fail"), mail("ceo@bank.example"), "x@attacker.example", BAD)
    # Below the domain without a record of its own: sp=.
    one(2, (BAD, "quarantine", "fail", "fail"), mail("x@sub.bank.example"), "x@attacker.example", BAD)
    signature = dkim.sign(good, b"s1", b"bank.example", pathlib.Path(key).read_bytes())
    one(2, (BAD, "none", "pass", "fail"), signature + good, "bounce@attacker.example", BAD)
    one(1, (BAD, "none", "pass", "fail"), signature + good, "", BAD)
    return seen


@pytest.mark.parametrize("method, schema", [("tree", "dmarc-2.0.xsd"), ("suffix", "dmarc-1.0.xsd")])
def test_dmarc_reports(tmp_path, method, schema):
    with stand(tmp_path, method) as (gate, sink, key, record):
        seen = send_all(gate, key)
        assert put(gate, mail("x@mild.example"), "x@attacker.example", BAD)[0] == 250
        assert put(gate, mail("x@sneaky.example"), "x@attacker.example", BAD)[0] == 250
        # No record at all, our own reports' bounces, and mail for the inbox leave nothing.
        put(gate, mail("x@plain.example"), "x@plain.example", GOOD)
        put(gate, mail("ceo@bank.example"), "ceo@bank.example", GOOD, ["dmarc@example.org"])
        put(gate, mail("postmaster@bank.example"), "", GOOD, ["noreply@gate.example"])
        total = sum(seen.values()) + 2
        wait_for("the rows", lambda: counted(gate) >= total, 60)
        time.sleep(0.1)
        assert counted(gate) == total

        # Of today nothing is sent yet.
        refused = gate.run("dmarc", "report", "--day", "today", check=False)
        assert refused.returncode == 75 and "not over" in refused.stderr
        delivered = len(sink.messages)
        a_day_passes(gate, "agg_report")

        plan = lines(gate, "dmarc", "report", "--dry-run", "--json")
        said = {(x.get("domain"), x.get("to")): x["outcome"] for x in plan if "outcome" in x}
        assert said[("bank.example", "dmarc@reports.example")] == "would be sent"
        assert said[("bank.example", "own@mail.bank.example")] == "would be sent"
        assert "does not say that it takes reports" in said[("bank.example", "x@victim.example")]
        assert "larger" in said[("bank.example", "tiny@bank.example")]
        assert "asks for no reports" in said[("mild.example", None)]
        assert "another domain" in said[("sneaky.example", "a@elsewhere.example")]
        assert len(sink.messages) == delivered

        assert "1 reports sent, 2 not wanted" in gate.run("dmarc", "report").stdout
        sink.wait(delivered + 2, 60)
        reports = {rcpts[0]: (sender, data) for sender, rcpts, data in sink.messages[delivered:]}
        assert sorted(reports) == ["dmarc@reports.example", "own@mail.bank.example"]
        sender, data = reports["dmarc@reports.example"]
        assert sender == "noreply@gate.example"
        assert dkim.verify(data, dnsfunc=lambda name, timeout=5: record.encode()
                           if name == b"k1._domainkey.gate.example." else None)

        m, name, xml = attachment(data)
        begin = int(time.time()) // DAY * DAY - DAY
        unique = name.split("!")[4].split(".")[0]
        assert name == f"gate.example!bank.example!{begin}!{begin + DAY - 1}!{unique}.xml.gz"
        date = time.strftime("%Y%m%d", time.gmtime(begin))
        assert m["Subject"] == \
            f"Report Domain: bank.example Submitter: gate.example Report-ID: <{date}.{unique}@gate.example>"
        assert m["Auto-Submitted"] == "auto-generated"
        (tmp_path / "report.xml").write_bytes(xml)
        valid(tmp_path / "report.xml", schema)
        assert b"ceo@" not in xml and b"bob" not in xml and b"x@" not in xml

        tree = ET.fromstring(xml)
        for x in tree.iter():
            x.tag = x.tag.split("}")[-1]
        assert tree.findtext("report_metadata/org_name") == "Gate & Söhne <gate>"
        assert tree.findtext("policy_published/fo") == "1"
        told = collections.Counter()
        for r in tree.iter("record"):
            e = r.find("row/policy_evaluated")
            told[(r.findtext("row/source_ip"), *[e.findtext(k) for k in ("disposition", "dkim", "spf")])] += \
                int(r.findtext("row/count"))
            assert r.findtext("identifiers/envelope_to") == "example.org"
        assert told == seen
        nulls = [r for r in tree.iter("record") if r.findtext("identifiers/envelope_from") == ""]
        assert len(nulls) == 1 and nulls[0].findtext("auth_results/dkim/selector") == "s1"

        # Marked: not again, also after a restart.
        assert gate.run("dmarc", "report", check=False).returncode == 1
        assert len(sink.messages) == delivered + 2
        again = tmp_path / "again.xml"
        gate.run("dmarc", "report", "--domain", "bank.example", "--to", str(again))
        assert again.read_bytes() == xml

        # Back in, as if it were somebody else's about us; the second time it is a duplicate.
        for want in ("report-stored", "report-duplicate"):
            assert put(gate, data, "noreply@gate.example", GOOD, ["DMARC@example.org"])[0] == 250
            wait_for(want, lambda w=want: f"{w} about=bank.example" in gate.log_text(), 60)
        assert counted(gate) == 2 * sum(seen.values()) + 2
        shown = {x["source_ip"]: x for x in lines(gate, "dmarc", "show", "--domain", "bank.example", "--json")}
        for ip in (GOOD, BAD, SIX):
            mine = {k: n for k, n in seen.items() if k[0] == ip}
            assert shown[ip]["messages"] == sum(mine.values())
            assert shown[ip]["dkim"] == sum(n for k, n in mine.items() if k[2] == "pass")
            assert shown[ip]["spf"] == sum(n for k, n in mine.items() if k[3] == "pass")
            assert shown[ip]["reject"] == sum(n for k, n in mine.items() if k[1] == "reject")
            assert shown[ip]["quarantine"] == sum(n for k, n in mine.items() if k[1] == "quarantine")
        ours = lines(gate, "dmarc", "show", "--ours", "--domain", "bank.example", "--json")
        assert {x["source_ip"]: x["messages"] for x in ours} == {ip: x["messages"] for ip, x in shown.items()}
        text = gate.run("dmarc", "show", "--domain", "bank.example").stdout
        assert f"{GOOD} bank.example" in text and "####" in text
        one, = lines(gate, "dmarc", "list", "--json")
        assert one["authenticated"] is False and one["organisation"] == "Gate & Söhne <gate>"

        # From files: the same one again, a broken one, a bomb.
        bomb, broken, lol = tmp_path / "bomb.gz", tmp_path / "broken.xml", tmp_path / "lol.xml"
        bomb.write_bytes(gzip.compress(b"<feedback>" + b" " * (64 << 20)))
        broken.write_bytes(xml[:-20])
        lol.write_text('<?xml version="1.0"?><!DOCTYPE feedback [<!ENTITY a "aaaa">]><feedback>&a;</feedback>')
        out = gate.run("dmarc", "import", str(again), str(bomb), str(broken), str(lol))
        # What stood there was not authenticated: the operator's own file takes its place.
        assert out.returncode == 1 and f"{again}: stored" in out.stdout
        assert "more than 32 MiB" in out.stderr and "document type" in out.stderr and "broken.xml" in out.stderr
        assert "is there already" in gate.run("dmarc", "import", str(again)).stdout
        assert counted(gate) == 2 * sum(seen.values()) + 2


def test_reports_by_themselves(tmp_path):
    """Once a day, after a restart too, each once."""
    with stand(tmp_path, "tree") as (gate, sink, _, _):
        put(gate, mail("ceo@bank.example"), "ceo@bank.example", GOOD)
        wait_for("the row", lambda: counted(gate) == 1, 60)
        gate.stop()
        a_day_passes(gate, "agg_report")
        gate.settings["reports"].update({"dmarc": True, "at": "0s"})
        gate.start()
        sink.wait(3, 60)
        wait_for("the end of the run", lambda: "reports-run kind=dmarc" in gate.log_text(), 60)
        assert "reports=1 mails=2" in gate.log_text().split("reports-run")[1]
        gate.kill()
        before = gate.log_text().count("reports-run kind=dmarc")
        gate.start()
        wait_for("the next run", lambda: gate.log_text().count("reports-run kind=dmarc") > before, 60)
        assert "reports=0 mails=0" in gate.log_text().split("reports-run")[-1]
        assert len(sink.messages) == 3


def test_a_run_that_is_interrupted(tmp_path):
    """Reports that wait for their turn do not keep the gateway from ending; the rest goes out later, each once."""
    domains = [f"d{i}.example" for i in range(20)]
    zone = "".join(f'{d}. TXT "v=spf1 ip4:{GOOD} -all"\n_dmarc.{d}. TXT "v=DMARC1; p=none; rua=mailto:r@{d}"\n'
                   for d in domains)
    with contextlib.ExitStack() as stack:
        sink = Sink()
        stack.callback(sink.close)
        dns = stack.enter_context(dns_server.Nsd(tmp_path, {".": zone}))
        port = free_port()
        gate = stack.enter_context(gateway(tmp_path / "gate", settings={
            "listeners": [{"name": "mx", "address": f"127.0.0.1:{port}", "xclient_from": ["127.0.0.1"]}],
            "dns": {"servers": [dns.address], "dnssec": False, "timeout": "5s"},
            "authentication": {"enabled": True},
            "routes": {"fallback": f"smtp:[127.0.0.1]:{sink.port}"},
            "reports": {"from": "noreply@gate.example", "rate": 1, "at": "0s"}}))
        gate.port = port
        for d in domains:
            assert put(gate, mail(f"a@{d}"), f"a@{d}", GOOD)[0] == 250
        sink.wait(len(domains), 60)
        wait_for("the rows", lambda: counted(gate) == len(domains), 60)
        gate.stop()
        a_day_passes(gate, "agg_report")
        gate.settings["reports"]["dmarc"] = True
        gate.start()
        sink.wait(len(domains) + 1, 60)
        gate.stop()
        some = gate.log_text().count("report-sent")
        assert 1 <= some < len(domains)
        gate.settings["reports"]["rate"] = 6000
        gate.start()
        wait_for("the rest", lambda: len(sink.messages) >= 2 * len(domains), 60)
        wait_for("the end of the run", lambda: f"reports-run kind=dmarc reports={len(domains) - some}"
                 in gate.log_text(), 60)
        assert sorted(r for _, rcpts, _ in sink.messages[len(domains):] for r in rcpts) == \
            sorted(f"r@{d}" for d in domains)


def test_tls_reports(tmp_path):
    authority = signed.Authority(tmp_path)
    chain, key = authority.issue("mx.good.zone")
    with contextlib.ExitStack() as stack:
        sink, plain = Sink(), Sink()
        stack.callback(sink.close)
        stack.callback(plain.close)
        hop = stack.enter_context(postfix.Postfix(tmp_path / "hop", next_hop=sink.port, extra=(
            f"smtpd_tls_chain_files = {key}, {chain}\nsmtpd_tls_security_level = may\nrelay_domains = zone")))
        dns = stack.enter_context(dns_server.Nsd(tmp_path, {"zone": "\n".join(
            [f"{d} MX 10 mx.{d}\nmx.{d} A 127.0.0.1\n_smtp._tls.{d} TXT \"v=TLSRPTv1;rua=mailto:tls@{d}.zone,https://x.zone/\""
             for d in ("good", "plain")])}))
        (tmp_path / "routes").write_text(f"plain.zone smtp::{plain.port}\n. smtp::{hop.port}\n")
        gate = stack.enter_context(gateway(tmp_path / "gate", settings={
            "dns": {"servers": [dns.address], "dnssec": False, "timeout": "5s"},
            "relay": {"domains": ["good.zone", "plain.zone", "example.org"]},
            "routes": {"file": str(tmp_path / "routes"), "fallback": "mx"},
            "queue": {"tls": "may", "retry": ["1h"], "mta_sts": False},
            "reports": {"from": "tls@gate.example", "rate": 6000, "inbox": ["tls@good.zone"]}}))
        for d in ("good.zone", "plain.zone"):
            assert gate.send(message(subject=d), to=[f"bob@{d}"])[0] == 250
        sink.wait(1, 60)
        plain.wait(1, 60)

        def both():
            with contextlib.suppress(sqlite3.OperationalError):
                return rows(gate, "SELECT count(*) FROM tls_policy")[0][0] == 2
        wait_for("both policies", both, 60)
        shown = {(x["domain"], x.get("failure")): x for x in lines(gate, "tlsrpt", "show", "--ours", "--json")}
        assert (shown[("good.zone", None)]["successes"], shown[("good.zone", None)]["failures"]) == (1, 0)
        assert (shown[("plain.zone", None)]["successes"], shown[("plain.zone", None)]["failures"]) == (0, 1)
        assert shown[("plain.zone", "starttls-not-supported")]["mx"] == "mx.plain.zone"

        a_day_passes(gate, "tls_report")
        assert "2 reports sent" in gate.run("tlsrpt", "report").stdout
        sink.wait(2, 60)
        plain.wait(2, 60)
        m, name, text = attachment(plain.messages[1][2])
        assert (m["TLS-Report-Domain"], m["TLS-Report-Submitter"]) == ("plain.zone", "gate.example")
        assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "tlsrpt"
        assert name.startswith("gate.example!plain.zone!") and name.endswith(".json.gz")
        report = json.loads(text)
        policy, = report["policies"]
        assert policy["policy"] == {"policy-type": "no-policy-found", "policy-domain": "plain.zone"}
        assert policy["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": 1}
        failure, = policy["failure-details"]
        assert failure == {"result-type": "starttls-not-supported", "sending-mta-ip": "127.0.0.1",
                           "receiving-mx-hostname": "mx.plain.zone", "receiving-ip": "127.0.0.1",
                           "failed-session-count": 1}
        day = time.strftime("%Y-%m-%d", time.gmtime(int(time.time()) // DAY * DAY - DAY))
        assert report["date-range"] == {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"}

        # Back in, by mail.
        assert gate.send(plain.messages[1][2], to=["tls@good.zone"])[0] == 250
        wait_for("the report", lambda: "report-stored about=plain.zone" in gate.log_text(), 60)
        # The way of the reports is not reported: that would never end. (What was seen before is written by now.)
        assert gate.run("tlsrpt", "show", "--ours", "--domain", "plain.zone", "--days", "0", check=False).returncode == 1
        shown = lines(gate, "tlsrpt", "show", "--json")
        assert [(x["domain"], x.get("failures"), x.get("sessions")) for x in shown] == \
            [("plain.zone", 1, None), ("plain.zone", None, 1)]
        assert "starttls-not-supported at mx.plain.zone" in gate.run("tlsrpt", "show").stdout
