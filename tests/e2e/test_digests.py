"""Pyzor (Debian's pyzord), DCC and Razor (servers of our own: digest_peers.py): asked while mail waits, told by
`gatehouse report`; the stock rules hit; what does not answer costs what its setting says."""
import email
import json
import pathlib
import subprocess
import time

import digest_peers
import harness
import pytest

STOCK = pathlib.Path("/usr/share/spamassassin")
RULES = "\n".join(f"loadplugin Mail::SpamAssassin::Plugin::{p}" for p in ("Pyzor", "Razor2", "DCC")) + "\n" + r"""
full   PYZOR_CHECK     eval:check_pyzor()
tflags PYZOR_CHECK     net
full   RAZOR2_CHECK    eval:check_razor2()
tflags RAZOR2_CHECK    net
full   RAZOR2_CF_RANGE_51_100 eval:check_razor2_range('','51','100')
tflags RAZOR2_CF_RANGE_51_100 net
full   RAZOR_E8        eval:check_razor2_range('8','51','100')
tflags RAZOR_E8        net
full   DCC_CHECK       eval:check_dcc()
tflags DCC_CHECK       net
full   DCC_REPUT_95_98 eval:check_dcc_reputation_range(95,98)
tflags DCC_REPUT_95_98 net
full   DCC_REPUT_99_100 eval:check_dcc_reputation_range(99)
tflags DCC_REPUT_99_100 net
meta   DIGEST_MULTIPLE RAZOR2_CHECK + DCC_CHECK + PYZOR_CHECK > 1
add_header all Status "_YESNO_, score=_SCORE_ tests=_TESTS_ autolearn=_AUTOLEARN_"
add_header all Digests _PYZOR_ | _DCCB_ | _DCCR_ | _DCCREP_
"""
BODY = "".join(f"line number {i} of an offer that nobody asked for, http://shop.example/{i}\r\n" for i in range(12))


def hits(data):
    status = data.split(b"X-Spam-Status:", 1)[1].split(b"\r\nX-", 1)[0].decode()
    tests = status.split("tests=", 1)[1].split("autolearn", 1)[0]
    return {t.strip() for t in tests.split(",")} - {"none"}


def gateway(tmp_path, sink, rules=RULES, **settings):
    return harness.gateway(tmp_path, next_hop=sink.port, rules=rules, settings=settings)


def receipt(g):
    last = harness.wait_for("the record", lambda: g.run("log", "--json").stdout.splitlines())[-1]
    return json.loads(g.run("log", "--json", json.loads(last)["id"]).stdout)


def delivered(sink, g, data):
    n = len(sink.messages)
    code, reply = g.send(data)
    assert code == 250, reply
    harness.wait_for("the message", lambda: len(sink.messages) > n)
    return sink.messages[-1][2]


def configuration(tmp_path, **settings):
    path = tmp_path / "report.yaml"
    path.write_text(json.dumps(settings))
    return path


def gatehouse(*args):
    return subprocess.run([harness.BINARY, *map(str, args)], capture_output=True, text=True)


def test_pyzord_counts_what_is_reported_and_the_stock_rule_hits(tmp_path, sink):
    with digest_peers.Pyzord(tmp_path / "pyzord") as p:
        data = harness.message(body=BODY)
        spam = tmp_path / "spam.eml"
        spam.write_bytes(data)
        c = configuration(tmp_path, pyzor={"servers": [p.address]})
        for _ in range(5):
            assert gatehouse("report", "-c", c, "--pyzor", spam).returncode == 0
        assert p.counts(data) == (5, 0)
        with gateway(tmp_path / "g", sink, pyzor={"servers": [p.address]}) as g:
            got = delivered(sink, g, data)
            assert hits(got) == {"PYZOR_CHECK"}
            assert b"Reported 5 times, welcomelisted 0 times" in got
            assert '"pyzor.count": "5"' in json.dumps(receipt(g))
            # only alice may welcome it: the anonymous user is refused by the server
            assert "403" in gatehouse("report", "-c", c, "--pyzor", "--ham", spam).stdout
            alice = configuration(tmp_path, pyzor={"servers": [p.address], "accounts": str(p.accounts)})
            for _ in range(10):
                assert gatehouse("report", "-c", alice, "--ham", spam).returncode == 0
            assert p.counts(data) == (5, 10)
            assert hits(delivered(sink, g, data)) == set()  # 10 >= 5 * 0.2
            assert hits(delivered(sink, g, harness.message(body="another text, unknown to all\r\n"))) == set()


