"""A real clamd and its accidents: nothing infected passes, nothing passes unscanned unless it may."""
import base64
import io
import os
import pathlib
import signal
import subprocess
import threading
import time
import zipfile

import pytest

import harness
from harness import EICAR, message


class Clamd:
    """Debian's clamd with one signature of our own, on a Unix socket."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        (self.dir / "db").mkdir(parents=True)
        (self.dir / "db" / "own.ndb").write_text(f"Own.Eicar.Test:0:*:{EICAR.hex()}\n")
        self.socket = self.dir / "clamd.sock"
        self.config = self.dir / "clamd.conf"
        self.config.write_text(f"""
DatabaseDirectory {self.dir}/db
LocalSocket {self.socket}
FixStaleSocket yes
Foreground yes
User root
LogFile {self.dir}/clamd.log
AlertEncrypted yes
""")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["clamd", "-c", str(self.config)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        stdin=subprocess.DEVNULL)
        harness.wait_for("clamd", self.socket.exists, 30)
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


@pytest.fixture
def clamd(tmp_path):
    if os.getuid() != 0:
        pytest.skip("the configuration says 'User root'")
    c = Clamd(tmp_path / "clamd").start()
    yield c
    c.stop()


def settings(clamd, **virus):
    return {"virus": {"enabled": True, "clamd": [f"unix:{clamd.socket}"], "embedded": False,
                      "scan_timeout": "5s", "connect_timeout": "1s", "probe_interval": "1s", **virus}}


def multipart(filename, payload, ctype="application/octet-stream"):
    b64 = base64.encodebytes(payload).decode().replace("\n", "\r\n")
    return message(headers=["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b"'],
                   body="--b\r\nContent-Type: text/plain\r\n\r\nsee attachment\r\n--b\r\n"
                        f'Content-Type: {ctype}; name="{filename}"\r\n'
                        "Content-Transfer-Encoding: base64\r\n\r\n" + b64 + "--b--\r\n")


def zipped(payload):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("inner.com", payload)
    return out.getvalue()


def infected():
    nested = ("--b\r\nContent-Type: message/rfc822\r\n\r\n"
              + multipart("e.com", EICAR).decode() + "\r\n--b--\r\n")
    return {
        "plain": message(body=EICAR.decode() + "\r\n"),
        "base64": multipart("e.com", EICAR),
        "zip": multipart("e.zip", zipped(EICAR), "application/zip"),
        "nested": message(headers=["MIME-Version: 1.0",
                                   'Content-Type: multipart/mixed; boundary="b"'],
                          body=nested.replace('boundary="b"', 'boundary="c"')
                          .replace("--b\r\nContent-Type: text/plain", "--c\r\nContent-Type: text/plain")
                          .replace("--b\r\nContent-Type: application", "--c\r\nContent-Type: application")
                          .replace("--b--\r\n\r\n--b--", "--c--\r\n\r\n--b--")),
    }


def test_eicar_in_every_wrapping_is_refused(tmp_path, sink, clamd):
    with harness.gateway(tmp_path, next_hop=sink.port, settings=settings(clamd)) as g:
        for name, data in infected().items():
            code, text = g.send(data)
            assert code == 550 and "Own.Eicar.Test" in text, (name, code, text)
        assert g.send(message(subject="clean"))[0] == 250
        data = sink.wait(1)[0][2]
        assert b"X-Virus-Status: Clean" in data
        assert len(sink.messages) == 1


def test_clamd_killed_paused_restarted(tmp_path, sink, clamd):
    """Under load: every message is either scanned and delivered, or put off; infected mail never passes."""
    with harness.gateway(tmp_path, next_hop=sink.port, settings=settings(clamd)) as g:
        accepted, put_off, wrong, halt = [], [], [], threading.Event()
        bad = infected()["base64"]

        def push(number):
            count = 0
            while not halt.is_set():
                count += 1
                virus = count % 5 == 0
                name = f"{number}-{count}"
                code, text = g.send(bad if virus else message(subject=name))
                if virus and code == 250:
                    wrong.append(text)
                elif not virus and code == 250:
                    accepted.append(name)
                elif code // 100 == 4:
                    put_off.append(text)
                elif not virus:
                    wrong.append(text)
        threads = [threading.Thread(target=push, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        time.sleep(1)
        clamd.signal(signal.SIGSTOP)
        time.sleep(1.5)
        clamd.signal(signal.SIGCONT)
        time.sleep(1)
        clamd.process.kill()
        clamd.process.wait()
        time.sleep(1.5)
        clamd.start()

        def works_again():
            before = len(accepted)
            time.sleep(0.3)
            return len(accepted) > before
        harness.wait_for("scanning again", works_again, 30)
        halt.set()
        for t in threads:
            t.join()
        assert not wrong, wrong[:3]
        assert put_off, "clamd was away and nobody noticed"
        sink.wait(len(accepted))
        assert all(b"X-Virus-Status: Clean" in d for _, _, d in sink.messages)
        assert len(sink.messages) == len(accepted)


def test_what_the_policy_says_when_no_engine_answers(tmp_path, sink, clamd):
    clamd.stop()
    for choice, code in (("defer", 451), ("hold", 250), ("pass", 250)):
        with harness.gateway(tmp_path / choice, next_hop=sink.port,
                             settings=settings(clamd, on_error=choice)) as g:
            got, text = g.send(message(subject=f"on_error {choice}"))
            assert got == code, (choice, got, text)
            if choice == "hold":
                assert "bob@example.org" in harness.wait_for(
                    "the item", lambda: g.run("quarantine", "list").stdout)
    data = sink.wait(1)[0][2]
    assert b"on_error pass" in data and b"X-Virus-Status: Unscanned" in data
    assert len(sink.messages) == 1
