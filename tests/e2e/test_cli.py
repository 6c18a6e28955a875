"""The commands on files: scan, check, rules. Own messages, own rules."""
import contextlib
import json
import mailbox
import os
import pathlib
import pty
import re
import subprocess

import pytest

import harness

SEPARATOR = "From alice@example.net Sat Nov 21 10:00:00 2026\n"


class Desk:
    """A directory with rules and settings of its own, and the program."""

    def __init__(self, directory):
        self.dir = directory
        (directory / "rules").mkdir()
        (directory / "rules" / "own.cf").write_text(harness.RULES)
        self.env = {**os.environ, "HOME": str(directory), "XDG_CACHE_HOME": str(directory / "cache"),
                    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99", "UBSAN_OPTIONS": "halt_on_error=1"}
        self.config = self.write("gatehouse.yaml", (
            "paths: {state: state, spool: spool, cache: cache, run: run}\n"
            "processes: {user: null}\nvirus: {enabled: no}\n"
            "rules: {dirs: [rules], site_dir: null}\n"))

    def write(self, name, text):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def run(self, *args, code=None, stdin=b"", config=True):
        command = [str(harness.BINARY), args[0], *(["-c", str(self.config)] if config else []),
                   *map(str, args[1:])]
        r = subprocess.run(command, input=stdin, capture_output=True, env=self.env, cwd=self.dir,
                           timeout=120)
        assert b"Sanitizer" not in r.stderr and b"runtime error" not in r.stderr, r.stderr.decode()
        if code is not None:
            assert r.returncode == code, (r.returncode, r.stdout, r.stderr)
        return r

    def scan(self, *args, code=None, **kw):
        """The JSON objects of a scan."""
        out = self.run("scan", "--json", *args, code=code, **kw).stdout
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def mail(subject="hello", body="first light\n"):
    return harness.message(subject, body).replace(b"\r\n", b"\n")


def names(result):
    return sorted(r["name"] for r in result["rules"])


def test_a_message_is_judged_as_json(desk):
    path = desk.write("a.eml", mail("please tag me"))
    (r,) = desk.scan(path, code=1)
    assert r["file"] == str(path)
    assert r["score"] == 6 and r["required"] == 5
    assert r["outcome"] == "tag"
    (rule,) = r["rules"]
    assert rule["name"] == "T_SUBJ_TAGME" and rule["score"] == 6
    assert rule["description"] == "The subject asks for a tag"
    assert r["virus"] == [] and isinstance(r["facts"], dict)
    assert isinstance(r["skipped"], list) and r["micros"] > 0


def test_gtube_is_refused_and_ordinary_mail_is_not(desk):
    good = desk.write("good.eml", mail())
    spam = desk.write("spam.eml", mail("x", harness.GTUBE + "\n"))
    (r,) = desk.scan(good, code=0)
    assert r["outcome"] == "accept" and r["score"] == 0
    (r,) = desk.scan(spam, code=1)
    assert r["outcome"] == "reject" and names(r) == ["GTUBE"]
    assert "XJS*C4JDBQADN1" in r["rules"][0]["evidence"]


def test_tsv_has_the_columns_of_the_reference(desk):
    desk.write("d/a.eml", mail("please tag me"))
    desk.write("d/b.eml", mail())
    out = desk.run("scan", "--format", "tsv", "d", code=1).stdout.decode().splitlines()
    assert out == ["d/a.eml\t6\tT_SUBJ_TAGME\t", "d/b.eml\t0\t\t"]


def test_text_is_a_report(desk):
    desk.write("a.eml", mail("please tag me"))
    out = desk.run("scan", "a.eml", code=1).stdout.decode()
    assert out.startswith("== a.eml: spam, tag\n")
    assert "Content analysis details:   (6.0 points, 5.0 required)" in out
    assert " 6.0 T_SUBJ_TAGME           The subject asks for a tag\n" in out
    # and the bytes that matched
    assert "\nWhat matched:\nT_SUBJ_TAGME           please tag me\n" in out


def test_text_tells_what_of_a_meta_held(desk):
    desk.write("rules/meta.cf", """\
body   __LIGHT   /first (?:light|night)/
header __NO_LIST List-Id !~ /./
header __NEVER   exists:X-Never
meta   __INNER   __LIGHT && !__NEVER
meta   OUTER     (__INNER + __NO_LIST + __NEVER) > 1
meta   SECOND    __INNER
""")
    desk.write("a.eml", mail())
    out = desk.run("scan", "--format", "text", "a.eml").stdout.decode()
    assert out.partition("What matched:\n")[2].splitlines()[:6] == [
        "OUTER                  META: (__INNER + __NO_LIST + __NEVER) > 1",
        "  __INNER              META: __LIGHT && !__NEVER",
        "    __LIGHT            first light",
        "  __NO_LIST            (List-Id !~ /./)",
        "SECOND                 META: __INNER",
        "  __INNER              META: see above"]


def test_message_changes_nothing_but_the_header(desk):
    original = mail("please tag me", "body\n with \t blanks  \n\n")
    desk.write("a.eml", original)
    out = desk.run("scan", "--format", "message", "a.eml", code=1).stdout
    assert out.endswith(original)
    added = out[:-len(original)].decode()
    assert "X-Spam-Flag: YES\n" in added and "T_SUBJ_TAGME" in added
    assert not re.search(r"\r", added)


def test_standard_input(desk):
    (r,) = desk.scan("-", stdin=mail("please tag me"), code=1)
    assert r["file"] == "-" and names(r) == ["T_SUBJ_TAGME"]
    (r,) = desk.scan("-", stdin=b"", code=0)
    assert r["file"] == "-"


def mbox(*messages):
    return b"\n".join(SEPARATOR.encode() + m for m in messages)


def test_a_mailbox_is_taken_apart(desk):
    box = mbox(mail("one"), mail("please tag me", "From here on\n"), mail("three", harness.GTUBE + "\n"))
    desk.write("box", box)
    results = desk.scan("box", code=1)
    assert [r["file"] for r in results] == ["box#1", "box#2", "box#3"]
    assert [names(r) for r in results] == [[], ["T_SUBJ_TAGME"], ["GTUBE"]]
    assert [r["file"] for r in desk.scan("-", stdin=box, code=1)] == ["-#1", "-#2", "-#3"]
    assert len(desk.scan("--type", "message", "box", code=1)) == 1


def test_a_mailbox_comes_out_as_a_mailbox(desk):
    desk.write("box", mbox(mail("one"), mail("please tag me")))
    out = desk.run("scan", "--format", "message", "box", code=1).stdout
    desk.write("out", out)
    kept = list(mailbox.mbox(desk.dir / "out"))
    assert [m["Subject"] for m in kept] == ["one", "please tag me"]
    assert kept[1]["X-Spam-Flag"] == "YES" and kept[0]["X-Spam-Flag"] is None
    assert kept[0].get_payload() == "first light\n"


def test_messages_become_a_mailbox_with_quoted_lines(desk):
    desk.write("d/1", mail("one", "From here on\n>From there\n"))
    desk.write("d/2", mail("two"))
    desk.write("out", desk.run("scan", "--format", "message", "d", code=0).stdout)
    kept = list(mailbox.mbox(desk.dir / "out"))
    assert len(kept) == 2
    assert kept[0].get_payload() == ">From here on\n>>From there\n"


def test_a_maildir_is_read_without_tmp_and_index_files(desk):
    box = mailbox.Maildir(desk.dir / "Maildir", create=True)
    box.add(mail("please tag me"))
    seen = mailbox.MaildirMessage(mail("seen"))
    seen.set_subdir("cur")
    box.add(seen)
    desk.write("Maildir/tmp/unfinished", "Subj")
    desk.write("Maildir/dovecot-uidlist", "3 V1")
    sub = mailbox.Maildir(desk.dir / "Maildir" / ".Archive", create=True)
    sub.add(mail("old"))
    results = desk.scan("Maildir", code=1)
    assert len(results) == 3
    assert not [r for r in results if "tmp" in r["file"] or "uidlist" in r["file"]]


def test_directories_are_read_recursively_in_order(desk):
    for name in ("b/2.eml", "b/10.eml", "a/x/1.eml", "c.eml"):
        desk.write("d/" + name, mail(name))
    results = desk.scan("--jobs", "2", "d/", code=0)
    assert [r["file"] for r in results] == ["d/a/x/1.eml", "d/b/10.eml", "d/b/2.eml", "d/c.eml"]


def test_many_jobs_keep_the_order(desk):
    for i in range(120):
        desk.write(f"d/{i:03}.eml", mail("please tag me" if i % 3 == 0 else "x"))
    one = desk.run("scan", "--format", "tsv", "--jobs", "1", "d", code=1).stdout
    four = desk.run("scan", "--format", "tsv", "--jobs", "4", "d", code=1).stdout
    assert one == four and one.count(b"\n") == 120 and one.count(b"T_SUBJ_TAGME") == 40


BROKEN = {
    "empty": b"",
    "newline": b"\n",
    "no header": b"\nbody\n",
    "no body": b"Subject: x",
    "nul": b"Subject: \0\n\n\0\0\n",
    "binary": bytes(range(256)) * 64,
    "one line": b"a" * 200000,
    "colons": b":" * 10000 + b"\n\n",
    "open multipart": b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n",
    "nested": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i)
                       for i in range(300)),
    "encoded": b"Content-Transfer-Encoding: base64\nContent-Type: text/html\n\n!!!!====AAA\n",
    "words": b"Subject: " + b"=?utf-8?b?????" * 1000 + b"\n\nx\n",
}


