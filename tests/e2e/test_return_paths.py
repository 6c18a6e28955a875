"""Senders that come back: SRS for mail that is passed on, BATV for mail of our users, and signatures of what
the gateway itself sends. Our users come from 127.0.0.2, everybody else is a stranger."""
import base64
import hashlib
import hmac
import json
import os
import re
import smtplib
import subprocess
import sys
import time

import harness
import milter
import postfix
import pytest
import sendmail
from harness import GTUBE, Sink, gateway, message, wait_for

sys.path.append("/usr/lib/python3/dist-packages")  # Debian's modules, whatever python runs this

OLD, NEW = "an old secret, long enough", "a new secret, long enough"
DAY = 86400


def secrets(path, *lines):
    path.write_text("# the first one makes\n" + "\n".join(lines) + "\n")
    os.chmod(path, 0o600)
    return str(path)


def settings_for(tmp_path, **more):
    return {"relay": {"networks": ["127.0.0.2/32"], "domains": ["example.org"]},
            "srs": {"domain": "fwd.test", "key_file": secrets(tmp_path / "srs.key", OLD)},
            "batv": {"domains": ["example.org"], "key_file": secrets(tmp_path / "batv.key", OLD)},
            **more}


def user(g):
    return g.smtp(source_address=("127.0.0.2", 0))


def submit(g, sender, *to, data=None):
    with user(g) as s:
        s.sendmail(sender, to, data or message(subject=f"m {time.monotonic_ns()}"))


def bounce(g, to, client=None, sender="", data=None):
    """(code, text) of the answer to RCPT, or to the message when that was taken."""
    with client or g.smtp() as s:
        s.ehlo()
        s.mail(sender)
        code, text = s.rcpt(to)
        if code == 250:
            code, text = s.data(data or message(subject=f"b {time.monotonic_ns()}", sender="mailer-daemon@far.test"))
        return code, text.decode()


