"""The first wall: who is calling. Strangers are clients whose address a PROXY header tells; the DNS is a server of
our own."""
import contextlib
import json
import re
import smtplib
import socket
import subprocess
import time

import dns_server
import mmdb
import pytest
from harness import GTUBE, gateway, message, wait_for

# What every list has: its test entries (RFC 5782).
TESTED = "2.0.0.127 A 127.0.0.2\n"
ZONES = {
    "black.test.example": TESTED + "9.2.0.192 A 127.0.0.4\n",
    "grey.test.example": TESTED + "9.2.0.192 A 127.0.0.2\n8.2.0.192 A 127.0.0.2\n",
    "white.test.example": TESTED + "8.2.0.192 A 127.0.9.3\n7.2.0.192 A 127.0.9.3\n",
    "dbl.test.example": "test A 127.0.1.2\nbad.sender A 127.0.1.2\nbad.helo A 127.0.1.2\n",
    "2.0.192.in-addr.arpa": "1 PTR mail.good.example.\n2 PTR forged.good.example.\n",
    "good.example": "@ MX 10 mx\nmx A 198.51.100.25\nmail A 192.0.2.1\nforged A 198.51.100.1\n",
    "plain.example": "@ A 198.51.100.26\n",
    "null.example": "@ MX 0 .\n",
    "bogus.example": "@ MX 10 mx\nmx A 127.0.0.1\nmx A 10.1.2.3\n",
    "empty.example": "@ TXT \"nothing\"\n",
}
BLACK = "black.test.example=127.0.0.[2..11]*3 https://check.example/_IP_"
GREY = "grey.test.example*2"
WHITE = "white.test.example=127.0.[0..255].[1..3]*-3"


@pytest.fixture(scope="module")
def dns(tmp_path_factory):
    with dns_server.Nsd(tmp_path_factory.mktemp("dns"), ZONES) as server:
        yield server


@contextlib.contextmanager
def wall(tmp_path, dns, sink, **sections):
    """A gateway that believes PROXY headers from loopback and asks our name server."""
    settings = {"dns": {"servers": [dns.address], "dnssec": False, "client_names": False, "timeout": "5s"},
                "recipients": {"check": "any"}, **sections}
    with gateway(tmp_path, next_hop=sink.port if sink else None, settings=settings) as g:
        yield g


def start_proxied(g):
    g.settings["listeners"][0]["proxy_from"] = ["127.0.0.0/8"]
    g.stop()
    return g.start()


