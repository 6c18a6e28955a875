"""The examples of docs/policies.md and docs/lua.md, each run on mail that it means and mail that it
does not."""
import base64
import io
import json
import re
import smtplib
import socket
import subprocess
import tarfile
import zipfile

import pytest

from harness import BINARY, ROOT, RULES, gateway, wait_for

POLICIES = (ROOT / "docs" / "policies.md").read_text()
LUA = (ROOT / "docs" / "lua.md").read_text()


def examples(text, language):
    found = re.findall(r"<!-- example: (\S+) -->\n```" + language + r"\n(.*?)```", text, re.S)
    assert len(found) == len({name for name, _ in found})
    return dict(found)


YAML = examples(POLICIES, "yaml")
SCRIPTS = examples(LUA, "lua")


def mail(*parts, headers="", text="hello\r\n"):
    head = f"From: alice@example.net\r\nSubject: hello\r\n{headers}"
    if not parts:
        return (head + "\r\n" + text).encode()
    body = f"--b\r\nContent-Type: text/plain\r\n\r\n{text}"
    for name, content_type, data in parts:
        body += (f"--b\r\nContent-Type: {content_type}; name=\"{name}\"\r\n"
                 "Content-Transfer-Encoding: base64\r\n\r\n"
                 f"{base64.encodebytes(data).decode()}".replace("\n", "\r\n").replace("\r\r", "\r"))
    return (head + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
            body + "--b--\r\n").encode()


def program():
    """The beginning of a PE file, enough for libmagic."""
    pe = 128
    b = bytearray(b"MZ" + bytes(58) + pe.to_bytes(4, "little") + bytes(64))
    b += b"PE\0\0" + (0x14c).to_bytes(2, "little") + (3).to_bytes(2, "little") + bytes(12)
    b += (0xe0).to_bytes(2, "little") + (0x102).to_bytes(2, "little")
    b += (0x10b).to_bytes(2, "little") + bytes(240)
    return bytes(b)


def archive(encrypted):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("a.txt", "secret")
    data = bytearray(out.getvalue())
    if encrypted:
        data[6] |= 1
        data[data.find(b"PK\1\2") + 8] |= 1
    return bytes(data)


@pytest.fixture
def explain(tmp_path):
    """explain(example, mail, option=value...): what is done for the (first) recipient."""
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10_test.cf").write_text(RULES + "body OLEMACRO_X /macro inside/\nscore OLEMACRO_X 1\n"
                                      "header USER_IN_WELCOMELIST X-Known =~ /yes/\n"
                                      "score USER_IN_WELCOMELIST -1\n")

    def run(text, data, suffix=".yaml", form="json", to=("bob@example.org",), virus=False, **options):
        policy, eml = tmp_path / f"policy{suffix}", tmp_path / "mail.eml"
        policy.write_text(text)
        eml.write_bytes(data)
        config = tmp_path / "g.yaml"
        config.write_text(f"hostname: gate.example.org\nrules: {{dirs: [{rules}], site_dir: null}}\n"
                          f"paths: {{cache: {tmp_path}/cache, state: {tmp_path}}}\n")
        args = [BINARY, "scan", "--local", "-c", config, "--policy", policy, "--format", form]
        if form in ("json", "text"):
            args.append("--explain")
        if suffix == ".yaml":
            config.write_text(config.read_text() + text[:text.index("policies:")])
        for rcpt in to:
            args += ["--to", rcpt]
        for key, value in options.items():
            args += [f"--{key.replace('_', '-')}", value]
        args += [] if "from" in options else ["--from", "alice@example.net"]
        done = subprocess.run([*args, eml], capture_output=True, timeout=120)
        assert done.returncode in (0, 1), done.stderr.decode()
        if form != "json":
            return done.stdout.decode(errors="replace")
        return json.loads(done.stdout)["recipients"]
    return run


def held(r, policy):
    return next(p for p in r["policies"] if p["policy"] == policy)


def programs(explain):
    [r] = explain(YAML["programs"], mail(("setup.exe", "application/x", b"x")))
    assert r["outcome"] == "clean" and r["keep"]
    assert held(r, "programs-by-name")["parts"][0]["name"] == "setup.exe"
    text = explain(YAML["programs"], mail(("setup.exe", "application/x", b"x")), form="message")
    assert 'The attachment "setup.exe" was removed: programs' in text and "hello" in text
    [r] = explain(YAML["programs"], mail(("photo.png", "image/png", program())))
    assert r["outcome"] == "clean" and held(r, "programs-by-content")["holds"]
    [r] = explain(YAML["programs"], mail(("notes.txt", "text/plain", b"x")))
    assert r["outcome"] == "accept" and not r["keep"]


