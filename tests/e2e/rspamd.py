"""rspamd's programs from Debian's package, unpacked beside the system: installed, it would start itself."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import harness
from unpacked import Missing, unpack

PACKAGES = ["rspamd", "libhyperscan5", "libluajit2-5.1-2", "libluajit2-5.1-common"]


def root():
    return unpack("rspamd", PACKAGES, "usr/bin/rspamc")


def command(name):
    """What a program is started with. Raises Missing."""
    where = root()
    libraries = f"{where}/usr/lib/rspamd:{where}/usr/lib/x86_64-linux-gnu"
    start = ["env", f"LD_LIBRARY_PATH={libraries}", str(where / "usr/bin" / name)]
    r = subprocess.run([*start, "--help"], capture_output=True, text=True)
    if "error while loading" in r.stderr:
        raise Missing(r.stderr.strip())
    return start


class Rspamd:
    """rspamd with Debian's default settings; a proxy worker that speaks milter."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.milter_port, self.normal_port, self.controller_port = (
            harness.free_port() for _ in range(3))
        where = root()
        self.start = command("rspamd")
        self.config = self.dir / "etc"
        shutil.copytree(where / "etc/rspamd", self.config)
        local = self.config / "local.d"
        local.mkdir(exist_ok=True)
        (local / "worker-normal.inc").write_text(
            f'bind_socket = "127.0.0.1:{self.normal_port}";\ncount = 2;\n')
        (local / "worker-controller.inc").write_text(
            f'bind_socket = "127.0.0.1:{self.controller_port}";\n')
        (local / "worker-proxy.inc").write_text(
            f'bind_socket = "127.0.0.1:{self.milter_port}";\nmilter = yes;\ntimeout = 120s;\n'
            f'upstream "local" {{ default = yes; hosts = "127.0.0.1:{self.normal_port}"; }}\n')
        (local / "worker-fuzzy.inc").write_text("count = -1;\n")
        (local / "logging.inc").write_text(
            f'type = "file"; filename = "{self.dir}/rspamd.log"; level = "error";\n')
        # No questions to the DNS: neither answers nor time-outs of strangers belong to a benchmark.
        (local / "options.inc").write_text(
            'dns { nameserver = ["127.0.0.1:9"]; timeout = 0.001s; retransmits = 0; }\n')
        for name in ("db", "run"):
            (self.dir / name).mkdir()
        self.variables = {
            "CONFDIR": str(self.config), "LOCAL_CONFDIR": str(self.config), "DBDIR":
            str(self.dir / "db"), "RUNDIR": str(self.dir / "run"), "LOGDIR": str(self.dir),
            "RULESDIR": f"{where}/usr/share/rspamd/rules", "SHAREDIR": f"{where}/usr/share/rspamd",
            "LUALIBDIR": f"{where}/usr/share/rspamd/lualib",
            "PLUGINSDIR": f"{where}/usr/share/rspamd/plugins",
            "WWWDIR": f"{where}/usr/share/rspamd/www"}

    def __enter__(self):
        self.log = open(self.dir / "output", "ab")
        variables = [f"--var={k}={v}" for k, v in self.variables.items()]
        self.process = subprocess.Popen(
            [*self.start, "-f", "-i", "-c", str(self.config / "rspamd.conf"), *variables],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        try:
            harness.wait_for("rspamd", self.listens, 120, 0.2)
        except AssertionError:
            self.__exit__()
            raise
        return self

    def listens(self):
        if self.process.poll() is not None:
            raise Missing((self.dir / "output").read_text(errors="replace")[-2000:])
        for port in (self.milter_port, self.normal_port):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) != 0:
                    return False
        return True

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(30)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()
