"""The protocols of scanners: spamc against the gateway and against SpamAssassin's own daemon, rspamd's
HTTP, filters for pipes."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import urllib.error
import urllib.request
import zlib

import pytest

import harness
import rspamd
from harness import GTUBE, gateway, message, wait_for
from unpacked import Missing

TAG = "please tag me"
# Headers and templates are those of SpamAssassin's own file of defaults.
DEFAULTS = pathlib.Path("/usr/share/spamassassin/10_default_prefs.cf")
RULES = (DEFAULTS.read_text() if DEFAULTS.exists() else "") + harness.RULES + """
report_safe 1
use_bayes 0
bayes_auto_learn 0
header   T_HELO_BAD    X-Spam-Relays-Untrusted =~ / helo=bad\\.example /
describe T_HELO_BAD    A client of bad manners
score    T_HELO_BAD    1
header   T_FROM_EVIL   EnvelopeFrom =~ /evil@/
score    T_FROM_EVIL   2
"""


# A pair of keys as rspamadm prints it.
RSPAMADM = ("e4gr3yuw4xiy6dikdpqus8cmxj8c6pqstt448ycwhewhhrtxdahy",
            "fg8uwtce9sta43sdwzddb11iez5thcskiufj4ug8esyfniqq5iiy")


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("scanners")
    ports = {name: harness.free_port() for name in ("spamd", "tls", "http", "https")}
    cert = directory / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                    "/CN=gate.test", "-keyout", cert, "-out", directory / "c"], check=True,
                   capture_output=True)
    keys = directory / "httpcrypt"
    keys.write_text("# an old one below\n" + "5a" * 32 + "\n" + RSPAMADM[0] + "\n")
    keys.chmod(0o600)
    cert.write_bytes(cert.read_bytes() + (directory / "c").read_bytes())
    with gateway(directory, rules=RULES, settings={
        "hostname": socket.gethostname(),
        "limits": {"message_size": "2MiB"},
        "listeners": [
            {"name": "spamd", "protocol": "spamd", "address": f"127.0.0.1:{ports['spamd']}"},
            {"name": "socket", "protocol": "spamd", "address": f"unix:{directory}/spamd.sock"},
            {"name": "spamds", "protocol": "spamd", "address": f"127.0.0.1:{ports['tls']}",
             "tls": "implicit", "certificate": str(cert)},
            {"name": "http", "protocol": "rspamd", "address": f"127.0.0.1:{ports['http']}",
             "password": "secret", "httpcrypt_file": str(keys)},
            {"name": "https", "protocol": "rspamd", "address": f"127.0.0.1:{ports['https']}",
             "tls": "implicit", "certificate": str(cert)},
        ],
        "policies": [
            {"name": "hard", "recipients": ["hard@example.org"], "on_spam": "reject"},
            {"name": "default", "subject_tag": "[SPAM] "}],
    }) as g:
        g.ports, g.cert = ports, cert
        yield g


def talk(gate, data, port="spamd", half_close=True, timeout=30, reset=False):
    """Raw bytes to the daemon, all that it answers."""
    with socket.create_connection(("127.0.0.1", gate.ports[port]), timeout=timeout) as s:
        if reset:  # how it ends: nothing is left open at the other end
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        out = b""
        while piece := s.recv(65536):
            out += piece
        return out


def test_who_speaks_raw(gate):
    data = message(TAG)
    ask = b"CHECK SPAMC/1.2\r\nContent-length: %d\r\n\r\n" % len(data)
    answer = b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 6.0 / 5.0\r\n\r\n"
    assert talk(gate, ask + data) == answer
    assert talk(gate, ask + data, half_close=False) == answer
    assert talk(gate, b"CHECK SPAMC/1.0\r\n" + data) == answer
    assert talk(gate, b"PING SPAMC/1.5\r\n\r\n") == b"SPAMD/1.5 0 PONG\r\n"
    assert talk(gate, b"SKIP SPAMC/1.5\r\n\r\n") == b""
    assert talk(gate, b"\x00\xff\r\n").startswith(b"SPAMD/1.0 76 Bad header line: ")
    assert talk(gate, b"CHECK SPAMC/1.5\r\nContent-length: 9000000\r\n\r\n").startswith(
        b"SPAMD/1.0 69 ")
    bomb = zlib.compress(b"\0" * 50_000_000)
    assert talk(gate, b"CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %d\r\n\r\n" % len(bomb)
                + bomb).startswith(b"SPAMD/1.0 69 ")
    assert talk(gate, b"TELL SPAMC/1.5\r\nMessage-class: spam\r\nSet: local\r\n\r\n").startswith(
        b"SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled")


def test_exim_with_variant_rspamd(gate):
    """Exim's own request (spam.c), to either listener; it parses the answer by sscanf."""
    data = message(TAG)
    ask = (b"CHECK RSPAMC/1.3\r\nContent-length: %d\r\nQueue-Id: 1abc\r\nFrom: <evil@example.net>\r\n"
           b"Recipient-Number: 1\r\nRcpt: <bob@example.org>\r\nHelo: bad.example\r\n"
           b"IP: 192.0.2.1\r\n\r\n" % len(data)) + data
    for port in ("spamd", "http"):
        answer = talk(gate, ask, port, half_close=False).decode()
        assert re.match(r"RSPAMD/1\.3 0 EX_OK\r\nMetric: default; True; 9\.00 / 5\.00 / 0\.0\r\n"
                        r"Action: (add header|rewrite subject)\r\n", answer), answer
        assert "Symbol: T_HELO_BAD(1.00)\r\n" in answer and "T_FROM_EVIL(2.00)" in answer