def test_broken_files_get_a_verdict(desk):
    for name, data in BROKEN.items():
        desk.write(f"d/{name}", data)
    results = desk.scan("d", code=0)
    assert sorted(r["file"] for r in results) == sorted(f"d/{n}" for n in BROKEN)
    assert not [r for r in results if "error" in r]


def test_what_cannot_be_read_is_told(desk):
    desk.write("a.eml", mail())
    r = desk.run("scan", "nowhere.eml", "a.eml", code=66)
    assert b"nowhere.eml: No such file or directory" in r.stderr
    assert b"a.eml: ham" in r.stdout
    os.mkfifo(desk.dir / "d-fifo")
    desk.write("d/a.eml", mail())
    os.mkfifo(desk.dir / "d" / "fifo")
    r = desk.run("scan", "d", code=66)
    assert b"d/fifo: neither file nor directory" in r.stderr


@pytest.mark.skipif(os.geteuid() == 0 and not pathlib.Path("/usr/sbin/runuser").exists(),
                    reason="root may read everything")
def test_directories_without_permission_are_told(desk):
    desk.write("d/open/a.eml", mail())
    desk.write("d/shut/b.eml", mail())
    (desk.dir / "d" / "shut").chmod(0)
    command = [str(harness.BINARY), "scan", "-c", str(desk.config), "d"]
    if os.geteuid() == 0:
        for path in [desk.dir, *desk.dir.parents]:
            if path.stat().st_mode & 0o005 != 0o005 and path.is_relative_to("/tmp"):
                path.chmod(path.stat().st_mode | 0o055)
        if subprocess.run(["runuser", "-u", "nobody", "--", "test", "-x", str(harness.BINARY)]).returncode:
            pytest.skip("nobody can't reach the program")
        command = ["runuser", "-u", "nobody", "--", *command]
    r = subprocess.run(command, capture_output=True, cwd=desk.dir, timeout=60,
                       env={**desk.env, "XDG_CACHE_HOME": "/nonexistent"})
    (desk.dir / "d" / "shut").chmod(0o755)
    assert r.returncode == 66, r.stderr
    assert b"d/shut: Permission denied" in r.stderr
    assert b"d/open/a.eml: ham" in r.stdout


