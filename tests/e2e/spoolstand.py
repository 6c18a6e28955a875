"""The spool process alone, between a supervisor, a door and a scanner that do as they are told
(spool_stand.c)."""
import contextlib
import json
import os
import pathlib
import select
import socket
import subprocess

import yaml

import harness


class Stand:
    def __init__(self, directory, fallback, settings=None, binary=None):
        self.dir = pathlib.Path(directory)
        for name in ("state", "spool", "cache", "run"):
            (self.dir / name).mkdir(parents=True, exist_ok=True)
        self.settings = harness.merge({
            "hostname": "gate.test",
            "paths": {n: str(self.dir / n) for n in ("state", "spool", "cache", "run")},
            "log": {"target": str(self.dir / "log")},
            "routes": {"fallback": fallback},
            "queue": {"minimum_free": 0, "retry": ["1s", "2s", "5s"], "tls": "none",
                      "commit_delay": "0s"},
        }, settings or {})
        (self.dir / "c.yaml").write_text(yaml.safe_dump(self.settings))
        self.binary = binary or harness.BINARY.parent / "tests" / "e2e" / "spool_stand"
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:log_path=" + str(self.dir / "asan"))
        self.errors = open(self.dir / "output", "ab")
        self.p = subprocess.Popen([str(self.binary), str(self.dir / "c.yaml")], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=self.errors, env=env)
        self.line()
        self.n = 0

    def line(self):
        ready, _, _ = select.select([self.p.stdout], [], [], 60)
        assert ready, "the stand does not answer\n" + self.log()[-3000:]
        return self.p.stdout.readline()

    def do(self, op, **kw):
        self.p.stdin.write(json.dumps({"op": op, **kw}) + "\n")
        self.p.stdin.flush()
        text = self.line()
        assert text, "the stand is gone\n" + (self.dir / "output").read_text()[-3000:]
        return json.loads(text)

    def store(self, data, rcpts, groups=None, sender="alice@example.net", **kw):
        """groups: [(outcome, [index...])...]; None: one group with the outcome accept; False:
        unscanned."""
        self.n += 1
        path = self.dir / f"message{self.n}"
        path.write_bytes(data)
        if groups is None:
            groups = [("accept", list(range(len(rcpts))))]
        if groups is not False:
            kw["groups"] = [{"outcome": o, "rcpts": r, "insert": "X-Out: " + o + "\r\n"}
                            for o, r in groups]
        rcpts = [r if isinstance(r, dict) else {"addr": r} for r in rcpts]
        return self.do("store", file=str(path), **{"from": sender}, rcpts=rcpts, **kw)

    def ask(self, **request):
        """The operators' socket: all lines of the answer."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(str(self.dir / "run" / "control.sock"))
            s.sendall(json.dumps(request).encode() + b"\n")
            return [json.loads(line) for line in s.makefile("rb")]

    def queue(self, action="list", **filter_):
        extra = {k: filter_.pop(k) for k in ("id", "message") if k in filter_}
        return self.ask(command="queue", action=action, filter=filter_, **extra)

    def listed(self, **filter_):
        return self.queue(**filter_)[:-1]

    def empty(self):
        harness.wait_for("an empty queue", lambda: not self.listed(), 30)

    def log(self):
        path = self.dir / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def records(self):
        import sqlite3
        with contextlib.closing(sqlite3.connect(self.dir / "state" / "record.db")) as db:
            tables = [r[0] for r in db.execute("select name from sqlite_master where type='table'")]
            return {t: db.execute(f"select * from {t}").fetchall() for t in tables}

    def drain(self):
        answer = self.do("drain")
        assert answer["exit"] == 0, (answer, (self.dir / "output").read_text()[-3000:],
                                     self.log()[-3000:])
        self.check()

    def check(self):
        reports = [p.read_text(errors="replace") for p in self.dir.glob("asan*")]
        assert not reports, reports[0][:6000]
        assert "runtime error" not in (self.dir / "output").read_text(errors="replace")

    def close(self):
        with contextlib.suppress(OSError):
            self.p.stdin.close()
        self.p.wait(20)
        self.errors.close()
        self.check()


@contextlib.contextmanager
def stand(directory, fallback, **kw):
    s = Stand(directory, fallback, **kw)
    try:
        yield s
    finally:
        s.close()
