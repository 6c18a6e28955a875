"""Reload under load, again and again: every promised message arrives, and arrives once."""
import collections
import re
import smtplib
import threading
import time

import harness
from harness import message

ROUNDS, SENDERS = 8, 6


class Load:
    """Senders that never rest. `sent` are the names that got 250, `refused` everything else."""

    def __init__(self, gate, senders):
        self.gate, self.sent, self.refused, self.halt = gate, [], [], threading.Event()
        self.threads = [threading.Thread(target=self.push, args=(i,)) for i in range(senders)]

    def push(self, number):
        count = 0
        while not self.halt.is_set():
            count += 1
            name = f"{number}-{count}"
            try:
                code, text = self.gate.send(message(subject=name))
                (self.sent if code == 250 else self.refused).append((name, text))
            except (OSError, smtplib.SMTPException) as e:
                self.refused.append((name, repr(e)))

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.halt.set()
        for t in self.threads:
            t.join()

    def more(self, n):
        """Until n more messages have been promised."""
        want = len(self.sent) + n
        harness.wait_for("progress under load", lambda: len(self.sent) >= want or self.refused, 60)


def counted(sink):
    return collections.Counter(d.split(b"Subject: ")[1].split(b"\r\n")[0].decode()
                               for _, _, d in list(sink.messages))


def history(gate, name, sink):
    """What the log says of a message that came twice."""
    found = [d for _, _, d in sink.messages if b"Subject: " + name.encode() + b"\r\n" in d]
    ids = re.findall(rb"X-Gatehouse-Id: (\S+)", found[0])
    return [line for line in gate.log_text().splitlines() if ids[0].decode() in line]


def test_reloads_under_load_deliver_each_message_once(tmp_path, sink):
    with harness.gateway(tmp_path, next_hop=sink.port) as gate:
        with Load(gate, SENDERS) as load:
            for _ in range(ROUNDS):
                load.more(20)
                gate.reload()
        assert not load.refused, load.refused[:5]
        promised = {name for name, _ in load.sent}
        harness.wait_for("every promised message", lambda: set(counted(sink)) >= promised, 60)
        twice = [n for n, k in counted(sink).items() if k > 1]
        assert not twice, "\n".join([f"{len(twice)} of {len(promised)}",
                                     *history(gate, twice[0], sink)])
        assert set(counted(sink)) == promised


def test_reloads_with_a_slow_next_hop_deliver_each_message_once(tmp_path, sink):
    """Deliveries are under way at every hand-over: the old spool waits for the answers it is owed."""
    sink.data_reply = lambda data: time.sleep(0.3)
    with harness.gateway(tmp_path, next_hop=sink.port) as gate:
        with Load(gate, 2) as load:
            for _ in range(ROUNDS // 2):
                load.more(10)
                gate.reload()
        assert not load.refused, load.refused[:5]
        promised = {name for name, _ in load.sent}
        harness.wait_for("every promised message", lambda: set(counted(sink)) >= promised, 60)
        assert max(counted(sink).values()) == 1, counted(sink).most_common(3)