def test_the_envelope_of_the_command_line_picks_the_policy(desk):
    desk.config = desk.write("policy.yaml", desk.config.read_text() + (
        "policies:\n  - {name: lenient, recipients: ['@lenient.example'], required_score: 7}\n"
        "  - {name: near, clients: [192.0.2.0/24], on_spam: hold}\n"))
    desk.write("a.eml", mail("please tag me"))
    (r,) = desk.scan("a.eml", code=1)
    assert (r["outcome"], r["required"]) == ("tag", 5)
    (r,) = desk.scan("--from", "x@example.net", "--to", "bob@lenient.example", "a.eml", code=0)
    assert (r["outcome"], r["required"]) == ("accept", 7)
    (r,) = desk.scan("--client-ip", "192.0.2.9", "--to", "bob@example.org", "a.eml", code=1)
    assert r["outcome"] == "hold"


def test_rules_of_another_directory(desk):
    desk.write("other/x.cf", "header OTHER Subject =~ /hello/\nscore OTHER 2.639\n")
    desk.write("a.eml", mail())
    out = desk.run("scan", "--format", "tsv", "--rules", "other", "a.eml", code=0).stdout
    assert out == b"a.eml\t2.639\tOTHER\t\n"


def test_stats_are_told_at_the_end(desk):
    desk.write("box", mbox(mail("one"), mail("two"), mail("please tag me")))
    r = desk.run("scan", "--stats", "--format", "tsv", "box", code=1)
    stats = dict(f.split("=") for f in r.stderr.decode().split()[1:])
    assert stats["messages"] == "3" and stats["bad"] == "1" and stats["failed"] == "0"
    assert float(stats["rate"]) > 0
    assert 0 < int(stats["p50"]) <= int(stats["p99"]) <= int(stats["max"])


