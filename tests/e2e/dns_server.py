"""Name servers for the tests, on loopback: Debian's nsd with zones the test writes, and a small server of our own
that answers badly, slowly or not at all.

    with dns_server.Nsd(tmp_path, {"rbl.example": "2.0.0.127 A 127.0.0.2\\n2.0.0.127 TXT \\"listed\\""}) as dns:
        settings = {"dns": {"servers": [dns.address], "dnssec": False}}

Names in a zone's text are relative to the zone; SOA and NS are added when the text has none at the top. What is in
no zone does not exist: there is a root zone as well. A flat list of records with full names can be given as the zone
"." itself."""
import asyncio
import collections
import contextlib
import pathlib
import random
import socket
import struct
import subprocess
import threading

from harness import free_port, wait_for

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "DNSKEY": 48, "TLSA": 52}
NAMES = {v: k for k, v in TYPES.items()}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5
NSD = "/usr/sbin/nsd"


def wire(name):
    """A name in wire form."""
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def query(name, qtype="A", number=None):
    number = random.randrange(65536) if number is None else number
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + wire(name) + struct.pack(">HH", TYPES[qtype], 1)


def question(packet):
    """(name in lower case, type as text, offset behind the question)"""
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1").lower())
        at += packet[at] + 1
    qtype = struct.unpack_from(">H", packet, at + 1)[0]
    return ".".join(labels), NAMES.get(qtype, str(qtype)), at + 5


def txt(*strings):
    """Rdata of TXT."""
    return b"".join(bytes([len(s)]) + s for s in strings)


def reply(packet, answers=(), rcode=NOERROR, flags=0x8580):
    """An answer to the question in packet; answers are (type, rdata bytes) or (type, rdata, owner)."""
    _, _, end = question(packet)
    out = packet[:2] + struct.pack(">HHHHH", flags | rcode, 1, len(answers), 0, 0) + packet[12:end]
    for kind, rdata, *owner in answers:
        name = wire(owner[0]) if owner else b"\xc0\x0c"
        out += name + struct.pack(">HHIH", TYPES[kind], 1, 60, len(rdata)) + rdata
    return out


def negative(packet, soa, rcode):
    """No such record, or name: with the SOA record (type, rdata, owner) that says for how long."""
    _, _, end = question(packet)
    kind, rdata, owner = soa
    return packet[:2] + struct.pack(">HHHHH", 0x8580 | rcode, 1, 0, 1, 0) + packet[12:end] + wire(owner) + \
        struct.pack(">HHIH", TYPES[kind], 1, 60, len(rdata)) + rdata


def ask(port, name, qtype="A", timeout=2.0):
    """The packet a server answers with, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, contextlib.suppress(OSError):
        s.settimeout(timeout)
        s.sendto(query(name, qtype), ("127.0.0.1", port))
        return s.recv(65535)


def reverse(address, zone):
    return ".".join(reversed(address.split("."))) + "." + zone


class Nsd:
    """An authoritative server; zones: name -> records, one a line, in the form of zone files."""

    def __init__(self, directory, zones):
        self.directory = pathlib.Path(directory) / "nsd"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.zones = {".": "", **{name.rstrip(".") or ".": text for name, text in zones.items()}}
        self.port = free_port()
        self.address = f"127.0.0.1@{self.port}"
        self.process = None
        self.start()

    def write(self):
        parts = [f"server:\n  ip-address: 127.0.0.1@{self.port}\n  username: \"\"\n  zonesdir: \"{self.directory}\"\n"
                 f"  pidfile: \"{self.directory}/nsd.pid\"\n  xfrdfile: \"{self.directory}/xfrd.state\"\n"
                 f"  zonelistfile: \"{self.directory}/zone.list\"\n  cookie-secret-file: \"\"\n  server-count: 1\n"
                 "  database: \"\"\n  rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n"
                 "remote-control:\n  control-enable: no\n"]
        for i, (name, text) in enumerate(sorted(self.zones.items())):
            origin = "." if name == "." else name + "."
            head = f"$ORIGIN {origin}\n$TTL 60\n"
            if " SOA " not in text:
                head += "@ SOA ns.invalid. admin.invalid. 1 3600 600 86400 60\n@ NS ns.invalid.\n"
            (self.directory / f"zone{i}").write_text(head + text + "\n")
            parts.append(f"zone:\n  name: \"{origin}\"\n  zonefile: \"zone{i}\"\n")
        (self.directory / "nsd.conf").write_text("".join(parts))

    def start(self):
        self.write()
        with open(self.directory / "nsd.log", "ab") as log:
            self.process = subprocess.Popen([NSD, "-d", "-c", self.directory / "nsd.conf"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)

        def ready():
            assert self.process.poll() is None, (self.directory / "nsd.log").read_text()
            return ask(self.port, "ready.invalid", timeout=0.2)
        wait_for("nsd", ready, timeout=60)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def change(self, zones):
        """Other zones, under the same port."""
        self.stop()
        self.zones = {".": "", **{name.rstrip(".") or ".": text for name, text in zones.items()}}
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Scripted:
    """Answers what `answer(name, qtype, packet)` returns: bytes; None: silence. `delay` seconds later; a function of
    (name, qtype) may be given. Who asked what is in `asked` (a Counter of (name, qtype))."""

    def __init__(self, answer, delay=0.0):
        self.answer, self.delay = answer, delay
        self.asked = collections.Counter()
        self.loop = asyncio.new_event_loop()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.address = f"127.0.0.1@{self.port}"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        asyncio.set_event_loop(self.loop)
        server = self

        class Protocol(asyncio.DatagramProtocol):
            def connection_made(self, transport):
                self.transport = transport

            def datagram_received(self, data, peer):
                with contextlib.suppress(IndexError, struct.error):
                    name, qtype, _ = question(data)
                    server.asked[(name, qtype)] += 1
                    out = server.answer(name, qtype, data)
                    wait = server.delay(name, qtype) if callable(server.delay) else server.delay
                    if out is not None:
                        server.loop.call_later(wait, self.transport.sendto, out, peer)
        self.loop.run_until_complete(self.loop.create_datagram_endpoint(Protocol, sock=self.socket))
        self.loop.run_forever()
        self.loop.close()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Slow(Scripted):
    """What another server says, `delay` seconds later."""

    def __init__(self, port, delay):
        self.upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.upstream.connect(("127.0.0.1", port))
        self.upstream.settimeout(1)
        super().__init__(self.relay, delay)

    def relay(self, name, qtype, packet):
        self.upstream.send(packet)
        with contextlib.suppress(OSError):
            while (out := self.upstream.recv(65535))[:2] != packet[:2]:
                pass
            return out

    def stop(self):
        super().stop()
        self.upstream.close()
