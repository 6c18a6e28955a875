"""What the end-to-end tests share: a running gateway, next hops that remember what they were given,
messages of our own. Everything binds to loopback, on ports the kernel picks."""
import contextlib
import hashlib
import os
import pathlib
import random
import re
import signal
import smtplib
import socket
import socketserver
import subprocess
import threading
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("GATEHOUSE_BINARY", ROOT / "build-asan" / "gatehouse"))
START_TIMEOUT = 60

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
# In two pieces, so that no scanner takes this file for the real thing.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"

# A rule set of our own: quick to load, and enough to see tagging and refusal.
RULES = r"""
header   T_SUBJ_TAGME  Subject =~ /please tag me/i
describe T_SUBJ_TAGME  The subject asks for a tag
score    T_SUBJ_TAGME  6
body     GTUBE         /XJS\*C4JDBQADN1\.NSBN3\*2IDNEN\*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL\*C\.34X/
describe GTUBE         Generic Test for Unsolicited Bulk Email
score    GTUBE         1000
tflags   GTUBE         userconf noautolearn
"""


def free_port():
    """Below the range from which the kernel takes ports of clients: those of our own senders would
    otherwise stand in the way of a gateway that starts again."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def wait_for(what, condition, timeout=20.0, step=0.02):
    """The first true value of condition(); a failure names what was waited for."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(step)


def message(subject="hello", body="first light\r\n", sender="alice@example.net",
            to="bob@example.org", headers=()):
    """A message as it goes over the wire (CRLF)."""
    head = [f"From: Alice <{sender}>", f"To: <{to}>", f"Subject: {subject}",
            "Date: Sun, 22 Nov 2026 07:30:00 +0000",
            f"Message-ID: <{hashlib.sha1((subject + body).encode()).hexdigest()}@example.net>",
            *headers]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