def test_stats_tell_where_the_time_goes(desk):
    for i in range(3):
        desk.write(f"in/{i}.eml", mail("please tag me"))
    err = desk.run("scan", "--stats=rules", "--format", "tsv", "in").stderr.decode()
    for stage in ("parse", "decode", "html", "uris", "candidates", "confirm", "metas"):
        assert re.search(rf"^{stage}\S* +\d+\.\d\d +\d+\.\d%$", err, re.M), (stage, err)
    assert re.search(r"^T_SUBJ_TAGME +\d+\.\d{3} +\d+ +3$", err, re.M), err
    line = desk.run("scan", "--stats=rules", "--json", "in").stderr.decode().splitlines()[-1]
    told = json.loads(line)
    assert told["messages"] == 3 and {"name", "micros", "tries", "messages"} == set(told["rules"][0])


def test_wrong_use_is_told(desk):
    for args in (["scan"], ["scan", "--format", "xml", "a"], ["scan", "--jobs", "0", "a"],
                 ["scan", "--client-ip", "nowhere", "a"], ["check", "x"], ["rules"], ["rules", "frob"],
                 ["rules", "explain"], ["rules", "list", "X"], ["scan", "--unknown", "a"]):
        r = desk.run(*args, code=64, config=False)
        assert r.stdout == b"" and f"gatehouse {args[0]}".encode() in r.stderr


def test_every_command_has_help_with_an_example(desk):
    out = desk.run("--help", config=False, code=0).stdout.decode()
    commands = re.findall(r"^  (\w+) ", out, re.M)
    assert {"serve", "scan", "check", "rules"} <= set(commands)
    for command in commands:
        text = desk.run(command, "--help", config=False, code=0).stdout.decode()
        assert text.startswith(f"usage: gatehouse {command}") and "example" in text, command


def test_bad_settings_stop_every_command_with_their_place(desk):
    desk.config = desk.write("bad.yaml", "limts: {}\nlimits: {errors: many}\n")
    for args in (["scan", "-"], ["rules", "list"]):
        r = desk.run(*args, code=78)
        assert f"{desk.config}:1:1: unknown setting 'limts' (did you mean 'limits'?)" in r.stderr.decode()
        assert f"{desk.config}:2:18: 'limits.errors': expected a whole number" in r.stderr.decode()


def test_check_lists_what_is_wrong(desk):
    assert desk.run("check", code=0).stdout.decode().startswith(f"{desk.config}: fine, ")
    desk.config = desk.write("bad.yaml", "limts: {}\nlimits: {errors: many}\n")
    out = desk.run("check", code=1).stdout.decode().splitlines()
    assert out == [f"{desk.config}:1:1: unknown setting 'limts' (did you mean 'limits'?)",
                   f"{desk.config}:2:18: 'limits.errors': expected a whole number, not 'many'"]
    report = json.loads(desk.run("check", "--json", code=1).stdout)
    assert [p["about"] for p in report["problems"]] == ["settings"] * 2


