"""Virus engines for the tests: a real clamd on signatures of our own, our embedded engine, and servers
that answer what a test wants. Messages that carry EICAR in the usual wrappings."""
import base64
import contextlib
import io
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import threading
import time
import zipfile
import zlib

from harness import EICAR, ROOT, free_port, message, wait_for

DRIVE = pathlib.Path(os.environ.get("GATEHOUSE_BINARY", ROOT / "build-asan" / "gatehouse")) \
    .parent / "tests" / "e2e" / "virus_drive"
SIGNATURE = "Gatehouse.Eicar"


def signatures(directory, name=SIGNATURE):
    """A signature directory that knows EICAR, and nothing else."""
    directory.mkdir(exist_ok=True)
    (directory / "test.ndb").write_text(f"{name}:0:*:{EICAR.hex()}\n")
    return directory


class Clamd:
    """A clamd of our own: LocalSocket and TCP, in the foreground."""

    def __init__(self, directory, database, extra=""):
        directory.mkdir(exist_ok=True)
        self.socket = directory / "clamd.sock"
        self.port = free_port()
        self.unix = f"unix:{self.socket}"
        self.tcp = f"127.0.0.1:{self.port}"
        self.config = directory / "clamd.conf"
        user = "User root\n" if os.geteuid() == 0 else ""
        self.config.write_text(
            f"{user}LocalSocket {self.socket}\nTCPSocket {self.port}\nTCPAddr 127.0.0.1\n"
            f"DatabaseDirectory {database}\nForeground yes\nLogFile {directory}/clamd.log\n"
            f"PidFile {directory}/clamd.pid\nAlertEncryptedArchive yes\nAlertExceedsMax yes\n"
            f"FixStaleSocket yes\nMaxThreads 4\nSelfCheck 600\n{extra}")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/clamd", "-c", str(self.config)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_for("clamd", lambda: self.command(b"zPING\0") == b"PONG\0", timeout=60)

    def command(self, command):
        with socket.socket(socket.AF_UNIX) as s, contextlib.suppress(OSError):
            s.settimeout(2)
            s.connect(str(self.socket))
            s.sendall(command)
            return s.recv(4096)
        return b""

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


class Engine:
    """The embedded engine in a process of its own, spoken to as if it were a clamd."""

    def __init__(self, directory, database):
        directory.mkdir(exist_ok=True)
        self.socket = directory / "virus.sock"
        self.unix = f"unix:{self.socket}"
        self.process = subprocess.Popen([DRIVE, "engine", database, self.socket],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    command = Clamd.command

    def ready(self):
        """Waits for the next set of signatures."""
        assert select.select([self.process.stdout], [], [], 30)[0], "no new signatures"
        assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        self.process.stdin.close()
        return self.process.wait(timeout=30)


class Odd:
    """Answers every connection with `answer`, after having read what comes (at least a command)."""

    def __init__(self, answer, directory=None, read_all=True, hang=False):
        self.seen = []
        if directory:
            path = str(directory / f"odd-{time.monotonic_ns()}.sock")
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.address = f"unix:{path}"
        else:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.listener.listen(16)
        self.answer, self.read_all, self.hang = answer, read_all, hang
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        with s, contextlib.suppress(OSError):
            s.settimeout(5)
            data = s.recv(16)
            answer = self.answer_to(data)
            self.seen.append(data.split(b"\0")[0])
            if data.startswith(b"zVERSION"):
                s.sendall(b"ClamAV 9.9.9/123/Sun Nov 22 07:30:00 2026\0")
                return
            if self.read_all:
                s.settimeout(0.2)
                with contextlib.suppress(OSError):
                    while s.recv(65536):
                        pass
            if self.hang:
                time.sleep(20)
            s.sendall(answer)

    def answer_to(self, command):
        return self.answer

    def close(self):
        self.listener.close()


class Drive:
    """src/virus as the scanners use it, through tests/e2e/virus_drive."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([DRIVE, "scan", *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.got = b""

    def line(self, timeout):
        # Not readline: it may take several lines at once, and select knows nothing of its buffer.
        out = self.process.stdout.fileno()
        while b"\n" not in self.got:
            assert select.select([out], [], [], timeout)[0], "no answer from the driver"
            piece = os.read(out, 65536)
            assert piece, "the driver ended: " + self.process.stderr.read()
            self.got += piece
        line, _, self.got = self.got.partition(b"\n")
        return line.decode()

    def send(self, path, nofd=False):
        self.process.stdin.write(f"{'nofd ' if nofd else ''}{path}\n")
        self.process.stdin.flush()

    def answer(self, timeout=20):
        name, _, rest = self.line(timeout).partition(" ")
        state, signature, engine, detail = rest.split("|", 3)
        return {"file": name, "state": state, "name": signature, "engine": engine,
                "detail": detail}

    def scan(self, path, nofd=False, timeout=20):
        self.send(path, nofd)
        return self.answer(timeout)

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=30)
        assert code == 0, self.process.stderr.read()


def encrypted_zip():
    """A zip with one encrypted member: flag bit 0 set, the bytes are noise (as ZipCrypto's are)."""
    noise = zlib.compress(os.urandom(8) + b"secret" * 10)
    head = struct.pack("<HHHHHIIIHH", 20, 1, 8, 0x7abc, 0x5976, 0x12345678, len(noise), 60, 10, 0)
    local = b"PK\3\4" + head + b"secret.exe" + noise
    central = b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<HHHII", 0, 0, 0, 0, 0) \
        + b"secret.exe"
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central),
                                                     len(local), 0)


def plain_zip(content):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("thing.txt", content)
    return out.getvalue()


def attachment(content, name="thing.bin", subject="with attachment"):
    body = (b"--xyz\r\nContent-Type: text/plain\r\n\r\nsee attachment\r\n--xyz\r\n"
            b"Content-Type: application/octet-stream; name=\"" + name.encode() + b"\"\r\n"
            b"Content-Transfer-Encoding: base64\r\n"
            b"Content-Disposition: attachment; filename=\"" + name.encode() + b"\"\r\n\r\n"
            + base64.encodebytes(content).replace(b"\n", b"\r\n") + b"--xyz--\r\n")
    return message(subject=subject, body=body.decode(),
                   headers=["MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=xyz"])


def nested(inner):
    body = "--abc\r\nContent-Type: message/rfc822\r\n\r\n" + inner.decode() + "\r\n--abc--\r\n"
    return message(subject="nested", body=body,
                   headers=["MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=abc"])


def samples(directory):
    """Name to path: mail with EICAR in every wrapping the issue names, and mail without."""
    all_of_them = {
        "clean": message(body="nothing to see\r\n"),
        "plain": message(body=EICAR.decode() + "\r\n"),
        "base64": attachment(EICAR),
        "zip": attachment(plain_zip(EICAR), "thing.zip"),
        "nested": nested(attachment(plain_zip(EICAR), "thing.zip")),
        "encrypted": attachment(encrypted_zip(), "secret.zip"),
        "empty": b"",
    }
    paths = {}
    for name, content in all_of_them.items():
        paths[name] = directory / f"{name}.eml"
        paths[name].write_bytes(content)
    return paths
