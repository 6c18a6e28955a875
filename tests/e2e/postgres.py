"""A PostgreSQL server for the tests: Debian's, in a directory of its own, as an unprivileged user, on a Unix socket
and a free port of loopback."""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from harness import free_port, wait_for

BIN = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), default=None)
ACCOUNT = "postgres"
OWNER, PASSWORD = "tester", "s3cret word"
# SpamAssassin's sql/userpref_pg.sql.
SCHEMA = """CREATE TABLE userpref (
  prefid SERIAL NOT NULL,
  username VARCHAR(100) NOT NULL,
  preference VARCHAR(50) NOT NULL,
  value VARCHAR(100) NOT NULL,
  PRIMARY KEY (prefid)
);
CREATE INDEX userpref_username_idx ON userpref (username);
"""


def children(pid):
    with contextlib.suppress(OSError):
        return [int(c) for c in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


class Postgres:
    def __init__(self):
        self.root = os.geteuid() == 0
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-pg-"))
        self.data = self.dir / "data"
        self.port = free_port()
        self.process = None
        self.stopped = []
        (self.dir / "password").write_text(PASSWORD)
        if self.root:
            account = pwd.getpwnam(ACCOUNT)
            for path in (self.dir, self.dir / "password"):
                os.chown(path, account.pw_uid, account.pw_gid)
        # The socket lets everybody in, TCP asks for the password.
        self.run("initdb", "-D", self.data, "-U", OWNER, "--auth-local=trust", "--auth-host=scram-sha-256",
                 f"--pwfile={self.dir}/password", "-N", "-E", "UTF8", "--no-locale")
        self.start()
        self.sql("CREATE DATABASE mail", database="postgres")
        self.sql(SCHEMA)

    def as_owner(self, program, *args):
        command = [str(BIN / program), *map(str, args)]
        return ["runuser", "-u", ACCOUNT, "--", *command] if self.root else command

    def run(self, program, *args):
        r = subprocess.run(self.as_owner(program, *args), cwd="/", capture_output=True, text=True)
        assert r.returncode == 0, (program, r.stdout, r.stderr)
        return r.stdout

    def start(self):
        self.log = open(self.dir / "log", "ab")
        self.process = subprocess.Popen(
            self.as_owner("postgres", "-D", self.data, "-p", self.port, "-k", self.dir, "-h", "127.0.0.1", "-F"),
            cwd="/", stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_for("PostgreSQL", self.answers, timeout=90)

    def answers(self):
        assert self.process.poll() is None, (self.dir / "log").read_text()[-2000:]
        return subprocess.run([str(BIN / "pg_isready"), "-q", "-h", str(self.dir), "-p", str(self.port)]).returncode == 0

    def sql(self, text, database="mail"):
        r = subprocess.run([str(BIN / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(self.dir), "-p",
                            str(self.port), "-U", OWNER, database], input=text, capture_output=True, text=True, cwd="/")
        assert r.returncode == 0, r.stderr

    def prefer(self, rows):
        """The table holds these (username, preference, value)."""
        quoted = [", ".join("'" + cell.replace("'", "''") + "'" for cell in row) for row in rows]
        self.sql("DELETE FROM userpref;" + "".join(
            f"INSERT INTO userpref (username, preference, value) VALUES ({q});" for q in quoted))

    def dsn(self, tcp=False):
        return f"DBI:Pg:dbname=mail;host={'localhost' if tcp else self.dir};port={self.port}"

    def postmaster(self):
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def freeze(self):
        """It stands still with all its children: connections are taken by the kernel, nobody answers."""
        first = self.postmaster()
        self.stopped = [first, *children(first)]
        for pid in self.stopped:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        # runuser stops itself with its child.
        for pid in [*self.stopped, *([self.process.pid] if self.stopped and self.process else [])]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGCONT)
        self.stopped = []

    def stop(self):
        if not self.process:
            return
        self.thaw()
        with contextlib.suppress(OSError):
            os.kill(self.postmaster(), signal.SIGINT)  # breaks connections, ends in order
        self.process.wait(60)
        self.process = None
        self.log.close()

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