def test_an_account_signs_its_checks(tmp_path, sink):
    with digest_peers.Pyzord(tmp_path / "pyzord", access="ALL : alice : allow\n") as p:
        with gateway(tmp_path / "g", sink, pyzor={"servers": [p.address]}) as g:
            delivered(sink, g, harness.message(body=BODY))
            assert "pyzor.unavailable" in json.dumps(receipt(g))
        with gateway(tmp_path / "h", sink,
                     pyzor={"servers": [p.address], "accounts": str(p.accounts)}) as g:
            delivered(sink, g, harness.message(body=BODY))
            assert "pyzor.count" in json.dumps(receipt(g))


def test_digests_are_those_of_pyzor(tmp_path):
    """A few messages of each kind; the unit test has more, and 3600 of the corpora agree."""
    html = "<html><body><p>Buy &eacute;verything <b>now</b> and here</p><script>x < y</script></body></html>"
    plain = email.message.EmailMessage()
    plain.set_content("Grüße aus Köln, an alle Freunde\n" * 3)
    both = email.message.EmailMessage()
    both.set_content("first the plain words\n")
    both.add_alternative(html, subtype="html")
    both.add_attachment(b"\x00\x01binary" * 20, maintype="application", subtype="octet-stream")
    c = configuration(tmp_path, pyzor={"servers": ["127.0.0.1:9"]})
    for n, m in enumerate((plain, both)):
        path = tmp_path / f"{n}.eml"
        path.write_bytes(m.as_bytes())
        digest = subprocess.run(["/usr/bin/pyzor", f"--homedir={tmp_path}", "digest"], input=m.as_bytes(),
                                capture_output=True).stdout.decode().strip()
        out = gatehouse("report", "-c", c, "--pyzor", "--dry-run", path)
        assert digest and digest in out.stdout, (digest, out)


def test_dccifd_is_asked_and_its_rules_hit(tmp_path, sink):
    with digest_peers.Dccifd(tmp_path / "dccifd") as dcc, \
            gateway(tmp_path / "g", sink, dcc={"dccifd": f"unix:{tmp_path}/dccifd"}) as g:
        data = harness.message(body=BODY)
        got = delivered(sink, g, data)
        assert hits(got) == {"DCC_CHECK", "DCC_REPUT_95_98"}
        assert b"| test | test 1049; bulk Body=many" in got.replace(b"\r\n\t", b" ")
        options, client, helo, sender, rcpt, blank, rest = dcc.requests[0].split(b"\n", 6)
        assert options == b"cksums grey-off" and client.startswith(b"127.0.0.1") and sender == b""
        assert (rcpt, blank) == (b"unknown", b"") and rest == data
        dcc.metrics = "test 1049; Body=1 Fuz1=1 Fuz2=1"
        assert hits(delivered(sink, g, data)) == set()
        spam = tmp_path / "spam.eml"
        spam.write_bytes(data)
        c = configuration(tmp_path, dcc={"dccifd": f"unix:{tmp_path}/dccifd"})
        assert gatehouse("report", "-c", c, "--dcc", spam).returncode == 0
        assert dcc.requests[-1].startswith(b"header spam grey-off\n")


