"""Rules in the manner of third-party sets, and channels of sa-update: read, matched and scored as in SpamAssassin."""
import json
import re
import shutil
import subprocess

import pytest

import harness
from test_preferences import PARITY, configure, mails, oracle

EXTRA = [
    b"From: =?utf-8?q?Alice_B?= <alice@example.net>\nReply-To: x@example.com\nTo: <bob@example.org>, <eve@example.org>\n"
    b"Subject: =?utf-8?b?8J+YgCBwaWxscyBwaWxscyBo?= allo\nX-Mailer: The Bat! 2\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n"
    b"Message-ID: <1@example.net>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"--b1\"\n\n"
    b"----b1\nContent-Type: text/html; charset=utf-8\n\n<html><!-- a long comment --><body style=\"display:none\">"
    b"Two million  dollars<br><br>click <a href=\"http://go.example.com/x?to=http://target.example.net/\">click here</a>"
    b"<img src=\"http://img.example.com/a.gif\">zero\xe2\x80\x8bwidth caf\xc3\xa9 (a (b) c) \xe2\x80\x98account\xe2\x80\x99 v\xc3\xadagra m4n"
    b"<a href=\"mailto:bob@example.org\">write</a></body></html>\n"
    b"----b1\nContent-Type: application/zip; name=\"x.zip\"\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\n"
    b"\nUEsDBAo=\n----b1--\n",
    b"From: \"alice\" <alice@example.net>\nTo: alice <alice@example.org>\nSubject: HELLO WORLD HELLO\n"
    b"Date: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <2@example.net>\nReturn-Path: <a@example.net>\n\n"
    b"dear friend,\tyour account: US$ 1,000,000 and $15,500,000.00\x07\nhello million dollars "
    b"thousand $ usd\nhttp://www.good.example.com/index.php?u=bob@example.org http://203.0.113.7/a.exe h e l l o w o r l d\n",
]


def test_third_party_rules(tmp_path):
    site_dir, config = configure(tmp_path, "")
    shutil.copy(PARITY / "third-party.cf", site_dir / "third-party.cf")
    paths = mails(tmp_path / "mails")[::2]
    for i, data in enumerate(EXTRA):
        paths.append(tmp_path / "mails" / f"extra{i}.eml")
        paths[-1].write_bytes(data)
    (tmp_path / "none").write_text("")
    want = oracle(site_dir, [(tmp_path / "none", p) for p in paths])
    found = judged(["-c", config], paths)
    for path, w, g in zip(paths, want, found, strict=True):
        assert sorted({r["name"] for r in g["rules"]}) == w["rules"], path.name
        assert g["subrules"] == w["subrules"], path.name
        assert g["score"] == pytest.approx(w["score"], abs=0.0005), path.name
    hit = {n for w in want for n in w["rules"] + w["subrules"] if "TP_" in n}
    assert len(hit) > 130, len(hit)  # the comparison is about something


def judged(where, paths):
    r = subprocess.run([harness.BINARY, "scan", *where, "--local", "--format", "json", *paths], capture_output=True,
                       env={"PATH": "/usr/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": "/nonexistent"})
    assert r.returncode in (0, 1), r.stderr
    return [json.loads(line) for line in r.stdout.splitlines()]


def test_what_is_wrong_in_them_is_told(tmp_path):
    shutil.copy(PARITY / "third-party.cf", tmp_path / "third-party.cf")
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps({"rules": {"dirs": [str(tmp_path)], "site_dir": str(tmp_path)}}))
    r = subprocess.run([harness.BINARY, "check", "-c", config], capture_output=True, text=True)
    lines = (tmp_path / "third-party.cf").read_text().splitlines()
    for pattern, problem in [(r"TP_BROKEN +/acc\(ount", "missing closing parenthesis"), (r"TP_FIRST_BAD +/acc\(ount", "this definition does not count, a later one does"), (r"__TP_QUOTED", r"'\Q' has no such meaning"),
                             (r"__TP_NO_C ", r"'\C' has no such meaning"), (r"meta +TP_M_BAD_SIGN", "TP_M_BAD_SIGN"),
                             (r"^dashes-are", "unknown setting 'dashes_are_underscores'")]:
        [at] = [i for i, line in enumerate(lines, 1) if re.search(pattern, line)]
        said = [x for x in r.stdout.splitlines() if f"third-party.cf:{at}:" in x]
        assert said and problem in said[0], (pattern, at, said)


