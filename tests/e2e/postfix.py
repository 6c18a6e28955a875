"""A real Postfix in a directory of its own: configuration, start, stop. Needs root (Postfix does)."""
import os
import pathlib
import pwd
import shutil
import subprocess
import time

import harness

MAIN = """
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.test
mydestination =
mynetworks = 127.0.0.0/8
relay_domains = example.org
relayhost = [127.0.0.1]:{next_hop}
smtpd_client_connection_count_limit = 0
smtpd_recipient_restrictions =
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_destination_concurrency_limit = 20
maximal_backoff_time = 5s
minimal_backoff_time = 2s
queue_run_delay = 2s
message_size_limit = 60000000
mailbox_size_limit = 0
{extra}
"""

# service type private unpriv chroot wakeup maxproc command
MASTER = """
127.0.0.1:{port} inet n - n - {smtpd} smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    def __init__(self, directory, next_hop, extra="", smtpd="-"):
        self.dir = pathlib.Path(directory)
        self.port = harness.free_port()
        self.config = self.dir / "etc"
        for name in ("etc", "queue", "data"):
            (self.dir / name).mkdir(parents=True, exist_ok=True)
        account = pwd.getpwnam("postfix")
        os.chown(self.dir / "data", account.pw_uid, account.pw_gid)
        for d in [self.dir, *self.dir.parents]:  # its processes must be able to walk here
            if os.stat(d).st_uid == os.getuid() and d != pathlib.Path("/"):
                os.chmod(d, os.stat(d).st_mode | 0o711)
        (self.config / "main.cf").write_text(
            MAIN.format(dir=self.dir, next_hop=next_hop, extra=extra))
        (self.config / "master.cf").write_text(MASTER.format(port=self.port, smtpd=smtpd))

    def command(self, *args):
        return subprocess.run(["postfix", "-c", str(self.config), *args], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL)

    def __enter__(self):
        # On a busy machine `postfix start` gives up on its own master before that is ready.
        for _ in range(3):
            if self.command("start").returncode == 0 or self.listens():
                break
            time.sleep(2)
        else:
            raise AssertionError("Postfix does not start:\n" + self.log()[-2000:])
        harness.wait_for("Postfix", self.listens)
        return self

    def listens(self):
        import socket
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *_):
        self.command("stop")
        shutil.rmtree(self.dir / "queue", ignore_errors=True)

    def log(self):
        return (self.dir / "log").read_text(errors="replace")


def source(port, count, sessions=20, size=5000, to="bob@example.org", extra=()):
    """Postfix's own load generator. Raises when a message was refused."""
    subprocess.run(["smtp-source", "-s", str(sessions), "-m", str(count), "-l", str(size),
                    "-f", "alice@example.net", "-t", to, *extra, f"127.0.0.1:{port}"],
                   check=True, stdin=subprocess.DEVNULL, timeout=600)