@pytest.mark.parametrize("outcome", ["pass", "defer", "hold"])
def test_a_service_that_is_silent_costs_what_its_setting_says(tmp_path, sink, outcome):
    with digest_peers.Dccifd(tmp_path / "dccifd") as dcc, digest_peers.Deaf() as deaf:
        dcc.silent.set()
        with gateway(tmp_path / "g", sink, dcc={"dccifd": f"{tmp_path}/dccifd", "timeout": "500ms"},
                     pyzor={"servers": [deaf.address], "timeout": "500ms", "on_error": outcome}) as g:
            start = time.monotonic()
            code, reply = g.send(harness.message(body=BODY))
            assert time.monotonic() - start < 20
            if outcome == "defer":
                assert code == 451, reply
            else:
                assert code == 250, reply
            told = json.dumps(receipt(g))
            assert "dcc.unavailable" in told and "pyzor.unavailable" in told and "no answer in time" in told
            assert len(deaf.asked) > 1  # a datagram may be lost: asked again
            if outcome == "pass":
                harness.wait_for("the message", lambda: sink.messages)
            else:
                assert not sink.messages
            if outcome == "hold":
                assert harness.wait_for("quarantine", lambda: g.run("quarantine", "list").stdout)


def test_nonsense_is_no_answer(tmp_path, sink):
    for n, answer in enumerate((b"", b"\x00" * 8000, b"Code: 200\nThread: 0\nCount: 9\nWL-Count: 0\n\n")):
        with digest_peers.Deaf(answer) as deaf, \
                gateway(tmp_path / f"g{n}", sink, pyzor={"servers": [deaf.address], "timeout": "400ms"}) as g:
            assert hits(delivered(sink, g, harness.message(body=BODY))) == set()
            assert "pyzor.unavailable" in json.dumps(receipt(g))


def test_the_others_go_on_while_one_waits(tmp_path, sink):
    """40 messages whose answers take 500 ms each, one scanner: not 20 seconds."""
    with digest_peers.Deaf() as deaf, \
            gateway(tmp_path / "g", sink, processes={"scanners": 1},
                    pyzor={"servers": [deaf.address], "timeout": "500ms"}) as g:
        import concurrent.futures
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            codes = list(pool.map(lambda i: g.send(harness.message(f"n{i}", body=BODY))[0], range(40)))
        assert codes == [250] * 40 and time.monotonic() - start < 12


def razor_signatures(data):
    """Those of Debian's razor-agents."""
    script = ("use Razor2::Client::Agent; my $r = Razor2::Client::Agent->new('razor-check');"
              "$r->{opt} = {debug=>0, foreground=>1}; $r->do_conf();"
              "$r->{s}{engines} = {4=>1, 8=>1}; $r->{s}{conf}{ep4} = '7542-10'; $r->{s}{ip} = 'x';"
              "local $/; my $t = <STDIN>; $/ = qq(\\n); my $o = $r->prepare_objects([\\$t]);"
              "$r->compute_sigs($o); for my $p (@{$o->[0]{p}}) { for (4, 8) { my $s = $p->{\"e$_\"} or next;"
              "print \"$_ $_\\n\" for (); print join(' ', $_, ref $s ? @$s : $s), \"\\n\" } }")
    out = subprocess.run(["perl", "-e", script], input=data.replace(b"\r\n", b"\n"), capture_output=True)
    return {int(l.split()[0]): l.split()[1:] for l in out.stdout.decode().splitlines()}