def links(explain):
    name = "b&c=\u00e4 d.bin"
    [r] = explain(YAML["links"], mail((name, "application/x", b"x" * 2000)))
    assert r["outcome"] == "clean" and r["keep"]
    text = explain(YAML["links"], mail((name, "application/x", b"x" * 2000), ("s.bin", "application/x", b"x")),
                   form="message").replace("\r", "").replace("=\n", "").replace("=3D", "=")
    assert re.search(r"was taken out of this message.\nTo get it: https://mail.example.org/held/[0-9A-Z]{16}/3"
                     r"\?name=b%26c%3D%C3%A4%20d.bin\n", text), text
    assert '"s.bin"' in text and "eHh4eHh4" not in text
    text = explain("policies:" + YAML["links"].partition("policies:")[2], mail((name, "application/x", b"x" * 2000)),
                   form="message").replace("\r", "").replace("=\n", "")
    assert re.search(r"To get it: ask your postmaster for message [0-9A-Z]{16}\n", text), text


def packed(kind, *names):
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as z:
            for name in names:
                z.writestr(name, b"x")
    else:
        with tarfile.open(fileobj=out, mode=kind) as t:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = 100
                t.addfile(info, io.BytesIO(bytes(100)))
    return out.getvalue()


def members(explain):
    for kind in ("zip", "w", "w:gz"):
        for names, outcome in ((["readme.txt", "a/b/Setup.EXE"], "reject"), (["readme.txt", "exe"], "accept"),
                               (["x.js. . "], "reject"), ([], "accept")):
            [r] = explain(YAML["members"], mail(("a.bin", "application/x", packed(kind, *names))))
            assert r["outcome"] == outcome, (kind, names)
    # Behind what is unpacked, and in an archive in the archive, nothing is seen; nothing takes long.
    bomb = io.BytesIO()
    with tarfile.open(fileobj=bomb, mode="w:gz") as t:
        info = tarfile.TarInfo("zeros")
        info.size = 64 << 20
        t.addfile(info, io.BufferedReader(Zeros()))
        t.addfile(tarfile.TarInfo("late.exe"))
    for data in (bomb.getvalue(), packed("w:gz", "a.exe")[:40], b"PK\x03\x04" + bytes(100), b"\x1f\x8b" + bytes(50)):
        [r] = explain(YAML["members"], mail(*[("a.bin", "application/x", data)] * 12))
        assert r["outcome"] == "accept"
    [r] = explain("function part(m, p) for _, n in ipairs(members(p.number)) do add_header('X-In', n) end end",
                  mail(("a.bin", "application/x", packed("zip", "one.txt", "two.txt"))), suffix=".lua")
    assert r["script"] == ["add_header"] * 2


class Zeros(io.RawIOBase):
    def readable(self):
        return True

    def readinto(self, b):
        b[:] = bytes(len(b))
        return len(b)


def encrypted(explain):
    [r] = explain(YAML["encrypted"], mail(("a.zip", "application/zip", archive(True))))
    assert (r["outcome"], r["detail"]) == ("hold", "encrypted archive")
    [r] = explain(YAML["encrypted"], mail(("a.zip", "application/zip", archive(False))))
    assert r["outcome"] == "accept"


def disclaimer(explain):
    ours = {"client_ip": "192.0.2.9", "from": "joe@example.org", "to": ["x@elsewhere.example"]}
    text = explain(YAML["disclaimer"], mail(), form="message", **ours)
    assert text.endswith("hello\n--\nExample Ltd, Example Street 1\n") or \
        text.replace("\r", "").endswith("hello\n--\nExample Ltd, Example Street 1\n")
    text = explain(YAML["disclaimer"], mail(), form="message", client_ip="198.51.100.1")
    assert "Example Ltd" not in text


def external(explain):
    assert "Subject: [EXT] hello" in explain(YAML["external"], mail(), form="message")
    partner = {"from": "x@partner.example"}
    assert "[EXT]" not in explain(YAML["external"], mail(), form="message", **partner)
    assert "[EXT]" not in explain(YAML["external"], mail(), form="message", client_ip="192.0.2.9")


