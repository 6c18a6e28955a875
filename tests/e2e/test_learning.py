"""Bayes: the same tokens and probabilities as SpamAssassin's, and all ways in which a gateway learns."""
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

import digest_peers
import harness
import rspamd
from harness import gateway, wait_for
from unpacked import Missing

sys.path.insert(0, str(harness.ROOT / "tests/parity"))
import messages  # noqa: E402

SPAM_WORDS = """viagra lottery winner million dollars unsubscribe cheap pills mortgage refinance casino
 jackpot guaranteed miracle weight offer click discount replica watches inheritance urgent transfer""".split()
HAM_WORDS = """meeting minutes compiler patch review kernel lunch thursday agenda quarterly garden bicycle
 schedule repository branch merge deploy holiday photos recipe concert tickets school parents""".split()
SHARED = "please thank regards would could there which about other people between without".split()

RULES = """
loadplugin Mail::SpamAssassin::Plugin::Bayes
loadplugin Mail::SpamAssassin::Plugin::AutoLearnThreshold
bayes_min_spam_num 10
bayes_min_ham_num 10
add_header all Status "_YESNO_, score=_SCORE_ tests=_TESTS_ bayes=_BAYES_ autolearn=_AUTOLEARN_"
add_header all Tokens _TOKENSUMMARY_
report_safe 0
body BAYES_00 eval:check_bayes('0.00', '0.01')
body BAYES_50 eval:check_bayes('0.40', '0.60')
body BAYES_99 eval:check_bayes('0.99', '1.00')
tflags BAYES_00 nice learn
tflags BAYES_50 learn
tflags BAYES_99 learn
score BAYES_00 0 0 -1.5 -1.9
score BAYES_50 0 0 2.0 0.8
score BAYES_99 0 0 3.8 3.5
header T_ONLY_WITHOUT Subject =~ /./
score T_ONLY_WITHOUT 0.7 0.7 0 0
header T_ONLY_WITH Subject =~ /./
score T_ONLY_WITH 0 0 0.3 0.3
meta T_BOTH T_ONLY_WITH && BAYES_99
score T_BOTH 0.1
header T_HEAD Subject =~ /beyond doubt/
body T_BODY /beyond doubt/
score T_HEAD 7
score T_BODY 7
"""


def letter(rng, words, n, spam):
    """A message that differs from all others, in its structure too."""
    text = "\n".join(" ".join(rng.choices(words + SHARED, k=9)).capitalize() + rng.choice(". ! ... --".split())
                     for _ in range(8))
    text += f"\nhttp://{rng.choice(words)}.example.{'biz' if spam else 'org'}/{rng.choice(words)}?id={n}\n"
    kind = n % 6
    extra = {"Subject": " ".join(rng.choices(words, k=4)), "X_Mailer": "Bulk 1.0" if spam else "mutt",
             "Message_ID": f"<{n:04x}abcdef01$0{n % 8}02abcd$0badcafe@{'x' if spam else 'y'}.example>",
             "Date": f"Sat, 21 Nov 2026 10:{n % 60:02}:00 +0000", "sender": f"{rng.choice(words)} <a{n}@example.net>"}
    subject, sender = extra.pop("Subject"), extra.pop("sender")
    if kind == 1:
        text = f"<html><body><p>{text}</p><span style='display:none'>{rng.choice(words)} secret</span></body></html>\n"
        extra |= {"MIME_Version": "1.0", "Content_Type": "text/html; charset=\"utf-8\""}
    elif kind == 2:
        text = text + "Gr\u00fc\u00dfe, \u043f\u0440\u0438\u0432\u0435\u0442, \u65e5\u672c\u8a9e\u306e\u6587\u7ae0\n"
        extra |= {"MIME_Version": "1.0", "Content_Type": "text/plain; charset=utf-8", "Content_Transfer_Encoding": "8bit"}
    elif kind == 3:
        extra |= {"Received": messages.RECEIVED, "To": "\"Bob B.\" <bob@lists.example.org>, carol@example.com"}
    elif kind == 4:
        extra |= {"List_Id": "<never.example>", "X_Spam_Level": "****", "In_Reply_To": f"<{n}@example.net>",
                  "DKIM_Signature": "v=1; a=rsa-sha256; d=example.net; b=abc"}
    elif kind == 5:
        text = text.upper() + "JOE@MAIL.EXAMPLE.COM www.example.co.uk averyveryverylongwordindeed --=--\n"
    to = extra.pop("To", "bob@example.org")
    return messages.simple(text, subject=subject, sender=sender, to=to, **extra)