def test_razor_is_asked_and_its_rules_hit(tmp_path, sink):
    data = harness.message(body=BODY)
    theirs = razor_signatures(data)
    assert set(theirs) == {4, 8}
    with digest_peers.Razor() as razor, gateway(tmp_path / "g", sink, razor={"servers": [razor.address]}) as g:
        assert hits(delivered(sink, g, data)) == set()
        asked = razor.checked()
        assert [q["s"] for q in asked if q["e"] == "4"] == theirs[4]
        assert [q["s"] for q in asked if q["e"] == "8"] == theirs[8]
        razor.known = {theirs[4][0]: "p=1&cf=15"}  # below the server's average of 20
        assert hits(delivered(sink, g, data)) == set()
        razor.known = {theirs[4][0]: "p=1&cf=95", theirs[8][0]: "p=0"}
        assert hits(delivered(sink, g, data)) == {"RAZOR2_CHECK", "RAZOR2_CF_RANGE_51_100"}
        razor.known = {theirs[4][0]: "p=0", theirs[8][0]: "p=1&cf=60"}
        assert hits(delivered(sink, g, data)) == {"RAZOR2_CHECK", "RAZOR2_CF_RANGE_51_100", "RAZOR_E8"}
        razor.known = {theirs[4][0]: "p=1&cf=95&ct=1", theirs[8][0]: "p=1&cf=95&ct=1"}  # contested
        assert hits(delivered(sink, g, data)) == set()
        assert sum("pm=state" in line for line in razor.lines) == 1  # its state is remembered


def test_razor_servers_are_found_and_replaced(tmp_path, sink):
    data = harness.message(body=BODY)
    with digest_peers.Razor() as razor:
        razor.known = {razor_signatures(data)[4][0]: "p=1&cf=99"}
        with gateway(tmp_path / "g", sink, razor={"discovery": razor.address}) as g:
            assert "RAZOR2_CHECK" in hits(delivered(sink, g, data))
        dead = f"127.0.0.1:{harness.free_port()}"
        with gateway(tmp_path / "h", sink, razor={"servers": [dead, razor.address]}) as g:
            assert "RAZOR2_CHECK" in hits(delivered(sink, g, data))
        with gateway(tmp_path / "i", sink, razor={"servers": [dead]}) as g:
            delivered(sink, g, data)
            assert "razor.unavailable" in json.dumps(receipt(g))


def test_razor_takes_a_report_with_an_identity(tmp_path):
    data = harness.message(body=BODY)
    (tmp_path / "spam.eml").write_bytes(data)
    (tmp_path / "identity").write_text("user=spotter\npass=secret\n")
    with digest_peers.Razor() as razor:
        c = configuration(tmp_path, razor={"reporting": [razor.address], "identity": str(tmp_path / "identity")})
        out = gatehouse("report", "-c", c, "--razor", tmp_path / "spam.eml")
        assert out.returncode == 0, out
        assert razor.reported[0] == razor_signatures(data)[4][0]
        assert b"line number 3 of an offer" in razor.whole[0]
        expected = subprocess.run(
            ["perl", "-MRazor2::String=hmac_sha1,xor_key", "-e",
             "my ($a, $b) = xor_key('secret'); print scalar hmac_sha1('0123456789abcdef', $a, $b)"],
            capture_output=True, text=True).stdout
        assert expected and razor.response == expected
        (tmp_path / "identity").write_text("user=nobody\npass=secret\n")
        out = gatehouse("report", "-c", c, "--razor", tmp_path / "spam.eml")
        assert out.returncode == 1 and "does not know the identity" in out.stdout


