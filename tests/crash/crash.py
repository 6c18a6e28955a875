#!/usr/bin/python3
"""Kills the gateway at random moments under load and counts what became of the mail.

    tests/crash/crash.py --kills 200

Senders push messages through SMTP all the time. At random moments SIGKILL hits all processes at once
(as a power cut; the page cache survives) or one of them. At the end every message that was answered
with 250 must have reached the next hop at least once, byte for byte. Exit 0 or 1, one line of figures.
"""
import argparse
import contextlib
import hashlib
import os
import pathlib
import random
import signal
import smtplib
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402


LOG_MAX = 8 << 20
BACKLOG = 1000  # promised and not delivered: above it the senders pause, or restarts would only read queues
PATIENCE = 600  # seconds for a start and for the last delivery: the machine may have other work


class Load:
    """Senders that remember what was promised."""

    def __init__(self, gate, sink, senders, seed):
        self.gate, self.sink = gate, sink
        self.acked = {}
        self.sent = 0
        self.lock = threading.Lock()
        self.halt = threading.Event()
        self.threads = [threading.Thread(target=self.push, args=(random.Random(seed + i), i), daemon=True)
                        for i in range(senders)]
        for t in self.threads:
            t.start()

    def push(self, rng, number):
        count = 0
        while not self.halt.is_set():
            with contextlib.suppress(OSError, smtplib.SMTPException):
                with self.gate.smtp() as s:
                    s.ehlo()
                    for _ in range(rng.randint(1, 20)):
                        while len(self.acked) - len(self.sink.seen) > BACKLOG and not self.halt.is_set():
                            time.sleep(0.05)
                        if self.halt.is_set():
                            break
                        count += 1
                        self.one(s, f"{number}-{count}", rng)
                continue
            time.sleep(0.02)

    def one(self, s, name, rng):
        size = rng.choice([10, 200, 5000, 5000, 60000, 1500000 if rng.random() < 0.02 else 300])
        line = hashlib.sha256(name.encode()).hexdigest() + "\r\n"
        data = harness.message(subject=name, body=line * (size // len(line) + 1))
        self.sent += 1
        code, text = s.sendmail_reply("alice@example.net", "bob@example.org", data)
        if code == 250:
            with self.lock:
                self.acked[name] = hashlib.sha256(data.split(b"\r\n\r\n", 1)[1]).hexdigest()

    def end(self):
        self.halt.set()
        for t in self.threads:
            t.join()


def sendmail_reply(self, sender, rcpt, data):
    code, text = self.mail(sender)
    if code == 250:
        code, text = self.rcpt(rcpt)
    if code == 250:
        code, text = self.data(data)
    else:
        self.rset()
    return code, text


smtplib.SMTP.sendmail_reply = sendmail_reply


class Counter(harness.Sink):
    """A next hop that keeps a digest of each message, and is itself not always in the mood."""

    def __init__(self, rng):
        self.seen, self.damaged, self.expect = {}, [], lambda name: None
        super().__init__()
        self.data_reply = lambda data: self.judge(data, rng)

    def judge(self, data, rng):
        if rng.random() < 0.02:
            return b"451 4.3.0 not now"
        head, body = data.split(b"\r\n\r\n", 1)
        name = [line for line in head.split(b"\r\n") if line.startswith(b"Subject: ")][0][9:].decode()
        digest = hashlib.sha256(body).hexdigest()
        first = hashlib.sha256(name.encode()).hexdigest()
        lines = body.split(b"\r\n")
        if any(line != first.encode() for line in lines if line):
            self.damaged.append(name)
        with self.lock:
            self.seen.setdefault(name, []).append(digest)
        return b"250 2.0.0 kept"


def strike(gate, rng, everything):
    if everything:
        gate.kill()
        log = gate.dir / "log"
        if log.stat().st_size > LOG_MAX:  # waiting for a line in it must stay cheap
            log.unlink()
        gate.start()
        return
    role = rng.choice(["door", "scan", "spool", "spool"])
    for pid in gate.pids(role)[:1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def crash(directory, kills, seed, senders=6):
    harness.START_TIMEOUT = PATIENCE
    rng = random.Random(seed)
    sink = Counter(random.Random(seed))
    gate = harness.Gateway(directory, next_hop=sink.port, settings={
        "queue": {"retry": ["1s"], "segment_size": "4MiB"},
        "limits": {"errors": 1000, "transactions": 100000, "commands": 100000}})
    gate.start()
    load = Load(gate, sink, senders, seed)
    started = time.monotonic()
    try:
        for kill in range(kills):
            time.sleep(rng.uniform(0.0, 0.25))
            strike(gate, rng, everything=kill % 2 == 0)
            if sys.stderr.isatty() or (kill + 1) % 500 == 0:
                print(f"\r{kill + 1}/{kills} kills, {len(load.acked)} promised, {len(sink.seen)} delivered",
                      end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)
    finally:
        load.end()
    acked = dict(load.acked)
    with contextlib.suppress(AssertionError):
        harness.wait_for("the queue to empty", lambda: all(n in sink.seen for n in acked), PATIENCE, 0.1)
    lost = [n for n in acked if n not in sink.seen]
    wrong = [n for n in acked if n in sink.seen and acked[n] not in sink.seen[n]]
    twice = sum(len(v) - 1 for v in sink.seen.values())
    gate.stop()
    print(f"{kills} kills in {time.monotonic() - started:.0f} s: {load.sent} sent, {len(acked)} promised, "
          f"{len(sink.seen)} delivered, {twice} more than once, {len(lost)} lost, "
          f"{len(wrong) + len(sink.damaged)} damaged")
    sink.close()
    return lost, wrong + sink.damaged, len(acked)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--kills", type=int, default=200)
    p.add_argument("--seed", type=int, default=int(time.time()))
    a = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="gatehouse-crash-") as d:
        lost, damaged, promised = crash(d, a.kills, a.seed)
        if lost or damaged or not promised:
            print(f"seed {a.seed}: lost {lost[:10]} damaged {damaged[:10]} promised {promised}",
                  file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
