"""An MTA's side of the milter protocol, byte by byte: for what real MTAs never say."""
import contextlib
import socket
import struct

ACTIONS, STEPS = 0x1FF, 0x1FFFFF  # what Postfix offers
NR_BODY, LEADSPC, NR_HDR, SKIP = 0x80000, 0x100000, 0x80, 0x400


def packet(cmd, data=b""):
    return struct.pack(">I", len(data) + 1) + cmd + data


class Mta:
    def __init__(self, address, version=6, actions=ACTIONS, steps=STEPS, timeout=30):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.sock = socket.socket(family)
        self.sock.settimeout(timeout)
        self.sock.connect(address)
        self.offer = (version, actions, steps)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.close()

    def send(self, cmd, data=b""):
        self.sock.sendall(packet(cmd, data))

    def raw(self, data):
        self.sock.sendall(data)

    def exactly(self, n):
        out = b""
        while len(out) < n:
            piece = self.sock.recv(n - len(out))
            if not piece:
                raise EOFError
            out += piece
        return out

    def reply(self):
        n, = struct.unpack(">I", self.exactly(4))
        data = self.exactly(n)
        return data[:1], data[1:]

    def closed(self):
        """The filter hangs up (whatever it said before)."""
        try:
            while self.sock.recv(65536):
                pass
            return True
        except ConnectionError:
            return True

    def negotiate(self):
        self.send(b"O", struct.pack(">III", *self.offer))
        cmd, data = self.reply()
        assert cmd == b"O"
        self.version, self.actions, self.steps = struct.unpack(">III", data[:12])
        self.macros = {}
        rest = data[12:]
        while rest:
            stage, = struct.unpack(">I", rest[:4])
            names, _, rest = rest[4:].partition(b"\0")
            self.macros[stage] = names
        return self

    def macro(self, cmd, **values):
        self.send(b"D", cmd + b"".join(
            (k if len(k) == 1 else "{" + k + "}").encode() + b"\0" + v.encode() + b"\0"
            for k, v in values.items()))

    def connect(self, name="client.example.net", ip="192.0.2.7", port=4711, family=b"4"):
        self.send(b"C", name.encode() + b"\0" + family + struct.pack(">H", port) + ip.encode()
                  + b"\0")
        return self.reply()

    def helo(self, name="helo.example.net"):
        self.send(b"H", name.encode() + b"\0")
        return None if self.steps & 0x2000 else self.reply()

    def mail(self, addr="<alice@example.net>", *args):
        self.send(b"M", b"".join(a.encode() + b"\0" for a in (addr, *args)))
        return self.reply()

    def rcpt(self, addr="<bob@example.org>", *args):
        self.send(b"R", b"".join(a.encode() + b"\0" for a in (addr, *args)))
        return self.reply()

    def content(self, data, chunk=65535):
        """Header fields, blank line, body: as Postfix sends them."""
        head, _, body = data.partition(b"\r\n\r\n")
        fields = []
        for line in head.split(b"\r\n"):
            if line[:1] in b" \t" and fields:
                fields[-1] += b"\n" + line
            elif line:
                fields.append(line)
        for f in fields:
            name, _, value = f.partition(b":")
            if not self.steps & LEADSPC:
                value = value[1:] if value[:1] == b" " else value
            self.send(b"L", name + b"\0" + value + b"\0")
            if not self.steps & NR_HDR:
                assert self.reply()[0] == b"c"
        self.send(b"N")
        if not self.steps & 0x40000:
            assert self.reply()[0] == b"c"
        for i in range(0, len(body), chunk):
            self.send(b"B", body[i:i + chunk])
            if not self.steps & NR_BODY:
                if self.reply()[0] == b"s":
                    break

    def end(self):
        """(edits, verdict): edits as (command, data), without progress."""
        self.send(b"E")
        edits = []
        while True:
            cmd, data = self.reply()
            if cmd in b"actrdy4":
                return edits, (cmd, data)
            if cmd != b"p":
                edits.append((cmd, data))

    def message(self, data, sender="<alice@example.net>", to=("<bob@example.org>",)):
        assert self.mail(sender)[0] == b"c"
        for addr in to:
            assert self.rcpt(addr)[0] == b"c"
        self.content(data)
        return self.end()

    def open(self):
        self.negotiate()
        assert self.connect()[0] == b"c"
        self.helo()
        return self