# ---- spamc, against the gateway and against the original ----

@pytest.fixture(scope="module")
def original(gate, tmp_path_factory):
    """Debian's spamd with the same rules."""
    if not shutil.which("spamd") or os.getuid() != 0:
        pytest.skip("spamd is not installed")
    directory = tmp_path_factory.mktemp("spamd")
    port = harness.free_port()
    (directory / "site").mkdir()
    (directory / "site" / "own.cf").write_text(RULES)
    (directory / "site" / "init.pre").write_text("loadplugin Mail::SpamAssassin::Plugin::Check\n")
    for d in (directory, *directory.parents):  # it becomes nobody before it reads them
        if d != pathlib.Path("/") and os.stat(d).st_uid == os.getuid():
            os.chmod(d, os.stat(d).st_mode | 0o711)
    os.chmod(directory / "site", 0o755)
    process = subprocess.Popen(
        ["spamd", "-i", "127.0.0.1", "-p", str(port), "-m", "1", "-L", "-x", "-u", "nobody",
         "-C", str(directory / "site"), "--siteconfigpath", str(directory / "site"),
         "-H", "/nonexistent", "-s", str(directory / "log"), "-r", str(directory / "pid")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ready():
        assert process.poll() is None, (directory / "log").read_text()
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0
    wait_for("spamd", ready, 60, 0.2)
    yield port
    process.terminate()
    process.wait(30)


def spamc(port, *args, data, host="127.0.0.1"):
    r = subprocess.run(["spamc", "-d", host, "-p", str(port), *args], input=data,
                       capture_output=True, timeout=120)
    return r.returncode, r.stdout


HAM, SPAM = message("hello", "how are you\r\n"), message(TAG, "buy this\r\n" + GTUBE + "\r\n")
MULTIPART = message(TAG, "--b\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n--b--\r\n", headers=[
    "MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b"', "X-Spam-Flag: NO",
    "X-Spam-Prev-Subject: kept"])


def alike(text):
    """Without what differs from run to run: time, boundary."""
    text = re.sub(rb"-{10}=_[0-9A-F]{8}\.[0-9A-F]{8}", b"BOUNDARY", text)
    return re.sub(rb"[A-Z][a-z][a-z], \d\d [A-Z][a-z][a-z] \d{4} [\d:]{8} [-+]\d{4}", b"DATE", text)


@pytest.mark.parametrize("args", [["-c"], ["-y"], ["-R"], ["-r"], [], ["--headers"], ["-z"],
                                  ["-z", "-R"], ["-E"], ["-K"], ["-L", "spam"]],
                         ids=lambda a: " ".join(a) or "process")
@pytest.mark.parametrize("data", [HAM, SPAM, MULTIPART, HAM.replace(b"\r\n", b"\n"),
                                  SPAM.replace(b"\r\n", b"\n"), b"\n", b"no header at all"],
                         ids=["ham", "spam", "multipart", "ham-lf", "spam-lf", "blank", "headless"])
def test_spamc_gets_what_spamd_says(gate, original, args, data):
    theirs = spamc(original, *args, data=data)
    ours = spamc(gate.ports["spamd"], *args, data=data)
    assert (ours[0], alike(ours[1])) == (theirs[0], alike(theirs[1]))


def test_spamc_by_socket_and_tls(gate):
    for args in (["-U", str(gate.dir / "spamd.sock")],
                 ["-S", "-d", "127.0.0.1", "-p", str(gate.ports["tls"])]):
        r = subprocess.run(["spamc", *args, "-c"], input=SPAM, capture_output=True, timeout=60)
        assert r.stdout == b"1006.0/5.0\n" and r.returncode == 1, (args, r)
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", gate.ports["tls"]), timeout=30) as raw, \
            context.wrap_socket(raw) as s:
        s.sendall(b"PING SPAMC/1.5\r\n\r\n")
        assert s.recv(100) == b"SPAMD/1.5 0 PONG\r\n"


def test_what_is_judged_is_on_record(gate):
    spamc(gate.ports["spamd"], "-c", data=message("on record by spamc"))
    wait_for("the record", lambda: "on record by spamc" in gate.run("log", "--json").stdout)
    assert not gate.run("queue", "list", "--json").stdout.strip("[] \n")


# ---- rspamd's HTTP ----

def http(gate, path, data=None, headers=None, method=None):
    request = urllib.request.Request(f"http://127.0.0.1:{gate.ports['http']}{path}", data=data,
                                     headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def check(gate, data, **headers):
    status, body = http(gate, "/checkv2", data, {k.replace("_", "-"): v for k, v in headers.items()})
    assert status == 200, body
    return json.loads(body)


def test_checkv2(gate):
    got = check(gate, message("hello"))
    assert got["action"] == "no action" and got["symbols"] == {} and got["required_score"] == 5
    got = check(gate, message(TAG, headers=["X-Spam-Flag: NO, forged"]), IP="192.0.2.1",
                Helo="bad.example", From="<evil@example.net>", Rcpt="<bob@example.org>")
    assert got["action"] == "rewrite subject" and got["subject"] == "[SPAM] " + TAG
    assert got["score"] == 9 and got["symbols"]["T_HELO_BAD"]["score"] == 1
    assert got["symbols"]["T_SUBJ_TAGME"]["description"] == "The subject asks for a tag"
    milter = got["milter"]
    assert milter["remove_headers"] == {"X-Spam-Flag": 0}
    assert milter["add_headers"]["X-Spam-Flag"] == [{"value": "YES", "order": 0}]
    assert "Received" not in milter["add_headers"]
    got = check(gate, message(body=GTUBE + "\r\n"), From="a@example.net", Rcpt="bob@example.org")
    assert got["action"] == "reject" and got["symbols"]["GTUBE"]["score"] == 1000


def test_one_answer_for_all_recipients(gate):
    assert check(gate, message(TAG), Rcpt="hard@example.org")["action"] == "reject"
    got = check(gate, message(TAG), Rcpt="hard@example.org, bob@example.org")
    assert got["action"] == "rewrite subject", "nobody loses mail by another one's policy"


def test_an_own_trace_field_is_not_doubled(gate):
    own = ("Received: from good.example (good.example [192.0.2.1])\r\n\tby mta.test with ESMTP id 1;"
           " Sun, 22 Nov 2026 07:30:00 +0000")
    data = own.encode() + b"\r\n" + message("hello")
    assert "T_HELO_BAD" not in check(gate, data, IP="192.0.2.1", Helo="bad.example",
                                     From="a@example.net")["symbols"]
    assert "T_HELO_BAD" in check(gate, data, IP="192.0.2.10", Helo="bad.example",
                                 From="a@example.net")["symbols"]


def test_other_commands(gate):
    assert http(gate, "/ping") == (200, b"pong\r\n")
    assert http(gate, "/stat")[0] == 403
    check(gate, message("counted"))
    status, body = http(gate, "/stat", headers={"Password": "secret"})
    assert status == 200 and json.loads(body)["scanned"] > 0
    assert http(gate, "/learnspam", b"x", {"Password": "wrong"})[0] == 403
    assert http(gate, "/learnspam", b"x", {"Password": "secret"})[0] == 501
    assert http(gate, "/nothing")[0] == 404 and http(gate, "/checkv2")[0] == 400
    assert b" 413 " in talk(gate, b"POST /checkv2 HTTP/1.1\r\nHost: x\r\n"
                            b"Content-Length: 3000000\r\n\r\n", "http")


@pytest.mark.parametrize("data", [
    b"POST /checkv2 HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"POST /checkv2 HTTP/9.9\r\n\r\n", b"POST " + b"/" * 300000 + b" HTTP/1.1\r\n\r\n",
    b"POST /checkv2 HTTP/1.1\r\n" + b"Rcpt: <a@example.org>\r\n" * 30000 + b"\r\n",
    b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbroken off",
    b"\x00\x01\x02\x03\x04\x05", b"GET", b"POST \x00 HTTP/1.1\r\n\r\n"])
def test_hostile_requests(gate, data):
    door = gate.pids("door")
    try:
        talk(gate, data, "http", timeout=2, reset=True)  # some are answered, some waited for
    except OSError:
        pass
    assert http(gate, "/ping") == (200, b"pong\r\n") and gate.pids("door") == door


def test_chunked_and_kept_alive(gate):
    import http.client
    c = http.client.HTTPConnection("127.0.0.1", gate.ports["http"], timeout=60)
    for _ in range(3):
        c.request("POST", "/checkv2", iter([message(TAG)[:50], message(TAG)[50:]]),
                  encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
        r = c.getresponse()
        assert r.status == 200 and json.loads(r.read())["score"] == 6
    c.close()


def test_rspamc(gate):
    try:
        client = rspamd.command("rspamc")
    except Missing as e:
        pytest.skip(str(e))
    host = f"127.0.0.1:{gate.ports['http']}"

    def rspamc(*args, data=None):
        r = subprocess.run([*client, "-h", host, *args], input=data, capture_output=True, timeout=60)
        return r.stdout.decode()
    out = rspamc("-i", "192.0.2.1", "--helo", "bad.example", "-F", "evil@example.net", "-r",
                 "bob@example.org", "symbols", data=message(TAG))
    assert "Action: rewrite subject" in out and "Score: 9.00 / 5.00" in out
    assert "Symbol: T_HELO_BAD (1.00)" in out
    assert json.loads(rspamc("-j", data=message(TAG)))["score"] == 6
    assert json.loads(rspamc("-z", "-j", data=message(TAG)))["score"] == 6
    assert "Messages scanned:" in rspamc("-P", "secret", "stat")
    assert "501" in rspamc("-P", "secret", "learn_spam", data=message(TAG))


def test_httpcrypt(gate):
    """rspamc --key: Debian's program seals the request, and opens our answer."""
    try:
        client = rspamd.command("rspamc")
    except Missing as e:
        pytest.skip(str(e))
    public = re.findall(r"httpcrypt-key listener=http public=(\w+)", gate.log_text())
    assert len(public) == 2 and public[1] == RSPAMADM[1]
    large = message(TAG, ("y" * 60 + "\r\n") * 20000)

    def rspamc(*args, data=None, key=public[0]):
        r = subprocess.run([*client, "-h", f"127.0.0.1:{gate.ports['http']}", "--key", key, *args], input=data,
                           capture_output=True, timeout=60)
        return (r.stdout + r.stderr).decode()
    for key in public:
        out = json.loads(rspamc("-j", "-i", "192.0.2.1", "--helo", "bad.example", "-F", "evil@example.net", "-r",
                                "bob@example.org", data=message(TAG), key=key))
        assert out["score"] == 9 and "T_HELO_BAD" in out["symbols"]  # what stands inside counts
    assert json.loads(rspamc("-j", data=large))["score"] == 6
    assert json.loads(rspamc("-z", "-j", data=large))["score"] == 6
    assert "Messages scanned:" in rspamc("-P", "secret", "stat")
    assert "score" not in rspamc("-j", data=message(TAG), key="y" * 51 + "b")
    too_large = rspamc("-j", data=message(TAG, ("y" * 60 + "\r\n") * 40000))
    assert "the message is too large" in too_large, too_large
    # In the clear as before; and what stands outside of a seal is not believed.
    assert check(gate, message(TAG))["score"] == 6
    status, body = http(gate, "/checkv2", message(TAG), {"Key": f"gnyieumi={public[0]}"})[:2]
    assert status == 400 and b"not sealed" in body
    status, body = http(gate, "/checkv2", message(TAG), {"Key": "nonsense"})[:2]
    assert status == 400 and b"another key" in body
    assert http_ok(gate)


def test_https(gate):
    import http.client
    trust = ssl.create_default_context(cafile=str(gate.cert))
    trust.check_hostname = False
    c = http.client.HTTPSConnection("127.0.0.1", gate.ports["https"], timeout=60, context=trust)
    large = message(TAG, "x" * 998 + "\r\n" + ("y" * 60 + "\r\n") * 20000)
    for data in (message(TAG), large, message(TAG)):  # one connection
        c.request("POST", "/checkv2", data)
        r = c.getresponse()
        assert r.status == 200 and json.loads(r.read())["score"] == 6
    c.request("POST", "/checkv2", large * 2)  # answered before it was read
    assert c.getresponse().status == 413
    c.close()
    for nonsense in (b"GET /ping HTTP/1.0\r\n\r\n", b"\x16\x03\x01" + bytes(300)):
        assert b"pong" not in talk(gate, nonsense, "https")
    with socket.create_connection(("127.0.0.1", gate.ports["https"]), timeout=30) as raw:
        with trust.wrap_socket(raw) as s:
            s.sendall(b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nbroken off")
    assert http_ok(gate)


def http_ok(gate):
    return http(gate, "/ping") == (200, b"pong\r\n")


def zstd(data, *options):
    if not shutil.which("zstd"):
        pytest.skip("no zstd")
    return subprocess.run(["zstd", "-q", "-c", *options], input=data, capture_output=True, check=True).stdout


def post_packed(gate, data, **headers):
    import http.client
    c = http.client.HTTPConnection("127.0.0.1", gate.ports["http"], timeout=60)
    c.request("POST", "/checkv2", data, headers={"Compression": "zstd", **headers})
    r = c.getresponse()
    return r.status, r.read()


def test_compressed_messages(gate):
    packed = zstd(message(TAG))
    code, text = post_packed(gate, packed)
    assert code == 200 and json.loads(text)["score"] == 6
    assert post_packed(gate, packed[:-5]) == (400, b'{"error":"the compressed message is cut off"}')
    assert post_packed(gate, packed + b"x")[0] == 400
    assert post_packed(gate, message(TAG))[0] == 400
    assert post_packed(gate, zstd(bytes(100 << 20)))[0] == 413  # 100 MiB from 10 kB
    assert post_packed(gate, zstd(os.urandom(1 << 19) * 100, "--long=27"))[0] in (400, 413)
    assert post_packed(gate, packed, Dictionary="1")[0] == 415
    assert post_packed(gate, packed, Compression="gzip")[0] == 415
    assert http_ok(gate)


def test_process_edits_as_policies_say(tmp_path):
    port = harness.free_port()
    with gateway(tmp_path, rules=RULES, settings={
            "listeners": [{"name": "spamd", "protocol": "spamd", "address": f"127.0.0.1:{port}"}],
            "policies": [{"name": "exe", "parts": {"name": ["*.exe"]}, "continue": True,
                          "do": {"quarantine_part": "_NAME_ is kept as _ID_"}},
                         {"name": "note", "header": {"X-Note": True}, "continue": True,
                          "do": [{"add_disclaimer": "Example Ltd"}, {"add_header": {"X-Added": "yes"}},
                                 {"subject_prefix": "[EXT] "}]}]}) as g:
        data = message("parts", "", headers=["MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b"])
        data = data.partition(b"\r\n\r\n")[0] + (
            b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
            b"--b\r\nContent-Type: a/b; name=a.exe\r\n\r\nMZ..\r\n--b--\r\n")
        out = spamc(port, data=data)[1]
        assert b"MZ.." not in out and b"X-Spam-Status: No" in out
        kept = re.search(rb"a\.exe is kept as ([0-9A-Z]{16})", out).group(1).decode()
        assert kept in g.run("quarantine", "list", "--json").stdout
        assert "--to" in g.run("quarantine", "release", kept, check=False).stderr
        g.run("quarantine", "release", "--to", "bob@example.org", kept)
        wait_for("the original", lambda: any(b"MZ.." in p.read_bytes() for p in tmp_path.glob("mail/**/new/*")))
        for text in (data, data.replace(b"parts", TAG.encode())):  # ham, and wrapped in a report
            out = spamc(port, data=text.replace(b"\r\n\r\n", b"\r\nX-Note: x\r\n\r\n", 1))[1]
            assert b"Example Ltd" in out and b"MZ.." not in out and b"X-Added: yes" in out
            assert b"Subject: [EXT] " in out
        out = spamc(port, "--headers", data=data)[1]
        assert out.endswith(data.partition(b"\r\n\r\n")[2])  # spamc takes the header alone


# ---- accidents ----

def test_scanners_die(gate):
    """spamc passes the message on, or says 75 when it was told not to."""
    for pid in gate.pids("scan"):
        os.kill(pid, signal.SIGSTOP)
    stopped = gate.pids("scan")
    ask = subprocess.Popen(["spamc", "-x", "-d", "127.0.0.1", "-p", str(gate.ports["spamd"])],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    ask.stdin.write(HAM)
    ask.stdin.close()
    for pid in stopped:
        os.kill(pid, signal.SIGKILL)
    out = ask.stdout.read()
    code = ask.wait(120)
    assert (code == 0 and b"X-Spam-Checker-Version" in out) or code == 75


def test_reload_and_end_with_open_connections(tmp_path):
    port, web = harness.free_port(), harness.free_port()
    with gateway(tmp_path, settings={"listeners": [
            {"name": "spamd", "protocol": "spamd", "address": f"127.0.0.1:{port}"},
            {"name": "http", "protocol": "rspamd", "address": f"127.0.0.1:{web}"}]}) as g:
        g.ports = {"spamd": port, "http": web}
        with socket.create_connection(("127.0.0.1", web)) as idle, \
                socket.create_connection(("127.0.0.1", port)) as slow:
            idle.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            idle.settimeout(20)
            answer = b""
            while b"pong" not in answer:
                answer += idle.recv(1000)
            slow.sendall(b"CHECK SPAMC/1.5\r\nContent-length: 5\r\n\r\n")
            g.reload()
            slow.sendall(b"a: b\n")
            assert b"SPAMD/1.1 0 EX_OK" in slow.recv(1000)
            assert http(g, "/ping")[0] == 200


# ---- filters for pipes ----

def pipe_filter(gate, data):
    return subprocess.run([str(gate.binary), "scan", "-c", str(gate.config), "--format", "message",
                           "-"], input=data, capture_output=True, timeout=60)


def test_scan_as_a_filter(gate, tmp_path):
    r = pipe_filter(gate, HAM)
    assert r.returncode == 0 and r.stdout.endswith(HAM.partition(b"\r\n\r\n")[2])
    assert r.stdout.startswith(b"X-Spam-")
    r = pipe_filter(gate, SPAM)
    assert r.returncode == 1 and b"X-Spam-Flag: YES" in r.stdout
    broken = tmp_path / "broken.yaml"
    broken.write_text("listeners: 7\n")
    r = subprocess.run([str(gate.binary), "scan", "-c", str(broken), "--format", "message", "-"],
                       input=HAM, capture_output=True, timeout=60)
    assert r.returncode == 78 and not r.stdout


@pytest.mark.skipif(not shutil.which("procmail"), reason="procmail is not installed")
def test_procmail(gate, tmp_path):
    rc = tmp_path / "rc"
    rc.write_text(f"""SHELL=/bin/sh
DEFAULT={tmp_path}/inbox
LOGFILE={tmp_path}/log
:0fw
| {gate.binary} scan -c {gate.config} --format message --filter -
:0e
{{
  EXITCODE=75
  HOST
}}
:0:
* ^X-Spam-Flag: YES
{tmp_path}/spam
""")
    os.chmod(rc, 0o644)
    for data in (HAM, SPAM):
        subprocess.run(["procmail", str(rc)], input=data.replace(b"\r\n", b"\n"), check=True,
                       timeout=60)
    assert b"how are you" in (tmp_path / "inbox").read_bytes()
    assert b"X-Spam-Status: No" in (tmp_path / "inbox").read_bytes()
    assert b"buy this" in (tmp_path / "spam").read_bytes()


@pytest.mark.skipif(not shutil.which("maildrop"), reason="maildrop is not installed")
def test_maildrop(gate, tmp_path):
    rc = tmp_path / "rc"
    rc.write_text(f"""xfilter "{gate.binary} scan -c {gate.config} --format message --filter -"
if (/^X-Spam-Flag: YES/:h)
{{
  to "{tmp_path}/spam"
}}
to "{tmp_path}/inbox"
""")
    os.chmod(rc, 0o600)
    for data in (HAM, SPAM):
        subprocess.run(["maildrop", str(rc)], input=data.replace(b"\r\n", b"\n"), check=True,
                       timeout=60, env=dict(os.environ, HOME=str(tmp_path)))
    assert b"how are you" in (tmp_path / "inbox").read_bytes()
    assert b"buy this" in (tmp_path / "spam").read_bytes()


DOVECOT = """
log_path = {dir}/log
base_dir = {dir}/run
mail_location = maildir:{dir}/Maildir
postmaster_address = postmaster@example.org
protocol lda {{
  mail_plugins = sieve
}}
plugin {{
  sieve = file:{dir}/user.sieve
  sieve_plugins = sieve_extprograms
  sieve_extensions = +vnd.dovecot.filter
  sieve_filter_bin_dir = {dir}/bin
}}
"""


@pytest.mark.skipif(not os.path.exists("/usr/lib/dovecot/modules/sieve") or os.getuid() != 0,
                    reason="dovecot-sieve is not installed, or nobody can't be had")
def test_dovecot_filters_by_sieve(tmp_path):
    """The script of docs/with-spamc.md, run by Dovecot's delivery agent."""
    text = (harness.ROOT / "docs/with-spamc.md").read_text()
    (tmp_path / "user.sieve").write_text(re.search(r"```sieve\n(.*?)```", text, re.S)[1])
    for name in ("bin", "rules", "cache"):
        (tmp_path / name).mkdir()
    (tmp_path / "rules" / "own.cf").write_text(RULES)
    (tmp_path / "dovecot.conf").write_text(DOVECOT.format(dir=tmp_path))
    settings = (f"rules: {{dirs: ['{tmp_path}/rules'], site_dir: null, network: false}}\nvirus: {{enabled: false}}\n"
                f"authentication: {{enabled: false}}\npaths: {{cache: '{tmp_path}/cache', state: '{tmp_path}'}}\n")
    program = tmp_path / "bin" / "gatehouse"
    program.write_text(f"#!/bin/sh\nexec {harness.BINARY} scan -c {tmp_path}/g.yaml --filter\n")
    program.chmod(0o755)
    subprocess.run(["chown", "-R", "nobody:nogroup", tmp_path], check=True)
    for d in tmp_path.parents:  # nobody must be able to walk here
        if os.stat(d).st_uid == os.getuid() and d != pathlib.Path("/"):
            os.chmod(d, os.stat(d).st_mode | 0o711)
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    if subprocess.run([*as_nobody, "test", "-x", harness.BINARY]).returncode:
        pytest.skip("nobody can't run the program")

    def deliver(data):
        subprocess.run([*as_nobody, "/usr/lib/dovecot/dovecot-lda", "-c", tmp_path / "dovecot.conf", "-e"], input=data,
                       check=True, timeout=120, cwd="/",
                       env={**os.environ, "HOME": str(tmp_path), "USER": "nobody", "ASAN_OPTIONS": "detect_leaks=0"})

    def box(name):
        return [p.read_bytes() for p in (tmp_path / "Maildir" / name / "new").glob("*")]
    (tmp_path / "g.yaml").write_text(settings)
    deliver(HAM)
    deliver(SPAM)
    assert len(box("")) == 1 and b"X-Spam-Status: No" in box("")[0]
    assert len(box(".spam")) == 1 and b"buy this" in box(".spam")[0]
    (tmp_path / "g.yaml").write_text("nonsense: {}\n")  # it can't judge: the message is there, and seen to be unjudged
    deliver(HAM)
    assert len(box(".unchecked")) == 1 and b"X-Spam" not in box(".unchecked")[0] and len(box("")) == 1
