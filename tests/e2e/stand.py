"""The door alone, between scanners and a spool that do as they are told (door_stand.c)."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess

import yaml

from harness import BINARY, free_port, merge, wait_for

PROGRAM = BINARY.parent / "tests" / "e2e" / "door_stand"


class Talk:
    """A conversation on a raw socket: every byte as the test wants it."""

    def __init__(self, port, greeting=True, timeout=10, tls=None):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="gate.test")
        self.rest = b""
        if greeting:
            self.greeting = self.reply()
            assert self.greeting.startswith("220"), self.greeting

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b"\n" not in self.rest:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError(self.rest)
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        assert line.endswith(b"\r"), line
        return line[:-1].decode()

    def reply(self):
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def say(self, text, *, end="\r\n"):
        self.send(text + (end.encode() if isinstance(text, bytes) else end))
        return self.reply()

    def code(self, text):
        return int(self.say(text)[:3])

    def codes(self, *lines):
        return [self.code(line) for line in lines]

    def ehlo(self):
        return self.say("EHLO client.test")

    def message(self, to="accept@example.org", sender="a@b.example", body=b"Subject: x\r\n\r\nx\r\n"):
        """One whole transaction; the last reply."""
        for line in (f"MAIL FROM:<{sender}>",
                     *[f"RCPT TO:<{t}>" for t in ([to] if isinstance(to, str) else to)], "DATA"):
            reply = self.say(line)
            if reply[0] not in "23":
                return reply
        self.send(body + b".\r\n")
        return self.reply()

    def closed(self):
        """Whether the other side has closed (after what it had to say)."""
        try:
            while self.sock.recv(65536):
                pass
            return True
        except socket.timeout:
            return False
        except OSError:
            return True

    def starttls(self, context=None):
        assert self.code("STARTTLS") == 220
        context = context or no_verify()
        self.sock = context.wrap_socket(self.sock, server_hostname="gate.test")
        self.rest = b""

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def no_verify():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    return c


def certificate(directory, name="gate.test"):
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key), "-out", str(cert),
                    "-days", "2", "-subj", f"/CN={name}"], check=True, capture_output=True)
    return {"certificate": str(cert), "key": str(key)}


class Stand:
    def __init__(self, directory, settings=None, env=None):
        self.dir = pathlib.Path(directory)
        self.out = self.dir / "out"
        self.out.mkdir()
        (self.dir / "spool").mkdir()
        self.ports = {}
        base = {
            "hostname": "gate.test",
            "paths": {n: str(self.dir / n) for n in ("state", "spool", "cache", "run")},
            "processes": {"user": None, "group": None},
            "log": {"target": str(self.dir / "log")},
            "listeners": [{"name": "mx"}],
            "relay": {"domains": ["example.org", "catchall.example"]},
            "virus": {"enabled": False},
            "dns": {"client_names": False},
            "queue": {"minimum_free": 0},
        }
        self.settings = merge(base, settings or {})
        for listener in self.settings["listeners"]:
            port = self.ports[listener["name"]] = free_port()
            listener["address"] = f"127.0.0.1:{port}"
        self.env = dict(os.environ, **(env or {}),
                        ASAN_OPTIONS=f"detect_leaks=1:log_path={self.dir}/asan")

    @property
    def port(self):
        return self.ports["mx"]

    def start(self):
        config = self.dir / "stand.yaml"
        config.write_text(yaml.safe_dump(self.settings))
        self.process = subprocess.Popen([str(PROGRAM), str(config), str(self.out)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=self.env, text=True)
        line = self.process.stdout.readline()
        assert line == "ready\n", line + self.process.stderr.read()
        return self

    def door(self):
        """The pid of the door process."""
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                text = stat.read_text()
                if "(stand:door)" in text and f" {self.process.pid} " in text:
                    return int(stat.parent.name)

    def talk(self, listener="mx", **kw):
        return Talk(self.ports[listener], **kw)

    def stored(self, reply=None):
        """What the spool was given: of the message a reply names, or of all (in order)."""
        if reply is not None:
            name = re.search(r"[0-9A-HJKMNP-TV-Z]{16}", reply).group(0)
            path = self.out / f"{name}.json"
            wait_for(f"message {name}", path.exists, 5)
            return json.loads(path.read_text())
        return [json.loads(p.read_text()) for p in sorted(self.out.glob("*.json"))]

    def content(self, reply):
        return (self.out / (self.stored(reply)["id"] + ".eml")).read_bytes()

    def log_text(self):
        path = self.dir / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_log(self, pattern, timeout=10):
        return wait_for(f"/{pattern}/ in the log",
                        lambda: re.search(pattern, self.log_text()), timeout)

    def drain(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        if self.process.poll() is None:
            self.drain()
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the door does not end:\n" + self.log_text()[-2000:])
        reports = [p.read_text(errors="replace") for p in self.dir.glob("asan*")]
        assert not reports, reports[0][:6000]
        errors = self.process.stderr.read()
        assert "runtime error" not in errors, errors[-4000:]
        assert code == 0, f"{code}\n{errors[-2000:]}{self.log_text()[-2000:]}"


@contextlib.contextmanager
def stand(directory, settings=None, env=None):
    s = Stand(directory, settings, env).start()
    try:
        yield s
        s.stop()
    finally:
        if s.process.poll() is None:
            s.process.kill()