def test_check_names_missing_files_and_ignored_lines(desk):
    desk.write("access", "Connect:192.0.2.1 REJECT\nthis line means nothing\n")
    desk.config = desk.write("g.yaml", desk.config.read_text() + (
        "tls: {certificate: nowhere.pem}\naccess_file: access\n"))
    out = desk.run("check", code=1).stdout.decode()
    assert "g.yaml:5:7: 'tls.certificate': " in out and "No such file" in out
    assert f"{desk.dir}/access:2: " in out
    desk.write("users", "# ours\nbob:$6$salt$hash\ncarol:plain\nnobody\n")
    desk.config = desk.write("g.yaml", desk.config.read_text().replace("tls: {certificate: nowhere.pem}", "") +
                             "auth: {users_file: users}\n")
    out = desk.run("check", code=1).stdout.decode()
    assert f"{desk.dir}/users:3: " in out and "weak" in out and f"{desk.dir}/users:4: " in out
    assert "users:2" not in out and "plain" not in out


def test_check_names_rule_lines_that_are_ignored(desk):
    desk.write("rules/own.cf", harness.RULES + "body BROKEN /(unclosed/\nscore BROKEN 1\n")
    line = harness.RULES.count("\n") + 1
    out = desk.run("check", code=1).stdout.decode()
    assert f"rules/own.cf:{line}: " in out and "BROKEN" in out
    assert desk.run("check", "--settings", code=0).stdout.decode().endswith(": fine\n")


def test_check_tells_what_rules_cost(desk):
    slow = "body SLOW /(?:[a-z]+[ ,.]+){2,8}zzz$/\nscore SLOW 1\nbody GUARDED /unlikely-word-here/\nscore GUARDED 1\n"
    desk.write("rules/own.cf", harness.RULES + slow)
    line = harness.RULES.count("\n") + 1
    out = desk.run("check", "--cost", code=0).stdout.decode()
    assert f"rules/own.cf:{line}: SLOW (" in out and f"rules/own.cf:{line + 2}: GUARDED (where its words stand: " in out
    assert out.index("SLOW") < out.index("GUARDED")
    cost = json.loads(desk.run("check", "--cost", "--json", code=0).stdout)["cost"]
    assert cost["measured"] is False and sum(r["share"] for r in cost["rules"]) == pytest.approx(1)
    by_name = {r["name"]: r for r in cost["rules"]}
    assert by_name["GUARDED"]["chances"] < 0.01 and by_name["SLOW"]["micros"] > 10 * by_name["GUARDED"]["micros"]
    # Measured: the rule that such mail makes dear comes first, one that is never tried does not cost.
    for i in range(5):
        desk.write(f"sample/{i}.eml", mail(body="some words here and there, " * 300 + "zzz.\n"))
    cost = json.loads(desk.run("check", "--cost", "--json", "sample", code=0).stdout)["cost"]
    assert cost["measured"] is True and cost["messages"] == 5
    assert cost["rules"][0]["name"] == "SLOW" and cost["rules"][0]["line"] == line and cost["rules"][0]["tries"] >= 5
    assert "GUARDED" not in {r["name"] for r in cost["rules"]}
    out = desk.run("check", "--cost", "sample", code=0).stdout.decode().splitlines()
    assert "on 5 messages" in out[0] and out[1].endswith(f"/rules/own.cf:{line}: SLOW")
    assert desk.run("check", "--cost", "nowhere", code=66).stderr
    desk.run("check", "--cost", "--settings", code=64)


def test_check_names_rules_that_policies_ask_for_and_nobody_defines(desk):
    desk.config = desk.write("g.yaml", desk.config.read_text() + (
        "policies:\n  - {name: a, rules: [GTUBE, GTUEB, 'T_SUBJ_*', 'X_*', '!T_SUBJ_TAGME', '!NONE'], do: hold}\n"
        "  - {name: b, header: {X-A: false, x-a: b}, do: hold}\n"))
    out = desk.run("check", code=1).stdout.decode().splitlines()
    assert out[0].startswith(f"{desk.config}:7:") and out[0].endswith("'X-A' is to be there and not to be there")
    assert [line.partition(": ")[2] for line in out[1:]] == [
        "no rule is named 'GTUEB' (did you mean 'GTUBE'?)", "no rule is named 'X_*'", "no rule is named 'NONE'"]
    assert all(line.startswith(f"{desk.config}:6:") for line in out[1:])