def write_letters(directory, seed, spam, n):
    rng = random.Random(seed)
    directory.mkdir(parents=True)
    for i in range(n):
        (directory / f"{i:03}.eml").write_bytes(letter(rng, SPAM_WORDS if spam else HAM_WORDS, seed + i, spam))
    return directory


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    d = tmp_path_factory.mktemp("letters")
    write_letters(d / "spam", 1000, True, 30)
    write_letters(d / "ham", 2000, False, 30)
    write_letters(d / "check" / "spam", 3000, True, 6)
    write_letters(d / "check" / "ham", 4000, False, 6)
    odd = d / "check" / "odd"
    odd.mkdir()
    for name, data in list(messages.messages())[::3]:
        (odd / name).write_bytes(data + b"and more\n")
    for i, (name, data) in enumerate(messages.messages()):  # what is odd is learned, too
        (d / ("spam" if i % 2 else "ham") / f"odd-{name}").write_bytes(data)
    return d


def test_spamassassin_learns_the_same(letters):
    """Every token, count, time and message id of its store, and what it says of other messages."""
    if not shutil.which("sa-learn"):
        pytest.skip("SpamAssassin is not installed")
    r = subprocess.run([harness.ROOT / "tests/parity/bayes", "--binary", harness.BINARY, "--spam", letters / "spam",
                        "--ham", letters / "ham", "--check", letters / "check",
                        "--settings", "bayes_min_spam_num 10\nbayes_min_ham_num 10"],
                       capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stdout[-4000:] + r.stderr[-2000:]


# ---- a gateway that learns ----

@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("learning")
    ports = {name: harness.free_port() for name in ("spamd", "shut", "http", "secret", "mx")}
    prefs = directory / "prefs" / "choosy"
    prefs.mkdir(parents=True)
    (prefs / "user_prefs").write_text("score BAYES_99 7\nscore T_ONLY_WITH 0\nscore T_ONLY_WITHOUT 0.2\n"
                                      "score T_BODY 1\n")
    with gateway(directory, rules=RULES, settings={
        "preferences": {"files": [str(directory / "prefs" / "%u")]},
        "listeners": [
            {"name": "spamd", "protocol": "spamd", "address": f"127.0.0.1:{ports['spamd']}", "allow_tell": True},
            {"name": "shut", "protocol": "spamd", "address": f"127.0.0.1:{ports['shut']}"},
            {"name": "http", "protocol": "rspamd", "address": f"127.0.0.1:{ports['http']}", "allow_tell": True},
            {"name": "secret", "protocol": "rspamd", "address": f"127.0.0.1:{ports['secret']}",
             "password": "sesame", "allow_tell": True},
            {"name": "mx", "address": f"127.0.0.1:{ports['mx']}"}],
    }) as g:
        g.ports, g.port = ports, ports["mx"]
        yield g


def spamc(gate, data, *words, port="spamd"):
    r = subprocess.run(["spamc", "-p", str(gate.ports[port]), *words], input=data, capture_output=True, timeout=60)
    return r.returncode, r.stdout


def status(gate):
    r = gate.run("learn", "--json", "status", check=False)
    return json.loads(r.stdout) if r.returncode == 0 else {"spam": 0, "ham": 0, "tokens": 0}


def tell(gate, data, head, port="spamd"):
    with socket.create_connection(("127.0.0.1", gate.ports[port]), timeout=30) as s:
        s.sendall(b"TELL SPAMC/1.5\r\n" + head + b"Content-length: %d\r\n\r\n" % len(data) + data)
        out = b""
        while piece := s.recv(65536):
            out += piece
        return out


def post(gate, path, data, port="http", **headers):
    q = urllib.request.Request(f"http://127.0.0.1:{gate.ports[port]}/{path}", data, headers)
    try:
        with urllib.request.urlopen(q, timeout=60) as r:
            return r.status, json.loads(r.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


def headers_of(gate, data, *words):
    """What the gateway writes into a message, unfolded."""
    code, out = spamc(gate, data, "--headers", *words)
    head = out.split(b"\n\n")[0].decode(errors="replace").replace("\r", "")
    return re.sub(r"\n[ \t]+", " ", head)


def test_spamc_teaches(gate):
    data = letter(random.Random(1), SPAM_WORDS, 1, True)
    assert spamc(gate, data, "-L", "spam", port="shut")[0] != 5
    assert tell(gate, data, b"Message-class: spam\r\nSet: local\r\n", "shut").startswith(
        b"SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled, set the --allow-tell switch.")
    assert status(gate)["spam"] == 0
    assert b"successfully un/learned" in spamc(gate, data, "-L", "spam")[1]
    assert status(gate)["spam"] == 1
    assert b"already un/learned" in spamc(gate, data, "-L", "spam")[1]
    assert b"successfully un/learned" in spamc(gate, data, "-L", "ham")[1]
    assert (status(gate)["spam"], status(gate)["ham"]) == (0, 1)
    assert b"successfully un/learned" in spamc(gate, data, "-L", "forget")[1]
    assert b"already un/learned" in spamc(gate, data, "-L", "forget")[1]
    assert status(gate)["tokens"] == 0


def test_tell_answers_as_spamd(gate):
    data = letter(random.Random(2), SPAM_WORDS, 2, True)
    spam, ham = b"Message-class: spam\r\n", b"Message-class: ham\r\n"
    assert tell(gate, data, spam + b"Set: local\r\n") == b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n"
    assert tell(gate, data, spam + b"Set: local\r\n") == b"SPAMD/1.1 0 EX_OK\r\n\r\n\r\n"
    assert tell(gate, data, b"Remove: local, remote\r\n") == b"SPAMD/1.1 0 EX_OK\r\nDidRemove: local\r\n\r\n\r\n"
    assert tell(gate, data, ham) == b"SPAMD/1.1 0 EX_OK\r\n\r\n\r\n"
    assert tell(gate, data, b"Set: local\r\nRemove: local\r\n") == (
        b"SPAMD/1.0 76 Bad header line: Unable to set local and remove local in the same operation.\r\n")
    assert tell(gate, b"", spam + b"Set: local\r\n").startswith(b"SPAMD/1.1 0 EX_OK\r\n")
    assert tell(gate, b"", b"Remove: local\r\n").startswith(b"SPAMD/1.1 0 EX_OK\r\nDidRemove: local\r\n")


def test_http_teaches(gate):
    data = letter(random.Random(3), SPAM_WORDS, 3, True)
    assert post(gate, "learnspam", data) == (200, {"success": True})
    assert post(gate, "learnspam", data)[0] == 208
    assert post(gate, "learnham", data) == (200, {"success": True})
    assert post(gate, "learnham", data, port="secret")[0] == 403
    assert post(gate, "learnham", data, port="secret", Password="sesame")[0] == 208
    assert gate.run("learn", "forget", write(gate, data)).stdout.startswith("1 forgotten")


def write(gate, data):
    path = gate.dir / "one.eml"
    path.write_bytes(data)
    return str(path)


def test_rspamc_teaches(gate):
    data = letter(random.Random(4), SPAM_WORDS, 4, True)
    try:
        start = rspamd.command("rspamc")
    except Missing as e:
        pytest.skip(str(e))

    def rspamc(word):
        r = subprocess.run([*start, "-h", f"127.0.0.1:{gate.ports['http']}", word, write(gate, data)],
                           capture_output=True, text=True, timeout=60)
        return r.stdout + r.stderr
    assert "success = true" in rspamc("learn_spam")
    assert "already learned" in rspamc("learn_spam")
    assert "success = true" in rspamc("learn_ham")
    assert gate.run("learn", "forget", write(gate, data)).stdout.startswith("1 forgotten")


def test_verdicts_know_what_was_learned(gate, letters):
    """Scores without Bayes until enough is known, then at once those with it, in a gateway that runs."""
    data = letter(random.Random(5), SPAM_WORDS, 5, True)
    before = headers_of(gate, data)
    assert "BAYES" not in before and "T_ONLY_WITHOUT" in before and "bayes=0.5 " in before, before
    assert gate.run("learn", "spam", str(letters / "spam")).returncode == 0
    assert "T_ONLY_WITHOUT" in headers_of(gate, data)
    r = gate.run("learn", "ham", str(letters / "ham"))
    assert re.match(r"\d+ learned, \d+ known already, 0 could not", r.stdout), r.stdout
    head = wait_for("Bayes", lambda: h if "BAYES_99" in (h := headers_of(gate, data)) else "")
    assert "T_ONLY_WITHOUT" not in head and "T_ONLY_WITH" in head and "T_BOTH" in head, head
    assert re.search(r"bayes=(1.0000|0.99\d\d)", head) and re.search(
        r"X-Spam-Tokens: Tokens: new, \d+; hammy, \d+; neutral, \d+; spammy, [1-9]", head), head
    assert re.search(r"score=3\.9 ", head), head  # set 3: with the network
    ham = headers_of(gate, letter(random.Random(6), HAM_WORDS, 6, False))
    assert "BAYES_00" in ham and "score=-1.6" in ham, ham
    # A user's scores count for all sets; a meta over a rule that is off does not hit.
    mine = headers_of(gate, data, "-u", "choosy")
    assert "score=7.2 " in mine and "T_ONLY_WITH," not in mine and "T_BOTH" not in mine, mine
    assert "T_ONLY_WITHOUT" in mine and "bayes=1.0000" in mine, mine
    why = gate.run("learn", "explain", write(gate, data)).stdout
    assert re.match(r"\S+one.eml: (1.000000|0.99\d+)", why) and " spam " in why, why


def test_what_is_beyond_doubt_is_learned(gate):
    n = status(gate)
    body = "this is beyond doubt\r\n" + " ".join(SPAM_WORDS) + "\r\n"
    data = harness.message("beyond doubt", body, "x@spam.example")
    head = headers_of(gate, data)
    assert "autolearn=spam autolearn_force=no" in head, head
    wait_for("the lesson", lambda: status(gate)["spam"] == n["spam"] + 1)
    assert "autolearn=unavailable" in headers_of(gate, data)  # known already
    data = letter(random.Random(7), HAM_WORDS, 7, False)
    code, text = gate.send(data.replace(b"\n", b"\r\n"))
    assert code == 250, text
    # The points of the scores without Bayes count: none, which is less than 0.1.
    wait_for("ham that came by SMTP", lambda: status(gate)["ham"] == n["ham"] + 1)


def test_reports_go_further(tmp_path):
    """spamc -C report and revoke: learned, and told to Pyzor."""
    with digest_peers.Pyzord(tmp_path / "pyzord") as peer:
        port = harness.free_port()
        with gateway(tmp_path / "gate", rules=RULES, settings={
            "pyzor": {"servers": [peer.address], "accounts": str(peer.accounts)},
            "listeners": [{"name": "spamd", "protocol": "spamd", "address": f"127.0.0.1:{port}",
                           "allow_tell": True}]}) as g:
            g.ports = {"spamd": port}
            data = letter(random.Random(8), SPAM_WORDS, 8, True)
            assert b"successfully reported/revoked" in spamc(g, data, "-C", "report")[1]
            assert status(g)["spam"] == 1
            assert b"successfully reported/revoked" in spamc(g, data, "-C", "revoke")[1]
            assert (status(g)["spam"], status(g)["ham"]) == (0, 1)


def test_users_have_their_own(tmp_path):
    port = harness.free_port()
    with gateway(tmp_path, rules=RULES.replace("num 10", "num 1"), settings={
        "learn": {"users": True},
        "listeners": [{"name": "spamd", "protocol": "spamd", "address": f"127.0.0.1:{port}", "allow_tell": True}]}) as g:
        g.ports = {"spamd": port}
        rng = random.Random(9)
        spam, ham = letter(rng, SPAM_WORDS, 9, True), letter(rng, HAM_WORDS, 10, False)
        for user, words in (("joe", ("spam", "ham")), ("sue", ("ham", "spam"))):
            for data, word in zip((spam, ham), words):
                assert b"successfully" in spamc(g, data, "-u", user, "-L", word)[1]
        wait_for("Bayes", lambda: b"BAYES_99" in spamc(g, spam, "-u", "joe", "--headers")[1])
        assert b"BAYES_00" in spamc(g, spam, "-u", "sue", "--headers")[1]
        assert b"BAYES" not in spamc(g, spam, "-u", "tom", "--headers")[1]
        parts = [json.loads(line) for line in g.run("learn", "--json", "status").stdout.splitlines()]
        assert {p["user"]: p["spam"] for p in parts if p["user"]} == {"joe": 1, "sue": 1}


def test_what_was_held_is_taught(tmp_path):
    """The lines of the documentation: out of the quarantine, into the store; a change of mind included."""
    with gateway(tmp_path, rules=RULES, settings={"policies": [{"name": "held", "senders": ["@held.example"], "do": "hold"}]}) as g:
        data = letter(random.Random(11), HAM_WORDS, 11, False)
        assert g.send(data.replace(b"\n", b"\r\n"), sender="x@held.example")[0] == 250
        held = json.loads(wait_for("the quarantine", lambda: g.run("quarantine", "--json", "list").stdout))["id"]
        shown = subprocess.run([str(g.binary), "quarantine", "-c", str(g.config), "show", "--message", held],
                               capture_output=True, timeout=60, check=True).stdout
        for word, counts in (("spam", (1, 0)), ("ham", (0, 1)), ("forget", (0, 0))):
            r = subprocess.run([str(g.binary), "learn", "-c", str(g.config), word, "-"], input=shown, capture_output=True, timeout=60)
            assert r.returncode == 0, r.stderr
            assert (status(g)["spam"], status(g)["ham"]) == counts


def test_killed_while_learning(gate, letters):
    """Whatever dies in mid-lesson, the store holds whole lessons, and the next process goes on."""
    gate.run("learn", "forget", str(letters / "spam"))
    n = status(gate)
    for delay in (0.02, 0.1, 0.3):
        p = subprocess.Popen([str(gate.binary), "learn", "-c", str(gate.config), "spam", str(letters / "spam")],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            p.wait(delay)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(p.pid, signal.SIGKILL)
        p.wait()
    for pid in gate.pids("spool"):
        os.kill(pid, signal.SIGKILL)
    r = gate.run("learn", "spam", str(letters / "spam"))
    assert r.returncode == 0
    assert status(gate)["spam"] >= n["spam"] + 30
    gate.run("learn", "forget", str(letters / "spam"))
    assert status(gate)["spam"] == n["spam"] and status(gate)["tokens"] == n["tokens"]
    data = letter(random.Random(11), SPAM_WORDS, 11, True)
    wait_for("a spool", lambda: b"un/learned" in spamc(gate, data, "-L", "spam")[1])


def test_backup_and_restore(gate, tmp_path):
    text = gate.run("learn", "backup").stdout
    assert text.startswith("v\t3\tdb_version # this must be the first line!!!\n")
    (tmp_path / "backup").write_text(text)
    n = status(gate)
    other = ["--store", str(tmp_path / "other.mdb")]
    gate.run("learn", *other, "restore", str(tmp_path / "backup"))
    assert gate.run("learn", *other, "backup").stdout == text
    assert json.loads(gate.run("learn", "--json", *other, "status").stdout)["tokens"] == n["tokens"]
    (tmp_path / "backup").write_text(text + "x\n")
    r = gate.run("learn", *other, "restore", str(tmp_path / "backup"), check=False)
    assert r.returncode == 75 and "none of a backup" in r.stderr
    assert gate.run("learn", *other, "backup").stdout == text
    gate.run("learn", *other, "clear")
    assert json.loads(gate.run("learn", "--json", *other, "status").stdout)["tokens"] == 0
    r = gate.run("learn", "--store", str(tmp_path / "none.mdb"), "status", check=False)
    assert r.returncode == 66 and "nothing was learned yet" in r.stderr