def srs0(sender, secret, age=0):
    """What SRS makes of a sender, in our own words."""
    local, domain = sender.split("@")
    n = int(time.time() // DAY - age) % 1024
    b32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    rest = f"{b32[n // 32]}{b32[n % 32]}={domain}={local}"
    digest = hmac.new(secret.encode(), rest.lower().encode(), hashlib.sha256).digest()
    return f"SRS0={base64.b32encode(digest[:5]).decode()}={rest}@fwd.test"


def prvs(address, secret, days=7):
    """What BATV makes of a sender, in our own words."""
    tag = f"0{int(time.time() // DAY + days) % 1000:03}"
    digest = hmac.new(secret.encode(), (tag + address).lower().encode(), hashlib.sha1).hexdigest()
    return f"prvs={tag}{digest[:6]}={address}"


def facts_of(g, text):
    mid = re.search(r"\b[0-9A-HJKMNP-TV-Z]{16}\b", text)[0]

    def told():
        out = g.run("log", "--json", mid, check=False).stdout
        return json.loads(out).get("facts") if out.startswith("{") else None
    return wait_for(f"the record of {mid}", told)


def test_what_is_passed_on_gets_a_sender_that_comes_back(tmp_path, sink):
    settings = settings_for(tmp_path)
    settings["srs"]["exempt_recipients"] = ["@list.test"]
    with gateway(tmp_path, next_hop=sink.port, settings=settings) as g:
        # Ours and those who are exempt see the sender as it is: two transactions of one message.
        submit(g, "Alice@example.net", "bob@example.org", "carol@far.test", "l@list.test", "dave@far.test")
        got = {tuple(sorted(to)): sender for sender, to, _ in sink.wait(2)}
        assert got[("carol@far.test", "dave@far.test")] == srs0("Alice@example.net", OLD)
        assert got[("bob@example.org", "l@list.test")] == "Alice@example.net"
        assert "sender-changed" in g.log_text()
        story = wait_for("the record", lambda: g.run("log", "--json", "sender=Alice@example.net").stdout)
        assert "carol@far.test" in story and "SRS0" not in story  # the record knows who it was
        # A stranger brings a bounce to it, in another case, and from the next forwarder.
        sink.messages.clear()
        back = srs0("Alice@example.net", OLD)
        code, text = bounce(g, back.upper())
        assert code == 250 and facts_of(g, text)["srs"] == "valid"
        assert [m[:2] for m in sink.wait(1)] == [("", ["ALICE@EXAMPLE.NET"])]
        # The same forwarded twice: SRS1, then back to the first forwarder.
        submit(g, "SRS0=abcd=XY=one.test=u@first.test", "carol@far.test")
        sender = sink.wait(2)[1][0]
        assert sender.startswith("SRS1=") and sender.endswith("=first.test==abcd=XY=one.test=u@fwd.test")
        assert bounce(g, sender)[0] == 250
        assert sink.wait(3)[2][1] == ["SRS0=abcd=XY=one.test=u@first.test"]


def test_redirects_of_policies(tmp_path, sink):
    """Forwarding as it is mostly done; and who counts as one of us."""
    (tmp_path / "access").write_text("Connect:127.0.0.3 RELAY\n")
    settings = settings_for(tmp_path, access_file=str(tmp_path / "access"), policies=[
        {"name": "away", "recipients": ["ann@example.org"], "do": [{"redirect": "ann@elsewhere.test"}]},
        {"name": "list", "recipients": ["list@example.org"],
         "do": [{"redirect": "x@far.test"}, {"change_sender": "list-owner@example.org"}]}])
    with gateway(tmp_path, next_hop=sink.port, settings=settings) as g:
        def passed_on(sender, to, source="127.0.0.1"):
            before = len(sink.messages)
            with g.smtp(source_address=(source, 0)) as s:
                s.sendmail(sender, [to], message(subject=f"r {time.monotonic_ns()}"))
            return sink.wait(before + 1)[before][:2]
        assert passed_on("alice@example.net", "ann@example.org") == (srs0("alice@example.net", OLD),
                                                                    ["ann@elsewhere.test"])
        assert passed_on("", "ann@example.org", "127.0.0.2") == ("", ["ann@elsewhere.test"])
        # Its bounces come to the list: they must be told from forged ones.
        assert passed_on("alice@example.net", "list@example.org") == (prvs("list-owner@example.org", OLD), ["x@far.test"])
        # A stranger who says he is bob gets no tag of bob's.
        assert passed_on("bob@example.org", "ann@example.org") == ("bob@example.org", ["ann@elsewhere.test"])
        assert passed_on("bob@example.org", "x@far.test", "127.0.0.3")[0] == prvs("bob@example.org", OLD)
        # What is too long to be rewritten goes out as it is.
        long = "a" * 200 + "@a-long-name-of-a-domain.example.net"
        assert passed_on(long, "ann@example.org") == (long, ["ann@elsewhere.test"])
        assert "sender-not-changed" in g.log_text()


def test_forged_and_old_return_addresses_are_refused(tmp_path, sink):
    settings = settings_for(tmp_path)
    settings["srs"]["lifetime"] = "10d"
    with gateway(tmp_path, next_hop=sink.port, settings=settings) as g:
        for address, words in [(srs0("a@one.test", "a secret of somebody else"), "was not made here"),
                               (srs0("a@one.test", OLD).replace("one.test", "two.test"), "was not made here"),
                               ("SRS0=x@fwd.test", "was not made here"), ("SRS1=x==@fwd.test", "was not made here"),
                               (srs0("a@one.test", OLD, age=11), "has expired")]:
            for sender in ("", "eve@evil.test"):
                code, text = bounce(g, address, sender=sender)
                assert code == 550 and words in text, (address, text)
        # Nothing else of the domain is relayed.
        assert bounce(g, "eve@fwd.test")[0] == 550 and bounce(g, "eve@far.test")[0] == 550
        assert bounce(g, srs0("a@one.test", OLD, age=9))[0] == 250
        # A new secret on top: what was made with the old one is still known, until it is taken away.
        before = srs0("a@one.test", OLD)
        secrets(tmp_path / "srs.key", NEW, OLD)
        g.reload()
        assert bounce(g, before)[0] == 250
        submit(g, "x@one.test", "carol@far.test")
        wait_for("the new sender", lambda: srs0("x@one.test", NEW) in [m[0] for m in sink.messages])
        secrets(tmp_path / "srs.key", NEW)
        g.reload()
        assert bounce(g, before)[0] == 550
        # Without the file nothing can be said, so nothing is lost: senders stay, bounces come again.
        os.chmod(tmp_path / "srs.key", 0o644)
        g.reload()
        assert bounce(g, srs0("x@one.test", NEW))[0] == 451
        submit(g, "y@one.test", "carol@far.test")
        wait_for("the old sender", lambda: "y@one.test" in [m[0] for m in sink.messages])
        problems = g.run("check", check=False).stdout
        assert "srs.key may be read by others" in problems, problems


def test_bounces_of_mail_that_we_did_not_send_are_refused(tmp_path, sink):
    (tmp_path / "users").write_text("bob@example.org\nann@example.org\npostmaster@example.org\nold@example.org\n")
    (tmp_path / "access").write_text("To:old@example.org ERROR:5.2.1:550 gone\n")
    settings = settings_for(tmp_path, recipients={"check": "list", "file": str(tmp_path / "users")},
                            access_file=str(tmp_path / "access"))
    settings["batv"]["unsigned_to"] = ["@lists.test"]
    with gateway(tmp_path, next_hop=sink.port, settings=settings) as g:
        submit(g, "Bob@example.org", "carol@far.test", "l@lists.test", "ann@example.org")
        got = {tuple(sorted(to)): sender for sender, to, _ in sink.wait(2)}
        tagged = got[("carol@far.test",)]
        assert tagged == prvs("Bob@example.org", OLD)
        assert got[("ann@example.org", "l@lists.test")] == "Bob@example.org"
        # A stranger with our sender gets no tag out of us, and no SRS either.
        with g.smtp() as s:
            s.ehlo()
            s.mail("bob@example.org")
            assert s.rcpt("carol@far.test")[0] == 550

        sink.messages.clear()
        code, text = bounce(g, tagged.lower())
        assert code == 250 and facts_of(g, text)["batv"] == "valid"
        assert [m[:2] for m in sink.wait(1)] == [("", ["bob@example.org"])]
        for address, words in [("bob@example.org", "not sent from here"),
                               (prvs("bob@example.org", "a secret of somebody else"), "not made here"),
                               (prvs("bob@example.org", OLD, days=-1), "expired"),
                               # what stands under the tag is looked for as ever
                               (prvs("nobody@example.org", OLD), "5.1.1"), (prvs("old@example.org", OLD), "5.2.1")]:
            code, text = bounce(g, address)
            assert code == 550 and words in text, (address, text)
        assert bounce(g, "postmaster@example.org")[0] == 250
        assert bounce(g, "bob@example.org", client=user(g))[0] == 250  # our own hosts
        # Mail that is no bounce comes to all of them: replies to the envelope's sender.
        for address in ("bob@example.org", tagged, prvs("bob@example.org", OLD, days=-1)):
            assert bounce(g, address, sender="carol@far.test")[0] == 250

        g.settings["batv"]["on_invalid"] = "fact"
        g.reload()
        for address, fact in [("bob@example.org", "missing"), (prvs("bob@example.org", OLD, days=-1), "expired"),
                              (prvs("bob@example.org", "a secret of somebody else"), "forged")]:
            code, text = bounce(g, address)
            assert code == 250 and facts_of(g, text)["batv"] == fact
        assert {to[0].lower() for _, to, _ in sink.messages} <= {"bob@example.org", "postmaster@example.org"}


def test_bounces_that_we_know_need_not_wait_nor_hide_in_the_quarantine(tmp_path, sink):
    from test_wall import Stranger
    settings = settings_for(tmp_path, greylist={"mode": "all", "spf": False, "delay": "1h"},
                            policies=[{"name": "default", "on_spam": "hold", "reject_score": 5000}])
    with gateway(tmp_path, next_hop=sink.port, settings=settings) as g:
        g.settings["listeners"][0]["proxy_from"] = ["127.0.0.0/8"]
        g.stop()
        g.start()

        def stranger(**kw):
            with Stranger(g, "192.0.2.7") as s:
                return s.send(**kw)
        assert stranger(sender="x@far.test").startswith("451")
        assert stranger(sender="", to=prvs("bob@example.org", OLD)).startswith("250")
        assert stranger(sender="", to=srs0("a@one.test", OLD)).startswith("250")
        assert {to[0] for _, to, _ in sink.wait(2)} == {"bob@example.org", "a@one.test"}
        assert stranger(sender="", to=srs0("a@one.test", OLD),
                        data=message(body=GTUBE + "\r\n")).startswith("250")
        item = json.loads(wait_for("the item", lambda: g.run("quarantine", "--json", "list").stdout))
        assert [r["address"] for r in item["recipients"]] == ["a@one.test"]


def test_postfix_bounces_and_it_comes_home(tmp_path, sink):
    """The far side is a real Postfix, which takes the mail, can't deliver it, and says so."""
    refusing = Sink()
    refusing.rcpt_reply = lambda addr: b"550 5.1.1 no such user"
    try:
        (tmp_path / "g").mkdir()
        g = harness.Gateway(tmp_path / "g", next_hop=sink.port, settings=settings_for(tmp_path / "g"))
        (tmp_path / "p").mkdir()
        (tmp_path / "p" / "transport").write_text(f"far.test smtp:[127.0.0.1]:{refusing.port}\n")
        with postfix.Postfix(tmp_path / "p", g.port,
                             extra=f"transport_maps = texthash:{tmp_path}/p/transport\n"
                                   "smtp_bind_address = 127.0.0.1\n") as p:
            g.settings["routes"]["file"] = str(tmp_path / "routes")
            (tmp_path / "routes").write_text(f"far.test smtp:[127.0.0.1]:{p.port}\n")
            g.start()
            try:
                submit(g, "alice@example.net", "nobody@far.test")
                submit(g, "bob@example.org", "nobody@far.test")
                got = {to[0]: (sender, data) for sender, to, data in sink.wait(2, timeout=60)}
                assert set(got) == {"alice@example.net", "bob@example.org"}, p.log()[-2000:]
                for sender, data in got.values():
                    assert sender == "" and b"Undelivered Mail Returned to Sender" in data
                assert b"SRS0=" in got["alice@example.net"][1] and b"prvs=0" in got["bob@example.org"][1]
                g.stop()
            finally:
                if g.process.poll() is None:
                    g.kill()
    finally:
        refusing.close()


# ---- what we send ourselves is signed ----

def make_key(tmp_path, name):
    path = tmp_path / f"{name}.pem"
    subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    der = subprocess.run(["openssl", "rsa", "-in", path, "-pubout", "-outform", "DER"], check=True,
                         capture_output=True).stdout
    os.chmod(path, 0o600)
    return path, b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)


