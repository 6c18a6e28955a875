"""A real Haraka in a directory of its own. From npm, not from Debian: `make haraka` installs it where it is
looked for; without it its tests are skipped."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import harness
from unpacked import Missing

WHERE = pathlib.Path("/var/tmp/gatehouse-test-haraka")


class Haraka:
    """configs: files below config/ by name."""

    def __init__(self, directory, next_hop, plugins, configs, env=None):
        self.program = WHERE / "node_modules/Haraka/bin/haraka"
        if not self.program.exists() or not shutil.which("node"):
            raise Missing("no Haraka; `make haraka` installs it")
        self.dir = pathlib.Path(directory)
        self.port = harness.free_port()
        self.env = env or {}
        defaults = WHERE / "node_modules/Haraka/config"  # without these it falls over its own feet
        files = {"connection.ini": (defaults / "connection.ini").read_text(), "me": "haraka.test\n", "host_list": "example.org\n", "loglevel": "LOGNOTICE\n",
                 "smtp.ini": f"listen=127.0.0.1:{self.port}\nnodes=0\n",
                 "smtp_forward.ini": f"host=127.0.0.1\nport={next_hop}\n",
                 "plugins": "\n".join(["rcpt_to.in_host_list", *plugins, "queue/smtp_forward"]) + "\n",
                 **configs}
        (self.dir / "config").mkdir(parents=True)
        for name, text in files.items():
            (self.dir / "config" / name).write_text(text)

    def __enter__(self):
        self.output = open(self.dir / "output", "ab")
        self.process = subprocess.Popen(["node", str(self.program), "-c", str(self.dir)],
                                        env={**os.environ, **self.env}, stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=self.output, start_new_session=True)
        try:
            harness.wait_for("Haraka", self.listens, 90, 0.1)
        except AssertionError:
            self.__exit__()
            raise
        return self

    def log(self):
        return (self.dir / "output").read_text(errors="replace")

    def listens(self):
        if self.process.poll() is not None:
            raise Missing(self.log()[-2000:])
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.output.close()