def test_the_printed_defaults_are_valid(desk):
    text = desk.run("check", "--print-defaults", config=False, code=0).stdout
    desk.config = desk.write("all.yaml", text.replace(b"user: gatehouse", b"user: null"))
    desk.run("check", "--settings", code=0)


def test_the_samples_are_valid(desk):
    for name in ("gatehouse.yaml", "gatehouse.dev.yaml"):
        r = subprocess.run([str(harness.BINARY), "check", "--settings", "-c", harness.ROOT / "etc" / name],
                           capture_output=True, text=True)
        problems = [p for p in r.stdout.splitlines() if "there is no user 'gatehouse'" not in p]
        assert not problems or problems[0].endswith(": fine"), problems


def test_rules_are_listed_and_explained(desk):
    out = desk.run("rules", "list", code=0).stdout.decode()
    assert "T_SUBJ_TAGME" in out and "GTUBE" in out
    out = desk.run("rules", "explain", "T_SUBJ_TAGME", code=0).stdout.decode()
    assert "please tag me" in out and "The subject asks for a tag" in out and "own.cf" in out
    assert "for 10 kB of ordinary text, tried" in out
    told = json.loads(desk.run("rules", "--json", "explain", "T_SUBJ_TAGME", code=0).stdout)
    assert told["micros_per_10kB"] >= 0 and told["always_tried"] in (True, False) and "hits" in told
    r = desk.run("rules", "explain", "NO_SUCH_RULE", code=1)
    assert b"NO_SUCH_RULE" in r.stderr
    assert desk.run("rules", "coverage", code=0).stdout
    json.loads(desk.run("rules", "--json", "coverage", code=0).stdout)


def test_the_manual_pages_are_clean():
    pages = [*(harness.ROOT / "man").glob("*.[158]"), harness.BINARY.parent / "man" / "gatehouse.yaml.5"]
    assert len(pages) >= 5
    r = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True)
    assert r.stdout == "" and r.returncode == 0, r.stdout


def test_a_terminal_sees_progress(desk):
    """Standard error on a terminal: a line that tells how far it is, and that is gone at the end."""
    for i in range(200):
        desk.write(f"d/{i:03}.eml", mail(f"message {i}", "words " * 2000 + "\n"))
    master, slave = pty.openpty()
    with open(desk.dir / "out", "wb") as out:
        p = subprocess.Popen([str(harness.BINARY), "scan", "-c", str(desk.config), "--format", "tsv",
                              "--jobs", "1", "d"], stdout=out, stderr=slave, env=desk.env, cwd=desk.dir)
        os.close(slave)
        seen = b""
        with contextlib.suppress(OSError):
            while chunk := os.read(master, 4096):
                seen += chunk
        os.close(master)
        assert p.wait(60) == 0
    assert re.search(rb"\r\x1b\[K\[[#-]{30}\] \d+/200  \d+%  \d+/s", seen), seen
    assert seen.endswith(b"\r\x1b[K")
    assert (desk.dir / "out").read_bytes().count(b"\n") == 200


def test_install_puts_everything_in_its_place(tmp_path):
    build = harness.BINARY.parent
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", tmp_path],
                   check=True, capture_output=True)
    files = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    for wanted in ("bin/gatehouse", "lib/systemd/system/gatehouse.service", "lib/sysusers.d/gatehouse.conf",
                   "lib/tmpfiles.d/gatehouse.conf", "share/man/man8/gatehouse.8",
                   "share/man/man5/gatehouse.yaml.5", "share/man/man1/gatehouse-scan.1"):
        assert f"usr/local/{wanted}" in files, files
    unit = (tmp_path / "usr/local/lib/systemd/system/gatehouse.service").read_text()
    assert "ExecStart=/usr/local/bin/gatehouse serve" in unit and "@" not in unit.replace("@system-service", "")
    config = tmp_path / "etc/gatehouse/gatehouse.yaml"
    assert config.read_text() == (harness.ROOT / "etc" / "gatehouse.yaml").read_text()
    config.write_text("hostname: mine.example.org\n")
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", tmp_path],
                   check=True, capture_output=True)
    assert config.read_text() == "hostname: mine.example.org\n"