def verified(data, selector, record):
    dkim = pytest.importorskip("dkim")
    name = f"{selector}._domainkey.example.org."
    return dkim.verify(data, dnsfunc=lambda n, timeout=5: record if n.decode() == name else None)


def test_reports_and_released_mail_are_signed(tmp_path, sink):
    one, one_record = make_key(tmp_path, "one")
    two, two_record = make_key(tmp_path, "two")
    settings = {"relay": {"networks": ["127.0.0.2/32"], "domains": ["example.org"]},
                "dkim": {"sign": [f"example.org one {one}"]},
                "queue": {"bounce_from": "postmaster@example.org"},
                "policies": [{"name": "tell", "recipients": ["joe@example.org"], "continue": True,
                              "do": [{"notify": {"to": "ann@example.org", "subject": "seen _ID_"}}]},
                             {"name": "default", "on_spam": "hold", "reject_score": 5000}]}
    with gateway(tmp_path, next_hop=sink.port, settings=settings) as g:
        with g.smtp() as s:  # a notice of ours about a stranger's mail
            s.sendmail("alice@example.net", ["joe@example.org"], message())
        notice = {to[0]: data for _, to, data in sink.wait(2)}
        assert verified(notice["ann@example.org"], "one", one_record)
        assert b"DKIM-Signature" not in notice["joe@example.org"]
        sink.messages.clear()
        sink.rcpt_reply = lambda addr: b"550 5.1.1 no such user" if addr.startswith("nobody") else None
        submit(g, "alice@example.net", "nobody@far.test", data=message(
            subject="K\u00f6ln =?utf-8?q?=C3=A4?=", body="dear nobody\r\n"))
        sender, to, report = sink.wait(1)[0]
        assert (sender, to) == ("", ["alice@example.net"]) and b"Action: failed" in report
        assert report.startswith(b"DKIM-Signature:") and verified(report, "one", one_record)

        held = message(sender="bob@example.org", body=GTUBE + "\r\n")
        submit(g, "bob@example.org", "carol@far.test", data=held)
        item = json.loads(wait_for("the item", lambda: g.run("quarantine", "--json", "list").stdout))
        # The key was changed meanwhile: the signature is of the day on which the message leaves.
        g.settings["dkim"]["sign"] = [f"example.org two {two}"]
        g.reload()
        assert "released" in g.run("quarantine", "release", item["id"]).stdout
        released = sink.wait(2)[1][2]
        assert released.endswith(held) and verified(released, "two", two_record)
        # A stranger's is not ours to sign.
        with g.smtp() as s:
            s.sendmail("bob@example.org", ["ann@example.org"], message(sender="bob@example.org",
                                                                       body=GTUBE + "\r\n\r\n"))
        items = wait_for("the item", lambda: g.run("quarantine", "--json", "list").stdout.splitlines())
        g.run("quarantine", "release", json.loads(items[-1])["id"])
        assert b"DKIM-Signature" not in sink.wait(3)[2][2]
        # A key that can't be used: the release says so and nothing is lost.
        submit(g, "bob@example.org", "carol@far.test", data=held.replace(b"Subject: hello", b"Subject: two"))
        last = json.loads(wait_for(
            "the item", lambda: g.run("quarantine", "--json", "list").stdout).splitlines()[-1])
        os.chmod(two, 0o644)
        g.reload()
        refused = g.run("quarantine", "release", last["id"])
        assert refused.returncode == 1 and "can't be signed" in refused.stderr
        os.chmod(two, 0o600)
        g.reload()
        assert "released" in g.run("quarantine", "release", last["id"]).stdout
        assert verified(sink.wait(4)[3][2], "two", two_record)


