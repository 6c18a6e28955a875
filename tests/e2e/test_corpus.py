"""Real mail, where it is at hand (GATEHOUSE_SHARED or ../shared): the whole corpus is scanned without a
crash, a sanitizer report or a message over two seconds; the agreement with SpamAssassin is printed."""
import json
import lzma
import os
import pathlib
import subprocess
import tarfile

import pytest

import harness

SHARED = pathlib.Path(os.environ.get("GATEHOUSE_SHARED", harness.ROOT.parent / "shared")) / "corpus"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no corpus in {SHARED}")


@pytest.mark.parametrize("name", ["sa-public", "phishing"])
def test_the_whole_corpus(name, tmp_path, capsys):
    with tarfile.open(SHARED / f"{name}.tar.xz") as t:
        t.extractall(tmp_path / "mail")
    expected = {}
    with lzma.open(SHARED / f"{name}.expected.tsv.xz", "rt", encoding="utf-8") as f:
        for line in f:
            path, score, rules, subs = line.rstrip("\n").split("\t")
            expected[path] = {*rules.split(","), *subs.split(",")} - {""}
    r = subprocess.run([str(harness.BINARY), "scan", "--local", "--jobs", "2", "--format", "json",
                        "."], cwd=tmp_path / "mail", capture_output=True, text=True, timeout=900,
                       env=dict(os.environ, XDG_CACHE_HOME=str(tmp_path / "cache")))
    assert r.returncode in (0, 1), r.stderr[-3000:]
    assert "Sanitizer" not in r.stderr and "runtime error" not in r.stderr, r.stderr[-6000:]
    seen = both = union = 0
    for line in r.stdout.splitlines():
        m = json.loads(line)
        want = expected[os.path.relpath(m["file"], ".")]
        got = {h["name"] for h in m["rules"]} | set(m["subrules"])
        seen += 1
        both += len(want & got)
        union += len(want | got)
        assert m["micros"] < 2_000_000, m["file"]
    assert seen == len(expected)
    with capsys.disabled():
        print(f"\n{name}: {seen} messages, {both / union:.2%} of {union} rule hits as SpamAssassin's")
    assert both / union > 0.99