@pytest.mark.skipif(not STOCK.exists(), reason="SpamAssassin's rules are not installed")
def test_stock_rules_hit_with_their_scores(tmp_path):
    """SpamAssassin's own files, DCC's plugin loaded as its v310.pre says."""
    site = tmp_path / "site"
    site.mkdir()
    for pre in pathlib.Path("/etc/spamassassin").glob("*.pre"):
        lines = [line.lstrip("# ") if "Plugin::DCC" in line and "loadplugin" in line else line
                 for line in pre.read_text().splitlines()]
        (site / pre.name).write_text("\n".join(lines) + "\n")
    data = harness.message(body=BODY)
    (tmp_path / "m.eml").write_bytes(data)
    with digest_peers.Pyzord(tmp_path / "pyzord") as p, digest_peers.Dccifd(tmp_path / "dccifd") as dcc, \
            digest_peers.Razor() as razor:
        for _ in range(5):
            p.client("report", data=data)
        razor.known = {razor_signatures(data)[4][0]: "p=1&cf=95"}
        c = configuration(tmp_path, pyzor={"servers": [p.address]}, dcc={"dccifd": str(dcc.path)},
                          razor={"servers": [razor.address]}, virus={"enabled": False},
                          authentication={"enabled": False}, rules={"site_dir": str(site)},
                          dns={"servers": ["127.0.0.1@9"], "timeout": "300ms", "message_time": "500ms"},
                          paths={"cache": str(tmp_path / "cache")})
        out = json.loads(gatehouse("scan", "-c", c, "--format", "json", tmp_path / "m.eml").stdout)
        scores = {r["name"]: r["score"] for r in out["rules"]}
        assert scores.items() >= {"PYZOR_CHECK": 1.985, "RAZOR2_CHECK": 1.729, "RAZOR2_CF_RANGE_51_100": 2.43,
                                  "DCC_CHECK": 1.1, "DCC_REPUT_95_98": 0.7}.items()
        assert "DIGEST_MULTIPLE" in scores
        assert dcc.requests[0].startswith(b"cksums grey-off query\n")  # a file is not counted
        asked = len(razor.lines)
        gatehouse("scan", "-c", c, "--local", tmp_path / "m.eml")
        assert len(razor.lines) == asked and len(dcc.requests) == 1


def test_spamcop_gets_the_message(tmp_path, sink):
    received = "Received: from bad.example (bad.example [203.0.113.9]) by gate.example; " + \
        time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())
    data = harness.message(body=BODY, headers=(received,)).split(b"From:", 1)
    data = received.encode() + b"\r\nFrom:" + data[1]
    spam = tmp_path / "spam.eml"
    spam.write_bytes(data)
    c = configuration(tmp_path, hostname="gate.example", spamcop={
        "from": "abuse@gate.example", "to": "submit.abc@spam.spamcop.net", "relay": f"127.0.0.1:{sink.port}"})
    out = gatehouse("report", "-c", c, "--spamcop", spam)
    assert out.returncode == 0, out
    sender, rcpts, mail = sink.messages[0]
    assert (sender, rcpts) == ("abuse@gate.example", ["submit.abc@spam.spamcop.net"])
    m = email.message_from_bytes(mail)
    assert m["Subject"] == "report spam" and m.get_content_type() == "multipart/mixed"
    part = m.get_payload()[0]
    assert part.get_content_type() == "message/rfc822" and part.get_param("x-spam-type") == "report"
    assert "203.0.113.9" in part["X-Spam-Relays-Untrusted"]
    assert part.get_payload()[0].get_payload().replace("\r\n", "\n") .strip() == BODY.replace("\r\n", "\n").strip()
    # nothing is sent, and mail that is too old or too long
    out = gatehouse("report", "-c", c, "--spamcop", "--dry-run", spam)
    assert "x-spam-type=report" in out.stdout and len(sink.messages) == 1
    old = tmp_path / "old.eml"
    old.write_bytes(harness.message(body=BODY).replace(b"22 Nov 2026", b"2 Nov 2025"))
    out = gatehouse("report", "-c", c, "--spamcop", "--json", old)
    assert out.returncode == 1 and "older than two days" in json.loads(out.stdout)["why"]
    spam.write_bytes(data + b"filler of a long message\r\n" * 4000)
    assert gatehouse("report", "-c", c, "--spamcop", spam).returncode == 0
    assert b"[truncated by Gatehouse]" in sink.messages[1][2] and len(sink.messages[1][2]) < 60000


def test_settings_are_checked(tmp_path):
    for section, key, value, word in (("pyzor", "servers", ["nohost"], "HOST:PORT"),
                                      ("dcc", "dccifd", "dccifd", "unix:/PATH"),
                                      ("razor", "min_cf", "ac+x", "0 to 100"),
                                      ("spamcop", "to", "nobody", "an address")):
        c = configuration(tmp_path, **{section: {key: value}})
        out = gatehouse("check", "-c", c)
        assert out.returncode == 78 or out.returncode == 1
        assert word in out.stdout + out.stderr, out


