"""MIMEDefang with SpamAssassin in its filter, from Debian's package. Its multiplexor starts Perl
processes that load the stock rules."""
import os
import pathlib
import pwd
import shutil
import subprocess

import harness
from unpacked import Missing, unpack

WORKERS = 4
PACKAGES = ["mimedefang", "libmilter1.0.1", "libmime-tools-perl", "libmailtools-perl",
            "libio-stringy-perl", "libunix-syslog-perl", "libconvert-binhex-perl"]

FILTER = """
$AdminAddress = 'postmaster@localhost';
$AdminName = 'postmaster';
$DaemonAddress = 'mimedefang@localhost';
$SALocalTestsOnly = 1;
detect_and_load_perl_modules();
sub filter_begin { return; }
sub filter { return action_accept(); }
sub filter_end {
    my ($entity) = @_;
    if ($Features{"SpamAssassin"} && -s "./INPUTMSG" < 200*1024) {
        my ($hits, $req, $names, $report) = spam_assassin_check();
        if ($hits >= $req) { action_change_header("X-Spam-Score", "$hits $names"); }
    }
}
1;
"""


class Mimedefang:
    def __init__(self, directory, workers=WORKERS):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir()
        self.root = unpack("mimedefang", PACKAGES, "usr/bin/mimedefang")
        self.workers = workers
        self.port = harness.free_port()
        self.address = f"inet:127.0.0.1:{self.port}"
        (self.dir / "spool").mkdir()
        self.filter = self.dir / "filter"
        self.filter.write_text(FILTER)
        account = pwd.getpwnam("nobody")
        for p in (self.dir, self.dir / "spool", self.filter):
            shutil.chown(p, account.pw_uid, account.pw_gid)
        os.chmod(self.dir / "spool", 0o750)
        libs = [self.root / "usr/share/perl5", *(self.root / "usr/lib").glob("*/perl5/*")]
        self.env = dict(os.environ, PERL5LIB=":".join(map(str, libs)), LD_LIBRARY_PATH=":".join(
            str(p) for p in (self.root / "usr/lib").glob("*-linux-gnu")))
        script = next(iter(self.root.rglob("mimedefang.pl")), None)
        if not script:
            raise Missing("mimedefang.pl is not in the package")
        self.script = self.dir / "mimedefang.pl"  # it looks for its settings where it is installed
        self.script.write_text(script.read_text(errors="surrogateescape").replace(
            "/etc/mail/", f"{self.root}/etc/mail/"), errors="surrogateescape")
        self.script.chmod(0o755)
        self.processes = []

    def run(self, name, *args):
        return subprocess.Popen([str(self.root / "usr/bin" / name), *args], env=self.env,
                                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def __enter__(self):
        self.log = open(self.dir / "log", "ab")
        mx = self.dir / "spool" / "mx.sock"
        common = ["-D", "-U", "nobody", "-z", str(self.dir / "spool")]
        self.processes = [self.run("mimedefang-multiplexor", *common, "-m", str(self.workers), "-x",
                                   str(self.workers), "-q", "100", "-Q", "600", "-s", str(mx),
                                   "-f", str(self.script), "-F",
                                   str(self.filter), "-b", "600")]
        try:
            harness.wait_for("the multiplexor", mx.exists, 60, 0.2)
            self.processes.append(self.run("mimedefang", *common, "-m", str(mx), "-p",
                                           f"inet:{self.port}@127.0.0.1"))
            harness.wait_for("MIMEDefang", self.listens, 60, 0.2)
        except AssertionError as e:
            self.__exit__()
            raise Missing((self.dir / "log").read_text(errors="replace")[-500:] or str(e)) from e
        return self

    def listens(self):
        import socket
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *_):
        for p in reversed(self.processes):
            p.terminate()
            p.wait(30)
        self.log.close()
