"""Peers of room digests on loopback: Debian's pyzord, and servers of our own that speak as dccifd and as a catalogue
server of Razor do (neither is there to be installed: DCC's licence, Razor's servers are one company's)."""
import os
import socket
import socketserver
import subprocess
import threading

import harness

KEY = "d28f86151e80a9accba4a4eba81c460532384cd6"


class Pyzord:
    """pyzord of Debian's package pyzor; everybody may check and report, alice may do all."""

    def __init__(self, directory, access="check report ping info : anonymous : allow\nALL : alice : allow\n"):
        directory.mkdir(parents=True, exist_ok=True)
        self.port = harness.free_port()
        self.address = f"127.0.0.1:{self.port}"
        (directory / "pyzord.access").write_text(access)
        (directory / "pyzord.passwd").write_text(f"alice : {KEY}\n")
        self.accounts = directory / "accounts"
        self.accounts.write_text(f"127.0.0.1 : {self.port} : alice : aa,{KEY}\n")
        self.home = directory
        self.log = open(directory / "pyzord.out", "wb")
        self.process = subprocess.Popen(
            ["/usr/bin/pyzord", f"--homedir={directory}", "-a", "127.0.0.1", "-p", str(self.port),
             f"--password-file={directory}/pyzord.passwd", f"--access-file={directory}/pyzord.access",
             "--dsn", str(directory / "db"), "--threads", "True"],
            stdout=self.log, stderr=self.log, env={**os.environ, "HOME": str(directory)})
        (directory / "servers").write_text(self.address + "\n")
        harness.wait_for("pyzord", lambda: b"(" in self.client("ping").stdout.replace(b"(504", b""), timeout=60)

    def client(self, *args, data=b""):
        """Debian's pyzor, asking this server."""
        return subprocess.run(["/usr/bin/pyzor", f"--homedir={self.home}", "-t", "5", *args], input=data,
                              capture_output=True)

    def counts(self, data):
        """(reports, welcomes) as Debian's client sees them."""
        words = self.client("check", data=data).stdout.decode().split("\t")
        return int(words[2]), int(words[3])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()


class Server(socketserver.ThreadingMixIn):
    daemon_threads = True
    allow_reuse_address = True


class UnixServer(Server, socketserver.UnixStreamServer):
    pass


class TcpServer(Server, socketserver.TCPServer):
    pass


class Dccifd:
    """dccifd's ASCII protocol on a Unix socket: the request to the end, then the answer."""

    def __init__(self, path, metrics="test 1049; bulk Body=many Fuz1=17 Fuz2=many rep=97%"):
        self.path, self.metrics, self.requests, self.silent = path, metrics, [], threading.Event()
        peer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                request = self.rfile.read()
                peer.requests.append(request)
                if peer.silent.is_set():
                    peer.wake.wait(60)
                    return
                self.wfile.write(f"A\nA\nX-DCC-{'test'}-Metrics: {peer.metrics[:40]}\n"
                                 f"\t{peer.metrics[40:]}\nreported: 1\n body: 1 2 3\n".encode())

        self.wake = threading.Event()
        self.server = UnixServer(str(path), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wake.set()
        self.server.shutdown()
        self.server.server_close()


def sis(line):
    return dict(p.partition("=")[::2] for p in line.strip().lstrip("-").split("&"))


class Razor:
    """A server of Razor 2: state, checks in batches, discovery, reports with an identity. known: signature -> answer
    ("p=1&cf=95"); everything else is p=0."""

    def __init__(self):
        self.known, self.lines, self.reported, self.whole = {}, [], [], []
        self.identity = ("spotter", "secret")
        peer = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

            def batch(self):
                """Lines of one question: one, or those from '-' to '.'."""
                line = self.rfile.readline().decode("latin-1")
                if not line.startswith("-"):
                    return [line] if line else []
                if "message=*" in line:
                    text = b""
                    while not text.endswith(b"\r\n.\r\n"):
                        piece = self.rfile.readline()
                        if not piece:
                            return []
                        text += piece
                    peer.whole.append(text)
                    return [line]
                lines = [line]
                while (line := self.rfile.readline().decode("latin-1")) not in (".\r\n", ""):
                    lines.append(line)
                return lines

            def handle(self):
                self.say("sn=C&srl=94&ep4=7542-10&a=cg")
                while lines := self.batch():
                    peer.lines += lines
                    if not self.answer(lines):
                        return

            def answer(self, lines):
                asked = [sis(line) for line in lines]
                act = asked[0].get("a")
                if act == "q":
                    return False
                if act == "g" and asked[0]["pm"] == "state":
                    self.say("-ac=20&bql=3&se=88\r\n.")
                elif act == "g":
                    self.say(f"-csl=?\r\n127.0.0.1:{peer.port}\r\n.")
                elif act == "ai":
                    self.say("achal=0123456789abcdef" if asked[0]["user"] == peer.identity[0] else "err=213")
                elif act == "auth":
                    peer.response = asked[0]["aresp"]
                    self.say("res=1")
                elif act == "r":
                    replies = ["res=1" if "message" in q else "err=230" for q in asked]
                    peer.reported += [q.get("s") for q in asked]
                    self.say(replies[0] if len(replies) == 1 else "-" + "\r\n".join(replies) + "\r\n.")
                elif act == "c":
                    replies = [peer.known.get(q["s"], "p=0") for q in asked]
                    self.say(replies[0] if len(replies) == 1 else "-" + "\r\n".join(replies) + "\r\n.")
                return True

        self.server = TcpServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def checked(self):
        return [sis(line) for line in self.lines if "a=c" in line]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Deaf:
    """A UDP port that answers nothing, or nonsense."""

    def __init__(self, answer=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.1)
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.asked, self.answer, self.over = [], answer, False
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.over:
            try:
                data, peer = self.socket.recvfrom(8192)
            except OSError:
                continue
            self.asked.append(data)
            if self.answer is not None:
                self.socket.sendto(self.answer, peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over = True
        self.socket.close()
