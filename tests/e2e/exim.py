"""A real Exim in a directory of its own, from Debian's exim4-daemon-heavy, which excludes Postfix and is
therefore unpacked, not installed. Needs root and the package archive."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess

import harness
from unpacked import Missing, unpack

PACKAGES = ["exim4-daemon-heavy", "libmariadb3", "libidn12", "libspf2-2"]

# The ACLs are those of the documentation (spec.txt 45.3, docs/with-spamc.md, docs/with-rspamd-clients.md).
CONFIG = """
exim_user = mail
exim_group = mail
exim_path = {binary}
primary_hostname = exim.test
spool_directory = {dir}/spool
log_file_path = {dir}/log-%s
pid_file_path = {dir}/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_advertise_hosts =
keep_environment =
deliver_drop_privilege = true
dns_ipv4_lookup = *
host_lookup =
rfc1413_hosts =
spamd_address = {spamd}
acl_smtp_rcpt = accept
acl_smtp_data = acl_check_data

begin acl
acl_check_data:
{acl}
begin routers
hop:
  driver = manualroute
  route_list = * 127.0.0.1 byname
  self = send
  transport = out

begin transports
out:
  driver = smtp
  port = {next_hop}
  allow_localhost

begin retry
* * F,1h,5s
"""

# Exim finds the user that Debian compiled in by name, or ends at once.
START = """
cp /etc/passwd "$1/passwd" && cp /etc/group "$1/group" || exit 1
echo "Debian-exim:x:8:8::/nonexistent:/usr/sbin/nologin" >>"$1/passwd"
echo "Debian-exim:x:8:" >>"$1/group"
mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group || exit 1
shift
exec "$@"
"""


def binary():
    if os.getuid() != 0 or not shutil.which("unshare"):
        raise Missing("Exim needs root")
    path = unpack("exim", PACKAGES, "usr/sbin/exim4") / "usr/sbin/exim4"
    path.chmod(0o755)  # not setuid: it never does anything that needs more than its user may
    return path


class Exim:
    def __init__(self, directory, next_hop, spamd, acl):
        self.dir = pathlib.Path(directory)
        self.port = harness.free_port()
        self.binary = binary()
        mail = pwd.getpwnam("mail")
        (self.dir / "spool").mkdir(parents=True)
        for d in (self.dir, self.dir / "spool"):
            os.chown(d, mail.pw_uid, mail.pw_gid)
        for d in self.dir.parents:  # its processes must be able to walk here
            if os.stat(d).st_uid == os.getuid() and d != pathlib.Path("/"):
                os.chmod(d, os.stat(d).st_mode | 0o711)
        self.config = self.dir / "exim.conf"
        self.config.write_text(CONFIG.format(dir=self.dir, port=self.port, next_hop=next_hop,
                                             binary=self.binary, spamd=spamd, acl=acl))

    def __enter__(self):
        root = self.binary.parents[2]
        libraries = f"{root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib"
        self.output = open(self.dir / "output", "ab")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", START, "sh", str(self.dir), str(self.binary),
             f"-C{self.config}", "-bdf", "-q1m"],
            env={**os.environ, "LD_LIBRARY_PATH": libraries}, stdin=subprocess.DEVNULL,
            stdout=self.output, stderr=self.output, start_new_session=True)
        try:
            harness.wait_for("Exim", self.listens, 60)
        except AssertionError:
            self.__exit__()
            raise
        return self

    def listens(self):
        if self.process.poll() is not None:
            raise Missing((self.dir / "output").read_text(errors="replace")[-2000:])
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        return "".join(p.read_text(errors="replace") for p in sorted(self.dir.glob("log-*")))

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.output.close()
