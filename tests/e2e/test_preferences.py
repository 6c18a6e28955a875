"""Preferences of users: as SpamAssassin applies them, by file and by SQL, for each recipient of a message."""
import email
import email.header
import email.policy
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import urllib.request

import pytest
import yaml

import harness

PARITY = harness.ROOT / "tests" / "parity"
sys.path.insert(0, str(PARITY))
import messages  # noqa: E402

PREFS = {
    "empty": "",
    "scores": "score MISSING_MID 3.5\nscore NO_RELAYS 1.25\nscore ALL_TRUSTED -4 -3 -2 -1\nscore ADVANCE_FEE_4_NEW 0.5\n"
              "score HTML_MESSAGE (0.7)\nscore MIME_HTML_ONLY (-0.2)\nscore NOT_A_RULE 3\n",
    "switched off": "score MISSING_MID 0\nscore HTML_MESSAGE 0\nscore __HAS_FROM 0\nscore __LOCAL_PP_NONPPURL 0\n"
                    "score T_HTML_ATTACH 0\nscore DRUGS_ERECTILE 0\nscore MISSING_HEADERS 0\nscore __LOTSA_MONEY_00 0\n",
    "threshold": "required_score 1.5\nreport_contact nobody@example.com\n",
    "old name": "required_hits 12\n",
    "welcome": "welcomelist_from *@example.net\n",
    "whitelist": "whitelist_from alice@example.net\nunwhitelist_from alice@example.net\nwhitelist_from bob@*\n",
    "rcvd": "welcomelist_from_rcvd *@example.net example.net\n",
    "rcvd ip": "welcomelist_from_rcvd alice@example.net [203.0.113.9]\nwelcomelist_allows_relays x@example.net\n",
    "block": "blocklist_from ALICE@example.net\nblocklist_to bob@example.org\n",
    "to": "welcomelist_to bob@example.org\nmore_spam_to *@example.org\nall_spam_to b?b@example.org\n",
    "hosts": "blocklist_uri_host example.com\nwelcomelist_uri_host 203.0.113.77\nenlist_uri_host (SUSP_URI_NTLD) net\n",
    "subject": "welcomelist_subject hello\nblocklist_subject both*\n",
    "headers": "clear_headers\nadd_header all Status _YESNO_, score=_SCORE_ required=_REQD_ by=_HOSTNAME_\n"
               "add_header spam Flag _YESNOCAPS_\nadd_header ham Tests _TESTS(;)_\n"
               "add_header all Long \"_TESTSSCORES(,)_ and _STARS(x)_\\nsecond line\"\nrequired_score 2\n",
    "fewer headers": "remove_header all Level\nremove_header ham Status\nremove_header all Checker-Version\n",
    "locales": "ok_locales en\n",
    "locales ja": "ok_locales ja zh\n",
    "networks": "trusted_networks 203.0.113.0/24\ninternal_networks 203.0.113.9\n",
    "no networks": "clear_trusted_networks\nclear_internal_networks\ntrusted_networks 192.0.2/24\n",
    "names": "freemail_domains example.net\nenlist_addrlist (PAYPAL) alice@example.net\n",
    "charset": "normalize_charset 0\n",
    "refused": "loadplugin Mail::SpamAssassin::Plugin::PDFInfo\nheader NEW_ONE Subject =~ /./\nscore NEW_ONE 4\nutil_rb_tld x\n"
               "bayes_path /tmp/x\nredirector_pattern /x/i\nrequired_score 3\n",
    "mistakes": "required_score many\nscore\nadd_header sometimes X y\nwelcomelist_from\nnonsense 3\nscore NO_RELAYS 0.5\n",
    "conditions": "if (version >= 4)\nscore NO_RELAYS 2\nelse\nscore NO_RELAYS 3\nendif\nifplugin Mail::SpamAssassin::Plugin::Nope\n"
                  "required_score 1\nendif\n",
    "describe": "describe NO_RELAYS came from nowhere\nadd_header all Report _REPORT_\n",
}
USER_RULES = {
    "new rules": "header MY_HELLO Subject =~ /hello/i\nscore MY_HELLO 1.5\nbody __MY_BODY /million|pills/i\n"
                 "meta MY_META MY_HELLO && __MY_BODY\nscore MY_META 2\nuri MY_URI /example/\ntflags MY_URI multiple maxhits=3\n"
                 "rawbody MY_RAW /CLICK/\nfull MY_FULL /Alice/\nheader MY_NONE X-None !~ /x/\nheader MY_EXISTS exists:Date\n"
                 "header MY_UNSET X-Nowhere =~ /^UNSET$/ [if-unset: UNSET]\nmimeheader MY_MIME Content-Type =~ /html/\n",
}
EXTRA = ("allow_user_rules 0\nifplugin Mail::SpamAssassin::Plugin::TextCat\nendif\n")

