"""A real Sendmail in a directory of its own. Debian's package excludes Postfix, so it is unpacked
beside it, not installed. Needs root (Sendmail does), m4, and the package archive."""
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import harness

PACKAGES = ["sendmail-bin", "sendmail-cf"]
CACHE = pathlib.Path("/var/tmp/gatehouse-test-sendmail")

MC = """divert(0)dnl
define(`_CF_DIR_', `{cf}/')dnl
include(`{cf}/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`confHELP_FILE', `')dnl
define(`STATUS_FILE', `')dnl
define(`confPID_FILE', `{dir}/pid')dnl
define(`QUEUE_DIR', `{dir}/queue')dnl
define(`confDOMAIN_NAME', `sendmail.test')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')dnl
define(`confTO_IDENT', `0')dnl
define(`confLOG_LEVEL', `14')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confDELAY_LA', `0')dnl
define(`ALIAS_FILE', `')dnl
define(`SMART_HOST', `relay:[127.0.0.1]')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {next_hop}')dnl
define(`confCW_FILE', `-o {dir}/none')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`promiscuous_relay')dnl
define(`confMAX_HEADERS_LENGTH', `65536')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Port={port}, Addr=127.0.0.1, Name=MTA, Listen=200')dnl
{filter}
MAILER(`smtp')dnl
"""


def unpack():
    """Where Sendmail is; skips the test when it can't be had."""
    root = CACHE / "root"
    binary = root / "usr/libexec/sendmail/sendmail"
    if os.getuid() != 0 or not shutil.which("m4"):
        pytest.skip("Sendmail needs root and m4")
    if not binary.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        r = subprocess.run(["apt-get", "download", "-q", *PACKAGES], cwd=CACHE, capture_output=True,
                           text=True)
        if r.returncode != 0:
            pytest.skip("no package archive: " + r.stderr[-200:])
        for deb in CACHE.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(deb), str(root)], check=True)
    return root


FILTER = "INPUT_MAIL_FILTER(`gatehouse', `S={milter}, F=T, T=C:5m;S:10s;R:60s;E:5m')dnl"


class Sendmail:
    def __init__(self, directory, next_hop, milter, line=FILTER):
        self.root = unpack()
        self.dir = pathlib.Path(directory)
        self.port = harness.free_port()
        self.queue = self.dir / "queue"
        self.queue.mkdir(parents=True, exist_ok=True)
        os.chmod(self.queue, 0o700)
        mc = self.dir / "sendmail.mc"
        mc.write_text(MC.format(cf=self.root / "usr/share/sendmail/cf", dir=self.dir,
                                next_hop=next_hop, port=self.port, filter=line.replace("{milter}", milter)))
        self.cf = self.dir / "sendmail.cf"
        r = subprocess.run(["m4", str(mc)], capture_output=True, text=True, cwd=self.dir)
        assert r.returncode == 0, r.stderr
        self.cf.write_text(r.stdout)
        self.binary = self.root / "usr/libexec/sendmail/sendmail"

    def command(self, *args):
        # It waits a minute on a machine whose name has no domain.
        return ["unshare", "--uts", "sh", "-c", 'hostname sendmail.test && exec "$@"', "sh",
                str(self.binary), f"-C{self.cf}", *args]

    def __enter__(self):
        self.log = open(self.dir / "log", "ab")
        self.process = subprocess.Popen(self.command("-bD", "-q1s"), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        harness.wait_for("Sendmail", self.listens, 90)
        return self

    def listens(self):
        import socket
        if self.process.poll() is not None:
            raise AssertionError((self.dir / "log").read_text(errors="replace"))
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def held(self):
        """Queue files that are quarantined."""
        return [p for p in self.queue.glob("hf*")]

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()