# ---- behind MTAs ----

PEOPLE = ("bob", "away", "off", "strict", "list")


def by_milter(tmp_path, **more):
    settings = settings_for(tmp_path, **more)
    settings["listeners"] = [{"name": "m", "protocol": "milter", "address": f"127.0.0.1:{harness.free_port()}"}]
    settings["batv"]["unsigned_to"] = settings["srs"]["exempt_recipients"] = ["@list.test"]
    settings["policies"] = [
        {"name": "away", "recipients": ["away@example.org"], "do": [{"redirect": "ann@elsewhere.test"}]},
        {"name": "off", "recipients": ["off@example.org"], "do": "discard"},
        {"name": "bad", "recipients": ["strict@example.org"], "header": {"Subject": "*bad*"}, "do": "reject"},
        {"name": "ours", "recipients": ["list@example.org"],
         "do": [{"redirect": "x@far.test"}, {"change_sender": "owner@example.org"}]}]
    return settings


def port_of(settings):
    return int(settings["listeners"][0]["address"].split(":")[1])


def in_postfix(tmp_path, sink, settings):
    return postfix.Postfix(tmp_path / "mta", sink.port, f"smtpd_milters = inet:127.0.0.1:{port_of(settings)}\n"
                           "milter_default_action = tempfail\nrelay_domains = example.org fwd.test\n"
                           # as docs/return-paths.md has it
                           f"relay_recipient_maps = inline:{{{' '.join(f'{n}@example.org=x' for n in PEOPLE)}}},"
                           " regexp:{{/^(prvs|SRS[01])=/ x}}\n")