class Sink:
    """A next hop. Keeps (mail_from, rcpts, bytes as received after dot-unstuffing). Replies can be
    scripted: sink.rcpt_reply = lambda addr: b"550 no" (None: accept); sink.data_reply likewise."""

    def __init__(self):
        self.messages = []
        self.rcpt_reply = lambda addr: None
        self.data_reply = lambda data: None
        self.lock = threading.Lock()
        self.connections = 0
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                sink.connections += 1
                with contextlib.suppress(OSError):
                    sink.session(self.rfile, self.wfile)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

        self.server_class, self.handler = Server, Handler
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.run()

    def run(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def session(self, r, w):
        def say(line):
            w.write(line + b"\r\n")
            w.flush()
        say(b"220 sink ESMTP")
        sender, rcpts = None, []
        while line := r.readline():
            verb = line[:4].upper()
            if verb in (b"EHLO", b"LHLO"):
                say(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 100000000")
            elif verb == b"HELO":
                say(b"250 sink")
            elif verb == b"MAIL":
                sender, rcpts = re.search(rb"<(.*?)>", line).group(1).decode(), []
                say(b"250 2.1.0 ok")
            elif verb == b"RCPT":
                addr = re.search(rb"<(.*)>", line).group(1).decode()
                reply = self.rcpt_reply(addr)
                if reply is None:
                    rcpts.append(addr)
                say(reply or b"250 2.1.5 ok")
            elif verb == b"DATA":
                if not rcpts:
                    say(b"554 5.5.1 no valid recipients")
                    continue
                say(b"354 go on")
                data = []
                while (line := r.readline()) != b".\r\n":
                    if not line:
                        return
                    data.append(line[1:] if line.startswith(b".") else line)
                data = b"".join(data)
                reply = self.data_reply(data)
                if reply is None:
                    with self.lock:
                        self.messages.append((sender, rcpts, data))
                say(reply or b"250 2.0.0 kept")
            elif verb == b"QUIT":
                say(b"221 bye")
                return
            else:
                if verb == b"RSET":
                    sender, rcpts = None, []
                say(b"250 ok")

    def wait(self, n=1, timeout=20):
        wait_for(f"{n} messages in the sink", lambda: len(self.messages) >= n, timeout)
        return self.messages

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def reopen(self):
        self.server = self.server_class(("127.0.0.1", self.port), self.handler)
        self.run()


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def merge(base, over):
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value
    return base


class Gateway:
    """A gateway under test in a directory of its own; settings are merged over small defaults."""

    def __init__(self, directory, next_hop=None, settings=None, rules=RULES, binary=BINARY):
        self.dir = pathlib.Path(directory)
        self.binary = binary
        self.port = free_port()
        self.process = None
        (self.dir / "rules").mkdir(parents=True, exist_ok=True)
        (self.dir / "rules" / "own.cf").write_text(rules)
        self.settings = merge({
            "hostname": "gate.test",
            "paths": {name: str(self.dir / name) for name in ("state", "spool", "cache", "run")},
            "processes": {"scanners": 2, "user": None, "group": None},
            "log": {"target": str(self.dir / "log")},
            "listeners": [{"name": "mx", "address": f"127.0.0.1:{self.port}"}],
            "relay": {"domains": ["example.org"]},
            "rules": {"dirs": [str(self.dir / "rules")], "site_dir": str(self.dir / "rules")},
            "virus": {"enabled": False},
            "dns": {"client_names": False},  # a test that asks has a server of its own
            "authentication": {"enabled": False},  # likewise
            "routes": {"fallback": f"smtp:[127.0.0.1]:{next_hop}" if next_hop
                       else f"maildir:{self.dir}/mail"},
            "queue": {"minimum_free": 0, "retry": ["1s", "2s", "5s"], "tls": "none"},
        }, settings or {})
        self.config = self.dir / "gatehouse.yaml"

    def start(self):
        self.config.write_text(yaml.safe_dump(self.settings))
        ready = self.log_text().count(" ready ")
        self.output = open(self.dir / "output", "ab")
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0:abort_on_error=0:log_path="
                   + str(self.dir / "asan"))
        self.process = subprocess.Popen([str(self.binary), "serve", "-c", str(self.config)],
                                        stdout=self.output, stderr=self.output, env=env,
                                        stdin=subprocess.DEVNULL)
        wait_for("the gateway", lambda: self.log_text().count(" ready ") > ready or self.died(),
                 START_TIMEOUT)
        return self

    def died(self):
        code = self.process.poll()
        if code is not None:
            raise AssertionError(f"gateway ended with {code}:\n"
                                 + (self.dir / "output").read_text(errors="replace")[-3000:]
                                 + self.log_text()[-3000:])
        return False

    def log_text(self):
        path = self.dir / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pids(self, role=None):
        """Processes of this gateway, by role (door, scan, spool) or all but the supervisor."""
        out = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                text = stat.read_text()
                name = text[text.index("(") + 1:text.rindex(")")]
                fields = text[text.rindex(")") + 2:].split()
                if int(fields[1]) == self.process.pid and fields[0] != "Z":
                    if role is None or name == "gh:" + role:
                        out.append(int(stat.parent.name))
        return out

    def smtp(self, **kw):
        return smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.test", timeout=30, **kw)

    def send(self, data, sender="alice@example.net", to=("bob@example.org",)):
        """Sends and returns (code, text) of the reply to the end of data (or what refused it)."""
        with self.smtp() as s:
            s.ehlo()
            for command in [lambda: s.mail(sender), *[lambda t=t: s.rcpt(t) for t in to]]:
                code, text = command()
                if code >= 400:
                    return code, text.decode()
            code, text = s.data(data)
            return code, text.decode()

    def run(self, *args, check=True):
        r = subprocess.run([str(self.binary), args[0], "-c", str(self.config), *args[1:]],
                           capture_output=True, text=True, timeout=60)
        if check and r.returncode not in (0, 1):
            raise AssertionError(f"gatehouse {' '.join(args)}: {r.returncode}\n{r.stdout}{r.stderr}")
        return r

    def reload(self):
        self.config.write_text(yaml.safe_dump(self.settings))
        before = self.log_text().count(" ready ")
        self.process.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: self.log_text().count(" ready ") > before, START_TIMEOUT)

    def kill(self):
        """As a power cut: every process, at once."""
        pids = [self.process.pid, *self.pids()]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.output.close()
        wait_for("the end of all processes", lambda: not any(map(alive, pids)))

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                code = self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("SIGTERM did not end the gateway:\n" + self.log_text()[-3000:])
            assert code == 0, f"the gateway ended with {code}:\n{self.log_text()[-3000:]}"
        self.check_sanitizers()

    def check_sanitizers(self):
        reports = [p.read_text(errors="replace") for p in self.dir.glob("asan*")]
        assert not reports, reports[0][:6000]
        output = (self.dir / "output").read_text(errors="replace")
        assert "runtime error" not in output, output[-6000:]


@contextlib.contextmanager
def gateway(directory, **kw):
    g = Gateway(directory, **kw)
    try:
        g.start()
        yield g
        g.stop()
    finally:
        if g.process and g.process.poll() is None:
            g.kill()