class Stranger:
    """An SMTP client from elsewhere."""

    def __init__(self, g, ip="192.0.2.1", greet=True, early=b""):
        self.s = socket.create_connection(("127.0.0.1", g.port), timeout=60)
        self.f = self.s.makefile("rb")
        family = "TCP6" if ":" in ip else "TCP4"
        self.s.sendall(f"PROXY {family} {ip} {'::1' if ':' in ip else '127.0.0.1'} 4711 25\r\n".encode() + early)
        self.greeting = self.reply() if greet else None

    def reply(self):
        lines = []
        while True:
            line = self.f.readline().decode()
            if not line:
                return "".join(lines) or "eof"
            lines.append(line)
            if line[3:4] != "-":
                return "".join(lines).rstrip()

    def say(self, line):
        self.s.sendall(line.encode() + b"\r\n")
        return self.reply()

    def send(self, data=None, sender="a@plain.example", to="bob@example.org", helo="client.good.example"):
        """The reply that ends it: the greeting, of the first command that is refused, or of the message."""
        if not self.greeting.startswith("220"):
            return self.greeting
        for line in (f"EHLO {helo}", f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>", "DATA"):
            out = self.say(line)
            if out[0] not in "23":
                return out
        self.s.sendall((data or message(subject=f"m {time.monotonic_ns()}", to=to)) + b".\r\n")
        return self.reply()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()


def send(g, ip="192.0.2.1", **kw):
    with Stranger(g, ip) as s:
        return s.send(**kw)


def story(g, mid):
    out = g.run("log", "--json", mid, check=False).stdout
    return json.loads(out) if out.startswith("{") else {}


def facts_of(g, reply):
    """The facts on record of the message that a reply names."""
    mid = re.search(r"\b[0-9A-HJKMNP-TV-Z]{16}\b", reply)[0]

    return wait_for(f"the record of {mid}", lambda: story(g, mid).get("facts"))


# ---- lists ----

def test_listed_clients_are_refused_at_rcpt_with_list_and_page(tmp_path, dns, sink):
    with wall(tmp_path, dns, sink, wall={"dns_lists": [BLACK, GREY, WHITE]}) as g:
        start_proxied(g)
        with Stranger(g, "192.0.2.9") as s:
            assert s.greeting.startswith("220 ")
            refused = s.send()
            assert refused.startswith("550 5.7.1 client [192.0.2.9] is listed by black.test.example; see "
                                      "https://check.example/192.0.2.9"), refused
            # The postmaster can be reached all the same.
            assert s.say("RCPT TO:<postmaster@example.org>").startswith("250")
        assert "why=\"550 5.7.1 client [192.0.2.9]" in g.log_text()
        # 2 - 3 < 3: the list of good clients weighs more.
        assert send(g, "192.0.2.8").startswith("250")
        ok = send(g, "192.0.2.7")
        assert ok.startswith("250")
        facts = facts_of(g, ok)
        assert facts["wall.lists"] == "white.test.example=127.0.9.3*-3 score=-3"
        assert send(g, "192.0.2.6").startswith("250")


def test_refused_at_once_when_wanted(tmp_path, dns):
    with wall(tmp_path, dns, None, wall={"dns_lists": [BLACK], "refuse": "connect"}) as g:
        start_proxied(g)
        with Stranger(g, "192.0.2.9") as s:
            assert s.greeting.startswith("554 5.7.1 client [192.0.2.9] is listed by black.test.example")
            assert s.reply() == "eof"
        assert send(g, "192.0.2.6").startswith("250")


def test_exempt_clients_are_not_asked_about(tmp_path, dns):
    access = tmp_path / "access"
    access.write_text("Connect:192.0.2.9 OK\n")
    with dns_server.Nsd(tmp_path / "own", ZONES) as own:
        with wall(tmp_path, own, None, access_file=str(access),
                  wall={"dns_lists": [BLACK, GREY], "exempt_clients": ["192.0.2.8"], "reject_score": 2},
                  relay={"networks": ["203.0.113.0/24"]}) as g:
            start_proxied(g)
            assert send(g, "192.0.2.9").startswith("250")
            assert send(g, "192.0.2.8").startswith("250")
            access.write_text("")
            wait_for("the access map", lambda: send(g, "192.0.2.9").startswith("550"))


def test_names_that_are_exempt(tmp_path, dns):
    with wall(tmp_path, dns, None, wall={"on_no_name": "reject", "exempt_names": [".elsewhere.example"]}) as g:
        g.settings["dns"]["client_names"] = True
        start_proxied(g)
        assert send(g, "192.0.2.1").startswith("250")  # has a name that leads back
        assert "5.7.25" in send(g, "192.0.2.2")        # has one that does not
        assert "5.7.25" in send(g, "192.0.2.3")
        g.settings["wall"]["exempt_names"].append("mail.good.example")
        g.settings["wall"]["dns_lists"] = ["allhit.example*9"]
        g.reload()
        assert facts_of(g, send(g, "192.0.2.1")).get("wall.helo") is None


def test_answers_of_lists_survive_restart_and_sigkill(tmp_path, sink):
    asked = []

    def answer(name, qtype, packet):
        asked.append(name)
        listed = name.startswith(("2.0.0.127", "9."))
        rdata = [("A", bytes([127, 0, 0, 4]))] if qtype == "A" and listed else []
        return dns_server.reply(packet, rdata, dns_server.NOERROR if rdata else dns_server.NXDOMAIN)
    with dns_server.Scripted(answer) as dns, wall(tmp_path, dns, sink, wall={"dns_lists": [BLACK]}) as g:
        start_proxied(g)
        assert send(g, "192.0.2.6").startswith("250")
        assert send(g, "192.0.2.9").startswith("550")
        assert "6.2.0.192.black.test.example" in asked
        for restart in (g.kill, g.stop):
            restart()
            g.start()
            asked.clear()
            assert send(g, "192.0.2.6").startswith("250")
            assert send(g, "192.0.2.9").startswith("550")
            assert "6.2.0.192.black.test.example" not in asked  # remembered as clean
            assert "9.2.0.192.black.test.example" in asked      # but nobody is kept out longer than listed


def test_broken_lists_are_disabled_and_come_back(tmp_path, sink):
    mood = {"all": True}

    def answer(name, qtype, packet):
        if name.endswith("refuses.example"):
            return dns_server.reply(packet, [("A", bytes([127, 255, 255, 254]))])
        if name.endswith("parked.example"):
            return dns_server.reply(packet, [("A", bytes([192, 0, 2, 80]))])
        if mood["all"] or name.startswith("2.0.0.127"):
            return dns_server.reply(packet, [("A", bytes([127, 0, 0, 2]))])
        return dns_server.reply(packet, rcode=dns_server.NXDOMAIN)
    lists = ["all.example*9", "refuses.example*9", "parked.example*9"]
    with dns_server.Scripted(answer) as dns, wall(tmp_path, dns, sink, wall={"dns_lists": lists}) as g:
        start_proxied(g)
        wait_for("the tests of the lists", lambda: g.log_text().count("list-disabled") >= 3)
        text = g.log_text()
        assert re.search(r"list-disabled list=all.example why=\"it lists what can't be listed", text), text
        assert re.search(r"list-disabled list=refuses.example why=\"it says 127.255.255.254", text)
        assert re.search(r"list-disabled list=parked.example why=\"it answers outside 127/8", text)
        assert send(g, "192.0.2.5").startswith("250")


def test_slow_and_hostile_dns_costs_its_own_checks_only(tmp_path, sink):
    def answer(name, qtype, packet):
        if name.endswith("silent.example"):
            return None
        if name.endswith("garbage.example"):
            return packet[:2] + b"\x85\x80" + b"\xff" * 40
        if name.endswith("short.example"):
            return dns_server.reply(packet, [("A", b"\x7f\0")])
        if name.endswith("black.test.example") and name.startswith(("9.", "2.0.0.127")):
            return dns_server.reply(packet, [("A", bytes([127, 0, 0, 4]))])
        return dns_server.reply(packet, rcode=dns_server.NXDOMAIN)
    lists = ["silent.example*9", "garbage.example*9", "short.example*9", BLACK]
    with dns_server.Scripted(answer) as dns, \
            wall(tmp_path, dns, sink, wall={"dns_lists": lists, "list_timeout": "1s"}) as g:
        start_proxied(g)
        begun = time.monotonic()
        assert send(g, "192.0.2.9").startswith("550")
        ok = send(g, "192.0.2.5")
        assert ok.startswith("250") and time.monotonic() - begun < 30
        assert "silent=" in facts_of(g, ok)["wall.lists"]


def test_lists_of_domains(tmp_path, dns, sink):
    dbl = "dbl.test.example=127.0.1.[2..99]*4 test=test https://check.example/_DOMAIN_"
    with wall(tmp_path, dns, sink, wall={"sender_lists": [dbl], "helo_lists": [dbl]}) as g:
        start_proxied(g)
        assert send(g).startswith("250")
        refused = send(g, sender="x@bad.sender")
        assert refused.startswith("550 5.7.1 the sender's domain bad.sender is listed by dbl.test.example; see "
                                  "https://check.example/bad.sender"), refused
        assert "bad.helo is listed by dbl.test.example" in send(g, helo="bad.helo")
        # What was said about one sender does not stick to the next.
        with Stranger(g) as s:
            assert s.send(sender="x@bad.sender").startswith("550")
            assert s.say("RSET").startswith("250")
            assert s.send().startswith("250")


# ---- before the greeting ----

def test_who_speaks_first_is_refused_and_who_waits_need_not_wait_again(tmp_path, dns, sink):
    with wall(tmp_path, dns, sink, wall={"greet_wait": "1s", "teaser": "please wait"}) as g:
        start_proxied(g)
        with Stranger(g, "192.0.2.9", early=b"EHLO spam.example\r\n") as s:
            assert s.greeting.startswith("220-gate.test please wait\r\n220 gate.test"), s.greeting
            assert s.reply().startswith("250")  # its EHLO is answered
            assert "550 5.5.1 you have spoken before the greeting" in s.send()
        assert re.search(r"pregreet size=\d+ said=\"EHLO spam.example", g.log_text())
        with Stranger(g, "192.0.2.6") as s:
            assert s.greeting.startswith("220-")
            assert s.send().startswith("250")
        with Stranger(g, "192.0.2.6") as s:
            assert s.greeting.startswith("220 gate.test")  # no teaser: nothing is waited for
        g.kill()
        g.start()
        with Stranger(g, "192.0.2.6") as s:
            assert s.greeting.startswith("220 gate.test")
        with Stranger(g, "192.0.2.9") as s:
            assert s.greeting.startswith("220-")
        # From a trusted network nobody waits.
        assert send(g, "127.0.0.1").startswith("250")


def test_who_speaks_first_is_sent_away_at_once_when_wanted(tmp_path, dns):
    with wall(tmp_path, dns, None, wall={"greet_wait": "10s", "refuse": "connect"}) as g:
        start_proxied(g)
        begun = time.monotonic()
        with Stranger(g, "192.0.2.9", early=b"GET / HTTP/1.0\r\n\r\n") as s:
            assert s.greeting.startswith("554 5.5.1 you have spoken before the greeting")
            assert time.monotonic() - begun < 9


def test_good_lists_end_the_wait(tmp_path, dns):
    access = tmp_path / "access"
    access.write_text("GreetPause:192.0.2.5 0\n")
    with wall(tmp_path, dns, None, access_file=str(access),
              wall={"greet_wait": "50s", "dns_lists": [WHITE]}) as g:
        start_proxied(g)
        begun = time.monotonic()
        assert send(g, "192.0.2.7").startswith("250")
        assert send(g, "192.0.2.5").startswith("250")
        assert time.monotonic() - begun < 45


def test_a_client_that_hangs_up_while_it_waits(tmp_path, dns):
    with wall(tmp_path, dns, None, wall={"greet_wait": "30s", "dns_lists": [BLACK]}) as g:
        start_proxied(g)
        for _ in range(5):
            Stranger(g, "192.0.2.9", greet=False).s.close()
        wait_for("the ends of the sessions", lambda: g.log_text().count(" session ") >= 5)
        with Stranger(g, "192.0.2.9", greet=False):
            g.stop()  # drains, with one that still waits


# ---- manners ----

@pytest.mark.parametrize("setting,helo,sender,code", [
    ("on_helo_invalid", "192.0.2.1", None, "550 5.7.1 give your own host name"),
    ("on_helo_invalid", "[192.0.2.77]", None, "550 5.7.1 give your own host name"),
    ("on_helo_invalid", "localhost", None, "550 5.7.1 give your own host name"),
    ("on_helo_ours", "gate.test", None, "550 5.7.1 you are not gate.test"),
    ("on_helo_ours", "example.org", None, "550 5.7.1 you are not example.org"),
    ("on_helo_unknown", "no.such.host.example", None, "550 5.7.1 the name that you give"),
    ("on_sender_unknown", "mail.good.example", "a@nowhere.example", "550 5.1.8 the sender's domain"),
    ("on_sender_unknown", "mail.good.example", "a@empty.example", "550 5.1.8 the sender's domain"),
    ("on_sender_mx", "mail.good.example", "a@null.example", "550 5.7.27 "),
    ("on_sender_mx", "mail.good.example", "a@bogus.example", "550 5.1.8 all mail exchangers"),
])
def test_manners(manners, setting, helo, sender, code):
    g = manners
    facts = facts_of(g["fact"], send(g["fact"], helo=helo, sender=sender or "a@good.example"))
    assert any(facts.get(k) not in (None, "ok", "name", "confirmed")
               for k in ("wall.helo", "wall.helo.name", "wall.sender", "wall.sender.mx")), facts
    refused = send(g["reject"], helo=helo, sender=sender or "a@good.example")
    assert refused.startswith(code), refused


@pytest.fixture(scope="module")
def manners(tmp_path_factory, dns):
    settings = ("on_helo_invalid", "on_helo_ours", "on_helo_unknown", "on_sender_unknown", "on_sender_mx")
    with contextlib.ExitStack() as stack:
        out = {}
        for action in ("fact", "reject"):
            out[action] = stack.enter_context(wall(tmp_path_factory.mktemp(action), dns, None,
                                                   wall={s: action for s in settings}))
            start_proxied(out[action])
        yield out


def test_good_manners_pass(manners):
    g = manners["reject"]
    assert send(g, helo="mail.good.example", sender="a@good.example").startswith("250")
    assert send(g, helo="mail.good.example", sender="a@plain.example").startswith("250")
    assert send(g, helo="[192.0.2.1]", sender="").startswith("250")


def test_what_no_mail_server_does_is_a_fact(tmp_path, dns):
    with wall(tmp_path, dns, None) as g:
        start_proxied(g)
        with Stranger(g) as s:
            s.s.sendall(b"NOOP\n")
            assert s.reply().startswith("500")
            assert facts_of(g, s.send())["wall.manners"] == "bare-line-end"
        with Stranger(g) as s:
            s.s.sendall(b"EHLO x.example\r\nMAIL FROM:<a@b.example>\r\n")
            assert s.reply().startswith("554")
        wait_for("the record of the session", lambda: "faults=pipelined" in g.log_text())


# ---- greylisting ----

def test_greylisting_of_all(tmp_path, dns, sink):
    with wall(tmp_path, dns, sink, greylist={"mode": "all", "delay": "2s", "auto_pass": 2},
              wall={"dns_lists": [WHITE]}) as g:
        start_proxied(g)
        first = send(g)
        assert first.startswith("451 4.7.1 not known here yet, try again in 2 seconds"), first
        assert send(g, "192.0.2.7").startswith("250")  # on the list of good ones
        g.kill()
        g.start()
        wait_for("the end of the wait", lambda: send(g).startswith("250"), step=0.3)
        ok = send(g, "192.0.2.200")  # the same network
        assert ok.startswith("250") and facts_of(g, ok)["wall.greylist"] == "known"
        assert send(g, sender="other@plain.example").startswith("451")
        wait_for("the second proof", lambda: send(g, sender="other@plain.example").startswith("250"), step=0.3)
        ok = send(g, sender="third@plain.example")
        assert ok.startswith("250") and facts_of(g, ok)["wall.greylist"] == "proven"


def test_spf_stands_for_the_network(tmp_path, sink):
    zones = {"pool.example": "@ TXT \"v=spf1 ip4:192.0.2.0/24 ip4:203.0.113.0/24 -all\"\n@ A 198.51.100.1\n"}
    with dns_server.Nsd(tmp_path / "zones", zones) as dns, \
            wall(tmp_path, dns, sink, greylist={"mode": "all", "delay": "1s"}) as g:
        start_proxied(g)
        assert send(g, "192.0.2.1", sender="a@pool.example").startswith("451")
        wait_for("the end of the wait",
                 lambda: send(g, "203.0.113.1", sender="a@pool.example").startswith("250"), step=0.2)
        assert send(g, "198.51.100.9", sender="a@pool.example").startswith("451")


def test_only_the_doubtful_wait(tmp_path, dns, sink):
    rules = "header S_LOW Subject =~ /low/\nscore S_LOW 1\nheader S_MID Subject =~ /mid/\nscore S_MID 3\n" \
            "header S_TOP Subject =~ /top/\nscore S_TOP 20\n"
    with wall(tmp_path, dns, sink,
              greylist={"mode": "doubtful", "delay": "2s", "score_from": 2, "score_to": 15}) as g:
        (g.dir / "rules" / "own.cf").write_text(rules)
        start_proxied(g)
        assert send(g, data=message(subject="low")).startswith("250")
        assert send(g, data=message(subject="top")).startswith("550")
        put_off = send(g, data=message(subject="mid"))
        assert put_off.startswith("451 4.7.1 not known here yet"), put_off
        mid = re.search(r"\(([0-9A-Z]{16})\)", put_off)[1]
        group = wait_for("the record", lambda: story(g, mid).get("groups"))[0]
        assert group["outcome"] == "defer" and group["reason"] == "greylist", group
        wait_for("the end of the wait",
                 lambda: send(g, data=message(subject="mid")).startswith("250"), step=0.3)
        sink.wait(2)


# ---- rates ----

def test_rates_put_off_and_recover(tmp_path, dns, sink):
    limits = ["messages address 2/1m", "connections network 2/1h as calls", "sessions address 1 as lines"]
    with wall(tmp_path, dns, sink, rates={"limits": limits}) as g:
        start_proxied(g)
        with Stranger(g, "192.0.2.1") as s:
            assert s.send().startswith("250")
            assert s.send().startswith("250")
            over = s.send()
            assert over.startswith("450 4.7.1 too much from 192.0.2.1, try again in "), over
            second = Stranger(g, "192.0.2.1")
            assert second.greeting.startswith("421 4.7.0 gate.test too many connections from 192.0.2.1")
        g.kill()  # no restart forgives
        g.start()
        assert send(g, "192.0.2.1").startswith("450")
        with Stranger(g, "192.0.2.2") as s:
            assert s.greeting.startswith("421") and "192.0.2.0/24" in s.greeting
        assert "limit=calls" in g.log_text() and "limit=lines" in g.log_text()
        assert send(g, "127.0.0.1").startswith("250")  # ours are not counted


def test_rates_and_reputation_by_asn(tmp_path, dns, sink):
    """Two networks of one owner count together; the third is somebody else's."""
    base = tmp_path / "asn.mmdb"
    mmdb.write(base, {"192.0.2.0/24": {"autonomous_system_number": 64500},
                      "198.51.100.0/24": {"autonomous_system_number": 64500},
                      "203.0.113.0/24": {"autonomous_system_number": 64501}})
    with wall(tmp_path / "g", dns, sink, wall={"asn_database": str(base)},
              rates={"limits": ["messages asn 2/1h"]}) as g:
        start_proxied(g)
        assert send(g, "192.0.2.1").startswith("250")
        assert send(g, "198.51.100.7").startswith("250")
        assert send(g, "192.0.2.9").startswith("450 4.7.1 too much from AS64500")
        assert send(g, "203.0.113.9").startswith("250")
        reply = send(g, "203.0.113.10")
        assert reply.startswith("250")
        facts = facts_of(g, reply)
        assert facts["wall.asn"] == "AS64501" and "wall.reputation.asn" in facts
    (tmp_path / "broken.mmdb").write_bytes(b"no database")
    with wall(tmp_path / "h", dns, sink, wall={"asn_database": str(tmp_path / "broken.mmdb")}) as g:
        start_proxied(g)
        assert send(g, "192.0.2.1").startswith("250")
        assert "asn-database-unusable" in g.log_text()


def test_delay_instead_of_refusal(tmp_path, dns, sink):
    with wall(tmp_path, dns, sink, rates={"limits": ["messages address 60/1m burst 1 delay"]}) as g:
        start_proxied(g)
        begun = time.monotonic()
        with Stranger(g) as s:
            for _ in range(3):
                assert s.send().startswith("250")
        assert time.monotonic() - begun > 1.5
        assert "answer=delayed" in g.log_text()
        with Stranger(g) as s:  # gone while it is held back
            s.say("EHLO x.example")
            s.s.sendall(b"MAIL FROM:<a@b.example>\r\n")


def test_harvesters_run_dry(tmp_path, dns, sink):
    people = tmp_path / "people"
    people.write_text("bob@example.org\n")
    with wall(tmp_path, dns, sink, rates={"limits": ["bad-recipients address 3/1h"]},
              recipients={"check": "list", "file": str(people)}) as g:
        start_proxied(g)
        with Stranger(g) as s:
            s.say("EHLO x.example")
            s.say("MAIL FROM:<a@plain.example>")
            for n in range(3):
                assert s.say(f"RCPT TO:<guess{n}@example.org>").startswith("550")
            # Now hits and misses look the same.
            assert s.say("RCPT TO:<guess4@example.org>").startswith("450")
            assert s.say("RCPT TO:<bob@example.org>").startswith("450")
        assert send(g, "192.0.2.2").startswith("250")


def test_a_stolen_account_is_stopped_and_released(tmp_path, dns, sink):
    users = tmp_path / "users"
    word = subprocess.run(["openssl", "passwd", "-6", "secret"], capture_output=True, text=True, check=True).stdout
    users.write_text(f"anna:{word}")
    port = dns_server.free_port()
    with wall(tmp_path, dns, sink, rates={"limits": ["recipients user 3/1h stop as outbound"]},
              auth={"users_file": str(users), "plaintext": True}) as g:
        g.settings["listeners"].append({"name": "sub", "profile": "submission", "address": f"127.0.0.1:{port}"})
        g.stop()
        g.start()

        def session():
            s = smtplib.SMTP("127.0.0.1", port, timeout=60)
            s.login("anna", "secret")
            return s
        with session() as s:
            assert s.mail("anna@example.org")[0] == 250
            assert [s.rcpt(f"r{n}@example.net")[0] for n in range(3)] == [250, 250, 250]
            code, text = s.rcpt("r4@example.net")
            assert code == 550 and text.startswith(b"5.7.1 sending is stopped for this account"), text
        assert re.search(r"account-stopped user=anna limit=outbound", g.log_text())
        g.kill()
        g.start()
        with session() as s:
            assert s.mail("anna@example.org") == (550, b"5.7.1 sending is stopped for this account")
        assert json.loads(g.run("wall", "--json", "stopped").stdout)["user"] == "anna"
        assert g.run("wall", "release", "anna").returncode == 0
        assert g.run("wall", "release", "anna").returncode == 1
        with session() as s:
            assert s.mail("anna@example.org")[0] == 250


def test_operators_see_and_forget(tmp_path, dns, sink):
    with wall(tmp_path, dns, sink) as g:
        start_proxied(g)
        assert send(g, "192.0.2.1").startswith("250")
        known = json.loads(g.run("wall", "show", "192.0.2.1").stdout)
        assert known["client"] == "192.0.2.1" and known["network"]["messages"] == 1
        assert g.run("wall", "forget", "192.0.2.1").returncode == 0
        assert "address" not in json.loads(g.run("wall", "show", "192.0.2.1").stdout)
        assert json.loads(g.run("wall", "--json", "state").stdout)["entries"] > 0
        assert g.run("wall", "show", "nonsense", check=False).returncode == 64


def test_access_map_limits_clients(tmp_path, dns, sink):
    access = tmp_path / "access"
    access.write_text("ClientRate:192.0.2.1 2\nClientConn:192.0.2.2 1\n")
    with wall(tmp_path, dns, sink, access_file=str(access)) as g:
        start_proxied(g)
        assert [send(g, "192.0.2.1")[:3] for _ in range(3)] == ["250", "250", "421"]
        with Stranger(g, "192.0.2.2") as one, Stranger(g, "192.0.2.2") as two:
            assert one.greeting.startswith("220") and two.greeting.startswith("421")


# ---- reputation ----

def test_clients_get_a_name(tmp_path, dns, sink):
    with wall(tmp_path, dns, sink, reputation={"minimum": 3, "bad": 0.5, "on_bad": "reject"}) as g:
        start_proxied(g)
        assert send(g, "192.0.2.1").startswith("250")
        facts = facts_of(g, send(g, "192.0.2.1"))
        assert facts["wall.reputation.address"] == "-0.33 (1 messages)", facts
        for _ in range(4):
            assert send(g, "198.51.100.1", data=message(body=GTUBE + "\r\n")).startswith("550")
        g.kill()
        g.start()
        assert "too much unwanted mail" in send(g, "198.51.100.1")
        facts = facts_of(g, send(g, "198.51.100.2"))
        assert facts["wall.reputation.network"] == "0.67 (4 messages)", facts


# ---- what rules remember ----

def test_awl_pulls_towards_the_average(tmp_path, dns, sink):
    rules = """
loadplugin Mail::SpamAssassin::Plugin::AWL
header   S_TEN Subject =~ /ten points/
score    S_TEN 10
header   AWL   eval:check_from_in_auto_welcomelist()
tflags   AWL   userconf noautolearn
priority AWL   1000
"""
    with wall(tmp_path, dns, sink) as g:
        (g.dir / "rules" / "own.cf").write_text(rules)
        start_proxied(g)

        def hits(reply):
            mid = re.search(r"\b[0-9A-HJKMNP-TV-Z]{16}\b", reply)[0]
            return {h["name"]: h["score"] for h in wait_for("the record", lambda: story(g, mid).get("rules"))["hits"]}
        assert hits(send(g, data=message(subject="ten points"))) == {"S_TEN": 10}
        assert hits(send(g, data=message(subject="nothing"))) == {"AWL": 5}        # (10 - 0) / 2
        g.kill()
        g.start()
        assert hits(send(g, data=message(subject="ten points too"))) == {"S_TEN": 10, "AWL": -2.5}


# ---- by milter ----

def test_the_wall_behind_an_mta(tmp_path, dns):
    import milter
    with wall(tmp_path, dns, None, wall={"dns_lists": [BLACK], "on_helo_ours": "reject"}) as g:
        port = dns_server.free_port()
        g.settings["listeners"].append({"name": "mta", "protocol": "milter", "address": f"127.0.0.1:{port}"})
        g.stop()
        g.start()

        def rcpt(ip, helo="client.good.example", to="<bob@example.org>"):
            with milter.Mta(("127.0.0.1", port)) as m:
                m.negotiate().connect(ip=ip)
                m.helo(helo)
                assert m.mail("<a@plain.example>")[0] == b"c"
                return m.rcpt(to)
        assert rcpt("192.0.2.6") == (b"c", b"")
        code, text = rcpt("192.0.2.9")
        assert code == b"y" and text.startswith(b"550 5.7.1 client [192.0.2.9] is listed by black.test.example"), text
        assert rcpt("192.0.2.9", to="<postmaster@example.org>")[0] == b"c"
        assert b"you are not gate.test" in rcpt("192.0.2.6", helo="gate.test")[1]