def in_sendmail(tmp_path, sink, settings):
    return sendmail.Sendmail(tmp_path / "mta", sink.port, f"inet:{port_of(settings)}@127.0.0.1")


@pytest.mark.parametrize("make", [in_postfix, in_sendmail], ids=["postfix", "sendmail"])
def test_an_mta_gets_both_by_milter(tmp_path, sink, make):
    settings = by_milter(tmp_path)
    with gateway(tmp_path / "g", next_hop=sink.port, settings=settings) as g, make(tmp_path, sink, settings) as mta:
        def client(source):
            return smtplib.SMTP("127.0.0.1", mta.port, local_hostname="c.test", timeout=60, source_address=(source, 0))

        def passes(sender, *to, source="127.0.0.1", subject=None, options=()):
            mark = subject or f"m{time.monotonic_ns()}"
            with client(source) as s:
                s.sendmail(sender, to, message(subject=mark), rcpt_options=options)
            got = wait_for(mark, lambda: [m for m in sink.messages if f"Subject: {mark}\r\n".encode() in m[2]], 60)
            return got[0][0], sorted(r for m in got for r in m[1])

        assert passes("alice@example.net", "carol@far.test") == (srs0("alice@example.net", OLD), ["carol@far.test"])
        assert passes("bob@example.org", "carol@far.test", source="127.0.0.2")[0] == prvs("bob@example.org", OLD)
        # There is one sender for all: those who want it as it is come first, our own do not mind.
        assert passes("alice@example.net", "carol@far.test", "l@list.test")[0] == "alice@example.net"
        assert passes("alice@example.net", "bob@example.org")[0] == "alice@example.net"
        assert passes("alice@example.net", "bob@example.org", "carol@far.test")[0] == srs0("alice@example.net", OLD)
        assert passes("bob@example.org", "carol@far.test")[0] == "bob@example.org"  # a stranger who says so
        # What policies make of the envelope counts.
        assert passes("alice@example.net", "away@example.org") == (srs0("alice@example.net", OLD), ["ann@elsewhere.test"])
        assert passes("alice@example.net", "list@example.org") == (prvs("owner@example.org", OLD), ["x@far.test"])

        # They come back, each to whom it is for; with what its sender wanted to be told.
        back, tagged = srs0("alice@example.net", OLD), prvs("bob@example.org", OLD)
        sender, to = passes("", back, tagged, subject="both come back")
        assert (sender, to) == ("", ["alice@example.net", "bob@example.org"])
        assert passes("carol@far.test", tagged)[1] == ["bob@example.org"]  # answers, not only bounces
        before = len(sink.messages)
        passes("carol@far.test", tagged, options=["NOTIFY=SUCCESS", "ORCPT=rfc822;bob@example.org"])
        report = wait_for("the success", lambda: [m for m in sink.messages[before:] if b"multipart/report" in m[2]], 60)
        assert report[0][1] == ["carol@far.test"] and b"Original-Recipient: rfc822;bob@example.org" in report[0][2]
        # A recipient that another one's policy takes off is known to the MTA by the name it was given.
        assert passes("carol@far.test", back, prvs("strict@example.org", OLD), prvs("off@example.org", OLD),
                      subject="bad") == (srs0("carol@far.test", OLD), ["alice@example.net"])

        for sender, address, words in [
                ("", "bob@example.org", "not sent from here"), ("", prvs("bob@example.org", "another"), "not made here"),
                ("", prvs("bob@example.org", OLD, days=-1), "expired"),
                ("carol@far.test", srs0("a@one.test", "another"), "was not made here"),
                ("", srs0("a@one.test", OLD, age=22), "has expired")]:
            code, text = bounce(g, address, client=client("127.0.0.1"), sender=sender)
            assert code == 550 and words in text, (address, text)
        assert bounce(g, "bob@example.org", client=client("127.0.0.2"))[0] == 250  # our own hosts
        story = json.loads(g.run("log", "--json", "-n", "0", "subject=both come back").stdout.splitlines()[0])
        facts = facts_of(g, story["id"])
        assert (facts["batv"], facts["srs"]) == ("valid", "valid")
        log = (tmp_path / "mta" / "log").read_text(errors="replace")
        assert "unexpected" not in log and "milter-cannot" not in g.log_text(), log[-2000:]


def test_an_mta_that_allows_less(tmp_path, sink):
    settings = by_milter(tmp_path)
    change, add, remove, args = 0x40, 0x4, 0x8, 0x80
    with gateway(tmp_path / "g", next_hop=sink.port, settings=settings) as g:
        def replies(sender, to, actions):
            with milter.Mta(("127.0.0.1", port_of(settings)), actions=0x1ff & ~actions) as m:
                m.open()
                edits, verdict = m.message(message(subject="m"), sender=f"<{sender}>", to=[f"<{x}>" for x in to])
                return [*edits, verdict]
        back = prvs("bob@example.org", OLD)
        got = replies("", [back], 0)
        assert (b"-", f"<{back}>\0".encode()) in got and (b"+", b"<bob@example.org>\0") in got, got
        assert b"2" not in [c for c, _ in replies("", [back], args)]
        for less in (add, remove):  # nobody would get it under that name
            assert replies("", [back], less)[-1][0] == b"d"
        assert "bob@example.org" in g.run("quarantine", "list").stdout
        got = replies("alice@example.net", ["carol@far.test"], change)
        assert got[-1][0] == b"a" and b"e" not in [c for c, _ in got]
        assert g.log_text().count("milter-cannot-edit what=sender") == 1