FARAWAY = (b"From: =?koi8-r?Q?=C9=D7=C1=CE?= <ivan@example.net>\nTo: bob@example.org\nSubject: =?GB2312?B?xOO6ww==?=\n"
           b"Date: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <x@example.net>\nMIME-Version: 1.0\n"
           b"Content-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\n"
           + b"\xf0\xd2\xc9\xd7\xc5\xd4\xd3\xd4\xd7\xd5\xc0 \xd7\xc1\xd3\n" * 20)


def site(directory, extra):
    shutil.copytree("/etc/spamassassin", directory, ignore=shutil.ignore_patterns("sa-update-keys"))
    (directory / "zz.cf").write_text(extra + "use_bayes 0\nbayes_auto_learn 0\n")
    return directory


def mails(directory):
    messages.write(directory)
    (directory / "faraway.eml").write_bytes(FARAWAY)
    return sorted(p for p in directory.rglob("*.eml"))


def oracle(site_dir, pairs):
    lines = "".join(f"{p}\t{m}\n" for p, m in pairs)
    r = subprocess.run(["perl", harness.ROOT / "tests/parity/prefs.pl", site_dir], input=lines.encode(),
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return [json.loads(line) for line in r.stdout.decode("latin-1").splitlines()]


def scan(config, prefs, paths, form):
    r = subprocess.run([harness.BINARY, "scan", "-c", config, "--local", "--prefs", prefs, "--format", form, *paths],
                       capture_output=True, env={"PATH": "/usr/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(config.parent)})
    assert r.returncode in (0, 1), r.stderr
    return r.stdout


def spam_headers(message):
    head = message.partition(b"\n\n")[0].decode("latin-1")
    fields = re.findall(r"^(X-Spam-[^:]+): ((?:.*)(?:\n[ \t].*)*)", head, re.M)
    # Hits of one priority and kind come in the order of a Perl hash.
    return [(n, sorted(v.split("\n")) if n == "X-Spam-Report" else v) for n, v in fields
            if n not in ("X-Spam-Score", "X-Spam-Checker-Version")]


def configure(tmp_path, extra):
    site_dir = site(tmp_path / "site", extra)
    config = tmp_path / "gatehouse.yaml"
    config.write_text(yaml.safe_dump({"hostname": "host.example", "rules": {"site_dir": str(site_dir)},
                                      "paths": {k: str(tmp_path / k) for k in ("state", "spool", "cache", "run")}}))
    (tmp_path / "cache").mkdir()
    return site_dir, config


def chosen_mails(paths, i, name):
    """A few for each preferences, others for the next; what speaks of charsets gets those."""
    some = [paths[(i * 3 + k * 7) % len(paths)] for k in range(2)]
    return sorted({*some, *(p for p in paths if "locales" in name and p.name == "faraway.eml")})


def compare(tmp_path, extra, cases):
    site_dir, config = configure(tmp_path, extra)
    paths = mails(tmp_path / "mails")
    pairs, files = [], {}
    for i, (name, text) in enumerate(cases.items()):
        files[name] = tmp_path / f"prefs-{i}"
        files[name].write_text(text)
        pairs += [(files[name], m) for m in chosen_mails(paths, i, name)]
    wanted = iter(oracle(site_dir, pairs))
    for i, name in enumerate(cases):
        chosen = chosen_mails(paths, i, name)
        found = [json.loads(line) for line in scan(config, files[name], chosen, "json").splitlines()]
        for path, got in zip(chosen, found, strict=True):
            want = next(wanted)
            where = (name, path.name)
            assert sorted({r["name"] for r in got["rules"]}) == want["rules"], where
            assert got["subrules"] == want["subrules"], where
            assert got["score"] == pytest.approx(want["score"], abs=0.0005), where
            assert got["required"] == pytest.approx(want["required"]), where
            if path == chosen[i % len(chosen)]:
                said = spam_headers(want["headers"].encode("latin-1") + b"\n\n")
                assert spam_headers(scan(config, files[name], [path], "message")) == said, where


def test_preferences_score_as_in_spamassassin(tmp_path):
    compare(tmp_path, EXTRA, PREFS)


def test_rules_of_users_where_they_are_allowed(tmp_path):
    compare(tmp_path, "allow_user_rules 1\n", USER_RULES)


def test_what_users_may_not_say_is_told(tmp_path):
    _, config = configure(tmp_path, "")
    (tmp_path / "p").write_text("loadplugin X\n\nheader A Subject =~ /x/\ninclude /etc/passwd\nrequired_score 4\n")
    (tmp_path / "m").write_bytes(messages.simple())
    r = subprocess.run([harness.BINARY, "scan", "-c", config, "--local", "--prefs", tmp_path / "p", tmp_path / "m"],
                       capture_output=True, text=True)
    assert "p:1: loadplugin: only the administrator" in r.stderr
    assert "p:3: header: preferences may set it only with allow_user_rules" in r.stderr
    assert "p:4: include: preferences can't include files" in r.stderr


# ---- in the gateway: each recipient its own ----

GLOBAL = harness.RULES + """
add_header all Status _YESNO_, score=_SCORE_ required=_REQD_
score T_SUBJ_TAGME 3
header __FROM_ALICE From =~ /alice/
meta   ALICE_TAGS   __FROM_ALICE && T_SUBJ_TAGME
score  ALICE_TAGS   0.5
header USER_IN_WELCOMELIST eval:check_from_in_welcomelist()
tflags USER_IN_WELCOMELIST userconf nice noautolearn
score  USER_IN_WELCOMELIST -100
"""
WLBL = "loadplugin Mail::SpamAssassin::Plugin::WLBLEval\n"


def deliver(gateway, sink, recipients, subject, body="first light\r\n"):
    import smtplib
    before = len(sink.messages)
    with smtplib.SMTP("127.0.0.1", gateway.port) as s:
        s.sendmail("alice@example.net", recipients, harness.message(subject=subject, body=body))
    harness.wait_for("all copies", lambda: sum(len(m[1]) for m in sink.messages[before:]) >= len(recipients))
    copies = {}
    for _, rcpts, data in sink.messages[before:]:
        for rcpt in rcpts:
            copies[rcpt.strip("<>")] = data.decode("latin-1")
    return copies


def status(copy):
    return re.search(r"^X-Spam-Status: (\w+), score=(-?[\d.]+) required=(-?[\d.]+)", copy, re.M).groups()


@pytest.fixture
def house(tmp_path):
    """A gateway, its next hop, and where preferences are."""
    sink = harness.Sink()
    users = tmp_path / "users"
    gateway = harness.Gateway(tmp_path / "gateway", next_hop=sink.port, rules=GLOBAL, settings={
        "preferences": {"files": [f"{users}/%d", f"{users}/%d/%l"], "sql_keep": "0s"}})
    (gateway.dir / "rules" / "a.pre").write_text(WLBL)
    yield gateway, sink, users
    gateway.stop()
    sink.close()


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name("new")
    temporary.write_text(text)
    temporary.rename(path)


def test_recipients_of_one_message_get_their_own_score(house):
    gateway, sink, users = house
    put(users / "example.org" / "user_prefs", "required_score 3.2\nrewrite_header Subject *SPAM*\n")
    put(users / "example.org" / "carol" / "user_prefs", "required_score 9\nscore T_SUBJ_TAGME 8\nadd_header all Mine _SCORE_\n")
    put(users / "example.org" / "dave" / "user_prefs", "welcomelist_from alice@example.net\n")
    put(users / "example.org" / "erin" / "user_prefs", "score T_SUBJ_TAGME 0\n")
    gateway.settings["relay"]["domains"].append("example.com")
    gateway.start()
    to = ["bob@example.org", "Carol@Example.org", "dave@example.org", "erin@example.org", "zoe@example.com"]
    copies = {k.lower(): v for k, v in deliver(gateway, sink, to, "please tag me").items()}
    assert status(copies["bob@example.org"]) == ("Yes", "3.5", "3.2")
    assert "Subject: *SPAM* please tag me" in copies["bob@example.org"]
    assert status(copies["carol@example.org"]) == ("No", "8.5", "9.0")
    assert "X-Spam-Mine: 8.5" in copies["carol@example.org"]
    assert status(copies["dave@example.org"]) == ("No", "-96.5", "3.2")
    assert status(copies["erin@example.org"]) == ("No", "0.0", "3.2")
    assert status(copies["zoe@example.com"]) == ("No", "3.5", "5.0")
    assert "Subject: please tag me" in copies["zoe@example.com"]
    # What a file says now counts for the next message.
    put(users / "example.org" / "erin" / "user_prefs", "score T_SUBJ_TAGME 7\n")
    assert status(deliver(gateway, sink, ["erin@example.org"], "please tag me")["erin@example.org"]) == ("Yes", "7.5", "3.2")


@pytest.mark.skipif(not shutil.which("spamc"), reason="spamc is not installed")
def test_spamc_names_whose_preferences_count(house):
    gateway, _, users = house
    put(users / "example.org" / "user_prefs", "required_score 3.2\n")
    put(users / "example.org" / "carol" / "user_prefs", "required_score 9\nscore T_SUBJ_TAGME 8\n")
    ports = harness.free_port(), harness.free_port()
    gateway.settings["listeners"] += [
        {"name": "spamd", "protocol": "spamd", "address": f"127.0.0.1:{ports[0]}"},
        {"name": "rspamd", "protocol": "rspamd", "address": f"127.0.0.1:{ports[1]}"}]
    gateway.start()
    data = harness.message("please tag me")

    def spamc(*args):
        return subprocess.run(["spamc", "-d", "127.0.0.1", "-p", str(ports[0]), "-c", *args], input=data,
                              capture_output=True, timeout=60).stdout.decode().strip()
    assert [spamc("-u", u) for u in ("bob@example.org", "carol@example.org", "zoe@example.com")] == \
        ["3.5/3.2", "8.5/9.0", "3.5/5.0"]
    for user, required in (("bob@example.org", 3.2), ("carol@example.org", 9), ("zoe@example.com", 5)):
        q = urllib.request.Request(f"http://127.0.0.1:{ports[1]}/checkv2", data=data, headers={"Deliver-To": user})
        with urllib.request.urlopen(q, timeout=60) as r:
            assert json.load(r)["required_score"] == required


def test_marks_in_addresses_and_prefixes_of_rules(house):
    gateway, sink, users = house
    put(gateway.dir / "rules" / "marks.cf", "subjprefix T_SUBJ_TAGME [FIRST _SCORE_]\nsubjprefix ALICE_TAGS [SECOND]\n"
        "rewrite_header Subject *SPAM*\nrewrite_header From really (_SCORE_)?\nadd_header all Prefix _SUBJPREFIX_\n")
    put(users / "example.org" / "user_prefs", "required_score 3.2\nrewrite_header To _PREVIEW_\n"
        "rewrite_header From stra\u00dfe\n")
    put(users / "example.org" / "carol" / "user_prefs", "required_score 9\n")
    gateway.settings["relay"]["domains"].append("example.com")
    gateway.start()
    to = ["bob@example.org", "carol@example.org"]
    copies = deliver(gateway, sink, to, "please tag me", "light) <x@example.net>, (light\r\n")
    spam, ham = copies["bob@example.org"], copies["carol@example.org"]
    assert "Subject: *SPAM* [FIRST 3.5] [SECOND] please tag me\r" in spam
    assert "Subject: [FIRST 3.5] [SECOND] please tag me\r" in ham
    assert "X-Spam-Prefix: [FIRST _SCORE_] [SECOND]" in ham  # as it stands in the rule, SpamAssassin does the same
    assert "\nFrom: Alice <" in ham and "\nTo: <bob@" in ham
    head = email.message_from_string(spam)
    assert re.match(r"\(=\?UTF-8\?[QB]\?\S+\?=\) Alice <alice@example.net>$", head["From"], re.I), head["From"]
    assert str(email.header.make_header(email.header.decode_header(head["From"]))).startswith("(stra\u00dfe) ")
    # What a tag holds stays within the comment.
    assert "] <x@example.net>, [" in head["To"], head["To"]
    addresses = email.message_from_string(spam, policy=email.policy.default)["To"].addresses
    assert [a.addr_spec for a in addresses] == ["bob@example.org"], head["To"]


def test_preferences_of_a_database(house, tmp_path):
    gateway, sink, _ = house
    base = tmp_path / "prefs.db"
    with sqlite3.connect(base) as db:
        db.execute("CREATE TABLE userpref (username TEXT, preference TEXT, value TEXT)")
        db.executemany("INSERT INTO userpref VALUES (?, ?, ?)", [
            ("@GLOBAL", "required_score", "2"), ("@GLOBAL", "score T_SUBJ_TAGME", "1"),
            ("%example.org", "score T_SUBJ_TAGME", "4"), ("carol@example.org", "score T_SUBJ_TAGME", "6"),
            ("o'hara@example.org", "required_score", "1.25")])
    put(gateway.dir / "rules" / "sql.cf",
        f"user_scores_dsn DBI:SQLite:dbname={base}\nuser_scores_sql_custom_query SELECT preference, value FROM _TABLE_ "
        "WHERE username = _USERNAME_ OR username = '@GLOBAL' OR username = '%' || _DOMAIN_ ORDER BY username DESC\n")
    gateway.start()
    to = ["bob@example.org", "carol@example.org"]
    copies = deliver(gateway, sink, to, "please tag me")
    # Descending: carol, @GLOBAL, %domain; what comes last counts.
    assert status(copies["bob@example.org"]) == ("Yes", "4.5", "2.0")
    assert status(copies["carol@example.org"]) == ("Yes", "4.5", "2.0")
    with sqlite3.connect(base) as db:
        db.execute("DELETE FROM userpref WHERE username = '%example.org'")
        db.execute("DELETE FROM userpref WHERE username = '@GLOBAL'")
    copies = deliver(gateway, sink, [*to, "o'hara@example.org"], "please tag me")
    assert status(copies["bob@example.org"]) == ("No", "3.5", "5.0")
    assert status(copies["carol@example.org"]) == ("Yes", "6.5", "5.0")
    assert status(copies["o'hara@example.org"]) == ("Yes", "3.5", "1.2")


def test_a_database_that_fails_leaves_the_rule_files(house, tmp_path):
    gateway, sink, _ = house
    put(gateway.dir / "rules" / "sql.cf", f"user_scores_dsn DBI:SQLite:dbname={tmp_path}/nowhere.db\n")
    gateway.start()
    copies = deliver(gateway, sink, ["bob@example.org"], "please tag me")
    assert status(copies["bob@example.org"]) == ("No", "3.5", "5.0")
    r = subprocess.run([gateway.binary, "scan", "-c", gateway.config, "--to", "bob@example.org", "--json", "-"],
                       input=harness.message(subject="please tag me"), capture_output=True)
    skipped = {s["check"]: s["why"] for s in json.loads(r.stdout)["skipped"]}
    assert "nowhere.db" in skipped["preferences"] and "bob@example.org" in skipped["preferences"]


def test_a_database_may_be_required(house, tmp_path):
    gateway, _, _ = house
    put(gateway.dir / "rules" / "sql.cf",
        f"user_scores_dsn DBI:SQLite:dbname={tmp_path}/nowhere.db\nuser_scores_fallback_to_global 0\n")
    gateway.start()
    r = subprocess.run([gateway.binary, "scan", "-c", gateway.config, "--to", "bob@example.org", "--json", "-"],
                       input=harness.message(), capture_output=True)
    assert json.loads(r.stdout)["outcome"] == "defer"


def test_names_do_not_leave_the_directory(house):
    gateway, _, users = house
    put(users.parent / "user_prefs", "required_score 1\n")
    put(users / "user_prefs", "required_score 1\n")
    gateway.start()
    for name in ["..", ".@..", "../..", "a/../..@b", "..@..", ""]:
        r = subprocess.run([gateway.binary, "scan", "-c", gateway.config, "--user", name, "--json", "-"],
                           input=harness.message(), capture_output=True)
        assert json.loads(r.stdout)["required"] == 5, name