def thresholds(explain):
    data = mail(headers="X-A: b\r\n").replace(b"hello\r\nX-A", b"please tag me\r\nX-A")
    for to, outcome in (("a@law.example.org", "accept"), ("bob@example.org", "tag")):
        [r] = explain(YAML["thresholds"], data, to=[to])
        assert r["outcome"] == outcome, to
    [r] = explain(YAML["thresholds"], data, to=["abuse@example.org"])
    assert r["reason"] == "policy abuse does not scan"
    assert "Subject: [SPAM 6.0] please tag me" in explain(YAML["thresholds"], data, form="message")


def archives(explain):
    [r] = explain(YAML["archive"], mail())
    assert held(r, "archive")["do"] == ["copy"] and r["outcome"] == "accept"


def early(explain):
    for options, stage, policy in (({"client_name": "x.dyn.example"}, "rcpt", "dynamic"),
                                   ({"client_name": "dsl-7.example"}, "rcpt", "dynamic"),
                                   ({"helo": "mail.example.org"}, "rcpt", "pretenders")):
        options["client_ip"] = "198.51.100.7"
        [r] = explain(YAML["early"], mail(), **options)
        assert r["early"] == {"stage": stage, "policy": policy, "action": "reject"}
        [r] = explain(YAML["early"], mail(), to=["postmaster@example.org"], **options)
        assert "early" not in r and r["outcome"] == "accept"
    text = explain(YAML["early"], mail(), form="text", helo="example.org", client_ip="198.51.100.7")
    assert "Decided at rcpt by pretenders: reject" in text and "550 5.7.1 You are not us" in text


def spoof(explain):
    data = mail().replace(b"alice@example.net", b"Boss <boss@example.org>")
    [r] = explain(YAML["spoof"], data)
    assert (r["outcome"], r["detail"]) == ("hold", "pretends to be from us")
    [r] = explain(YAML["spoof"], mail())
    assert r["outcome"] == "accept"