# ---- channels ----

CHANNELS = {  # as sa-update leaves them
    "updates_spamassassin_org.cf": "# UPDATE version 1\ninclude updates_spamassassin_org/10_first.cf\ninclude updates_spamassassin_org/72_last.cf\n",
    "updates_spamassassin_org/10_first.cf": "header C_FIRST Subject =~ /hello/i\nscore C_FIRST 1\nheader C_OVER Subject =~ /never/\n"
                                            "if (0)\nheader C_LEFT_OPEN Subject =~ /hello/i\n",
    "updates_spamassassin_org/72_last.cf": "header C_LAST Subject =~ /hello/i\nscore C_LAST 2\nscore C_SHARED 4\n",
    "updates_spamassassin_org/99_not_named.cf": "header C_NOT_NAMED Subject =~ /hello/i\n",
    "a_sa-channels_example_com.cf": "include a_sa-channels_example_com/own.cf\n",
    "a_sa-channels_example_com/own.cf": "header C_OVER Subject =~ /hello/i\nscore C_OVER 3\nheader C_SHARED Subject =~ /hello/i\nscore C_FIRST 1.5\n"
                                        "ifplugin Mail::SpamAssassin::Plugin::Phishing\nheader C_PRE Subject =~ /hello/i\nendif\n",
    "a_sa-channels_example_com.pre": "include a_sa-channels_example_com/own.pre\n",
    "a_sa-channels_example_com/own.pre": "loadplugin Mail::SpamAssassin::Plugin::Phishing\n",
    "deep/below/x.cf": "header C_DEEP Subject =~ /hello/i\n",
    "CAPITALS.CF": "header C_CAPITALS Subject =~ /hello/i\n",
    ".hidden.cf": "header C_HIDDEN Subject =~ /hello/i\n",
}


def unshared():
    return subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


def write_channels(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.skipif(not unshared(), reason="needs a mount namespace of its own")
@pytest.mark.parametrize("version, files", [("4.000001", CHANNELS), ("3.004006", CHANNELS),
                                            ("4.000001", {"alone.cf": "header C_ALONE Subject =~ /hello/i\n"})])
def test_channels_are_chosen_and_read_as_sa_update_leaves_them(tmp_path, version, files):
    write_channels(tmp_path / "lib" / version, files)
    (tmp_path / "m.eml").write_bytes(harness.message(subject="hello").replace(b"\r\n", b"\n"))
    (tmp_path / "cache").mkdir()
    site_dir, config = configure(tmp_path / "c", "") if (tmp_path / "c").mkdir() is None else (None, None)
    script = (f"mount --bind {tmp_path}/lib /var/lib/spamassassin && cd {tmp_path} && "
              f"perl -MMail::SpamAssassin -e 'my $s = Mail::SpamAssassin->new({{local_tests_only => 1, dont_copy_prefs => 1, "
              f"userprefs_filename => \"/dev/null\", site_rules_filename => \"{site_dir}\", LOCAL_STATE_DIR => \"/var/lib/spamassassin\"}}); "
              "open F, \"m.eml\"; my $m = $s->parse(join(\"\", <F>), 0); my $t = $s->check($m); "
              "print join(\",\", sort split(/,/, $t->get_names_of_tests_hit)), \"\\n\", $t->get_score, \"\\n\"' 2>/dev/null && "
              f"{harness.BINARY} scan -c {config} --local --format json m.eml")
    r = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                       env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(tmp_path)})
    lines = r.stdout.splitlines()
    assert len(lines) == 3, r
    found = json.loads(lines[2])
    assert sorted({x["name"] for x in found["rules"]}) == lines[0].split(","), r
    assert found["score"] == pytest.approx(float(lines[1]), abs=0.0005)
    assert ("C_OVER" in lines[0]) == (files is CHANNELS and version == "4.000001")