def redirect(explain):
    big = mail(text="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 40)
    [r] = explain(YAML["redirect"], big, to=["fax@example.org"])
    assert r["redirect"] and r["add"] == ["bigfax@example.org"]
    [r] = explain(YAML["redirect"], mail(), to=["fax@example.org"])
    assert not r["redirect"]
    text = explain(YAML["redirect"], mail(headers="List-Id: News <news.example>\r\n"
                                          "X-Campaign: 7\r\n"), form="message")
    assert "X-Campaign" not in text and "X-Kind: newsletter" in text


def lab(explain):
    [r] = explain(YAML["lab"], mail(text="a macro inside\r\n"))
    assert r["outcome"] == "hold" and r["policy"] == "risky-office"
    [r] = explain(YAML["lab"], mail(text="a macro inside\r\n", headers="X-Known: yes\r\n"))
    assert r["outcome"] == "accept"
    assert not held(r, "lab")["holds"]


CHECKS = {"programs": programs, "encrypted": encrypted, "disclaimer": disclaimer,
          "external": external, "thresholds": thresholds, "archive": archives, "early": early,
          "spoof": spoof, "redirect": redirect, "lab": lab, "links": links, "members": members}


def test_every_example_is_tested():
    assert set(YAML) == set(CHECKS)
    assert set(SCRIPTS) == set(SCRIPT_CHECKS)


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_example(name, explain, tmp_path):
    config = tmp_path / "example.yaml"
    config.write_text(YAML[name] + "processes: {user: null, group: null}\n")
    done = subprocess.run([BINARY, "check", "--settings", "-c", config], capture_output=True)
    said = [line for line in done.stdout.decode().splitlines() if "policies" in line]
    assert [x for x in said if "never" in x and "nobody is ours" not in x] == [], done.stdout.decode()
    CHECKS[name](explain)


# --- scripts ---

def lua_executables(explain):
    [r] = explain(SCRIPTS["executables"], mail(("a.exe", "a/b", b"x")), suffix=".lua")
    assert r["outcome"] == "clean" and "replace_part" in r["script"]
    [r] = explain(SCRIPTS["executables"], mail(("a.txt", "a/b", b"x")), suffix=".lua")
    assert r["outcome"] == "accept"


def lua_stages(explain):
    for options, outcome in (({"client_ip": "203.0.113.5"}, "reject"),
                             ({"helo": "localhost"}, "reject"),
                             ({"from": "x@bad.example"}, "defer"),
                             ({"to": ["nobody@example.org"]}, "reject"), ({}, "accept")):
        [r] = explain(SCRIPTS["stages"], mail(), suffix=".lua", **{"client_ip": "192.0.2.1", **options})
        assert r["outcome"] == outcome, options
        stage = {"client_ip": "connect", "helo": "helo", "from": "mail", "to": "rcpt"}
        assert r["script_stages"] == [stage[k] for k in options], options


def lua_counter(explain):
    [r] = explain(SCRIPTS["counter"], mail(), suffix=".lua", client_ip="192.0.2.1")
    assert r["outcome"] == "accept"


def lua_end(explain):
    text = explain(SCRIPTS["end"], mail(headers="X-Secret: a\r\n"), suffix=".lua", form="message")
    assert "X-Secret" not in text and "X-Checked: 1 parts" in text


SCRIPT_CHECKS = {"executables": lua_executables, "stages": lua_stages, "counter": lua_counter,
                 "end": lua_end}


@pytest.mark.parametrize("name", sorted(SCRIPT_CHECKS))
def test_script(name, explain):
    SCRIPT_CHECKS[name](explain)


# --- through the gateway ---

def settings(policies, **more):
    return {"policies": policies, **more}


def test_a_part_is_taken_out_kept_and_released(tmp_path, sink):
    with gateway(tmp_path, next_hop=sink.port, settings=settings([
            {"name": "exe", "parts": {"name": ["*.exe"]}, "do": "quarantine_part"}])) as g:
        assert g.send(mail(("a.exe", "application/x", b"MZ")))[0] == 250
        data = sink.wait(1)[0][2]
        assert b'The attachment "a.exe" was quarantined (exe)' in data
        name = re.search(rb"message ([0-9A-Z]{16})", data).group(1).decode()
        assert name in g.run("quarantine", "list", "--json").stdout
        g.run("quarantine", "release", name)
        whole = sink.wait(2)[1][2]
        assert base64.encodebytes(b"MZ").strip() in whole


def test_recipients_copies_and_notices(tmp_path, sink):
    with gateway(tmp_path, next_hop=sink.port, settings=settings([
            {"name": "all", "continue": True, "do": [{"copy": "archive@example.org"}]},
            {"name": "bob", "recipients": ["bob@example.org"],
             "do": [{"redirect": "joe@example.org"}, {"change_sender": "list@example.org"},
                    {"notify": {"to": "pm@example.org", "subject": "seen _ID_"}}]},
            {"name": "ann", "recipients": ["ann@example.org"], "do": "delete_recipient"},
            ])) as g:
        assert g.send(mail(), to=("bob@example.org", "ann@example.org", "eve@example.org"))[0] == 250
        by = {tuple(rcpts): (sender, data) for sender, rcpts, data in sink.wait(4)}
        assert set(by) == {("joe@example.org",), ("eve@example.org",), ("archive@example.org",),
                           ("pm@example.org",)}
        assert by[("joe@example.org",)][0] == "list@example.org"
        assert b"Subject: seen " in by[("pm@example.org",)][1]
        assert by[("archive@example.org",)][1].endswith(mail())


def test_decided_at_the_stage_where_it_is_known(tmp_path, sink):
    with gateway(tmp_path, next_hop=sink.port, settings=settings([
            {"name": "pm", "recipients": ["postmaster@example.org"], "do": "accept"},
            {"name": "sender", "senders": ["@bad.example"], "do": {"reject": "No mail from _SENDER_"}},
            {"name": "rcpt", "recipients": ["gone@example.org"], "do": {"defer": "Later"}},
            {"name": "drop", "recipients": ["void@example.org"], "do": "discard"},
            {"name": "late", "header": {"X-Bad": True}, "do": {"reject": "Not this"}}])) as g:
        s = g.smtp()
        s.ehlo()
        assert s.mail("x@bad.example")[0] == 250  # for the postmaster, perhaps
        assert s.rcpt("bob@example.org") == (550, b"5.7.1 No mail from x@bad.example")
        assert s.rcpt("postmaster@example.org")[0] == 250
        s.rset()
        s.mail("alice@example.net")
        assert s.rcpt("gone@example.org") == (451, b"4.7.1 Later")
        assert s.rcpt("void@example.org")[0] == 250
        assert s.rcpt("bob@example.org")[0] == 250
        code, text = s.data(mail(headers="X-Bad: 1\r\n"))
        assert code == 550 and text.startswith(b"5.7.1 Not this (")
        s.mail("alice@example.net")
        s.rcpt("void@example.org")
        s.rcpt("bob@example.org")
        assert s.data(mail())[0] == 250
        assert sink.wait(1)[0][1] == ["bob@example.org"]
        s.quit()


def test_decided_at_mail_and_at_connect(tmp_path, sink):
    with gateway(tmp_path, next_hop=sink.port, settings=settings([
            {"name": "helo", "helo": "evil.*", "do": {"defer": "Not now"}},
            {"name": "sender", "senders": ["@bad.example"], "do": "reject"}])) as g:
        s = g.smtp()
        s.ehlo()
        assert s.mail("x@bad.example") == (550, b"5.7.1 Refused by policy")
        assert s.mail("x@good.example")[0] == 250
        s.rset()
        assert s.ehlo("evil.example") == (451, b"4.7.1 Not now")
        assert s.mail("x@good.example")[0] == 503
        s.quit()
        g.settings["policies"] = [{"name": "c", "clients": ["127.0.0.0/8"],
                                   "do": {"reject": "Go away"}}]
        g.reload()
        with socket.create_connection(("127.0.0.1", g.port), timeout=20) as c:
            assert c.recv(1000).startswith(b"550 5.7.1 Go away")


def test_a_script_in_the_gateway(tmp_path, sink):
    script = tmp_path / "policy.lua"
    script.write_text("""
function recipient(m, r) if r == 'joe@example.org' then return 'hold', 'for joe' end end
function finish(m)
  local n = store.incr('seen ' .. m.sender, 1, 3600)
  add_header('X-Count', tostring(n))
  if header('X-Fail')[1] then nonsense() end
end
""")
    with gateway(tmp_path / "g", next_hop=sink.port, settings=settings(
            [], script={"file": str(script)})) as g:
        for _ in range(2):
            assert g.send(mail(), to=("bob@example.org", "joe@example.org"))[0] == 250
        counts = sorted(re.search(rb"X-Count: (\d)", data).group(1) for _, _, data in sink.wait(2))
        assert counts == [b"1", b"2"]
        assert "for joe" in g.run("quarantine", "list", "--json").stdout
        code, text = g.send(mail(headers="X-Fail: 1\r\n"))
        assert code == 451 and "Not all checks" in text
        assert "policy.lua:6: attempt to call a nil value" in g.log_text()


# Each action of docs/lua.md: what a script says in finish() (or recipient()), and what becomes of the message.
ACTIONS = {
    "reject": ('reject("550 5.7.9 Not this")', lambda r: r.code == 550 and "5.7.9 Not this" in r.text and not r.got),
    "defer": ('defer("Later")', lambda r: r.code == 451 and "4.7.1 Later" in r.text and not r.got),
    "discard": ("discard()", lambda r: r.code == 250 and not r.got and not r.held),
    "hold": ('hold("why not")', lambda r: r.code == 250 and not r.got and r.held["detail"] == "why not"),
    "keep": ("keep()", lambda r: len(r.got) == 1 and r.held["reason"] == "original"),
    "accept": ("accept()", lambda r: r.got and b"X-Spam-Flag" not in r.data),  # although its score is high enough
    "tag": ("tag()", lambda r: b"X-Spam-Flag: YES" in r.data),
    "add_header": ('add_header("X-A", "new _SENDER_")', lambda r: b"X-A: new alice@example.net\r\n" in r.data and
                   r.data.index(b"X-A: new") < r.data.index(b"X-A: one")),
    "change_header": ('change_header("X-A", "2nd", 2)', lambda r: r.fields("X-A") == ["one", "2nd", "three"]),
    "delete_header": ('delete_header("X-A", 2)', lambda r: r.fields("X-A") == ["one", "three"]),
    "delete_all_headers": ('delete_all_headers("X-A")', lambda r: r.fields("X-A") == []),
    "subject_prefix": ('subject_prefix("[X] ")', lambda r: r.fields("Subject")[0].startswith("[X] action")),
    "drop_part": ("drop_part(3)", lambda r: b"a.exe" not in r.data and r.held["reason"] == "original"),
    "replace_part": ('replace_part("no _NAME_", 3)', lambda r: b"\r\nno a.exe\r\n" in r.data and r.held),
    "link_part": ("link_part(nil, 3)", lambda r: b"To get it: https://h.example/" + r.held["id"].encode() + b"/3\r\n"
                  in r.data),
    "quarantine_part": ("quarantine_part(nil, 3)", lambda r: b"was quarantined" in r.data and
                        r.held["id"].encode() in r.data),
    "clean": ("clean()", lambda r: b"a.exe" in r.data and not r.held),  # no virus; see test_cleaning.py
    "rename_part": ('rename_part("_NAME_.bin", 3)', lambda r: b'filename="a.exe.bin"' in r.data and not r.held),
    "touch_signed": ("touch_signed() drop_part(3)", lambda r: b"a.exe" not in r.data),
    "add_disclaimer": ('add_disclaimer("We said", "<p>We said</p>")', lambda r: b"hello\r\nWe said\r\n" in r.data),
    "add_recipient": ('add_recipient("more@example.org")', lambda r: r.to == ["bob@example.org", "more@example.org"]),
    "delete_recipient": ("delete_recipient()", lambda r: not r.got and r.code == 250),
    "redirect": ('redirect("else@example.org")', lambda r: r.to == ["else@example.org"]),
    "change_sender": ('change_sender("list@example.org")', lambda r: r.got[0][0] == "list@example.org"),
    "notify": ('notify("pm@example.org", "seen _ID_", "by _CLIENT_")', lambda r: r.to == ["bob@example.org", "pm@example.org"]
               and any(b"\r\nSubject: seen " in m[2] and b"by 127.0.0.1" in m[2] for m in r.got)),
    "log": ('log("a line of ours")', lambda r: r.got and "a line of ours" in r.log),
    "copy": ('copy("archive@example.org")', lambda r: r.to == ["archive@example.org", "bob@example.org"] and
             any(b"X-Gatehouse-Id" not in m[2] for m in r.got)),
}


class Result:
    def __init__(self, g, sink, name, answer):
        self.code, self.text = answer
        self.log = g.log_text()
        subject = f"action {name} done"

        def item():
            rows = map(json.loads, g.run("quarantine", "list", "--json").stdout.splitlines())
            return next(({**x, **x["recipients"][0]} for x in rows if x["subject"] == subject), None)
        self.held = item()
        mid = re.search(r"[0-9A-Z]{16}", self.text)[0]
        self.got = [m for m in sink.messages if subject.encode() in m[2] or f"seen {mid}".encode() in m[2]]
        self.to = sorted(r for m in self.got for r in m[1])
        self.data = self.got[0][2] if self.got else b""

    def fields(self, name):
        head = self.data.partition(b"\r\n\r\n")[0].decode()
        return [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith(name + ": ")]


def test_every_action_of_a_script(tmp_path, sink):
    text = (ROOT / "docs/lua.md").read_text()
    table = text[text.index("## Actions"):text.index("## Examples")]
    named = {f for row in table.splitlines() if row.startswith("| `")
             for f in re.findall(r"`([a-z_]+)\(", row.split("|")[1])}
    assert named == set(ACTIONS)  # what is documented is tested
    lua = "local does = {\n" + "".join(f"  {name} = function() {code} end,\n" for name, (code, _) in ACTIONS.items()) + """}
local function run(m, now)
  local name = m.sender:match("^alice%+([a-z_]+)@")
  if name and (name == "delete_recipient") == now then does[name]() end
end
function recipient(m) run(m, true) end
function finish(m) run(m, false) if m.sender:find("+", 1, true) and not rejected() then add_header("X-Ran", "yes") end end
"""
    script = tmp_path / "policy.lua"
    script.write_text(lua.replace("_SENDER_", "alice@example.net"))
    done = {}
    with gateway(tmp_path, next_hop=sink.port, settings={
            "script": {"file": str(script)}, "quarantine": {"link_url": "https://h.example/_ID_/_PART_"}}) as g:
        for name in ACTIONS:
            subject = "please tag me" if name == "accept" else ""
            data = mail(("a.exe", "application/x", b"MZ"), headers=(
                "X-A: one\r\nX-A: two\r\nX-A: three\r\n" + (f"X-Note: {subject}\r\n" if subject else "")))
            done[name] = g.send(data.replace(b"Subject: hello", f"Subject: action {name} done{' ' + subject if subject else ''}"
                                             .encode()), sender=f"alice+{name}@example.net")
        wait_for("an empty queue", lambda: "@" not in g.run("queue", "list").stdout)
        failed = [name for name, (_, holds) in ACTIONS.items() if not holds(Result(g, sink, name, done[name]))]
        assert failed == []


def test_a_counter_puts_off(tmp_path, sink):
    """The example of docs/lua.md, with a smaller number: all scanners count together."""
    script = tmp_path / "policy.lua"
    script.write_text(SCRIPTS["counter"].replace("> 500", "> 6"))
    with gateway(tmp_path, next_hop=sink.port, settings={"script": {"file": str(script)}}) as g:
        for _ in range(6):
            assert g.send(mail())[0] == 250
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            g.send(mail())
        assert refused.value.smtp_code == 451 and b"come back in an hour" in refused.value.smtp_error
