"""A real clamd and its accidents: nothing infected passes, nothing passes unscanned unless it may."""
import os
import signal
import threading
import time

import pytest

import harness
from clamd import SIGNATURE, Clamd, attachment, nested, plain_zip, signatures
from harness import EICAR, message


@pytest.fixture
def clamd(tmp_path):
    c = Clamd(tmp_path / "clamd", signatures(tmp_path / "signatures"))
    yield c
    c.stop()


def settings(clamd, **virus):
    return {"virus": {"enabled": True, "clamd": [clamd.unix], "embedded": False,
                      "scan_timeout": "5s", "connect_timeout": "1s", "probe_interval": "1s", **virus}}


INFECTED = {
    "plain": message(body=EICAR.decode() + "\r\n"),
    "base64": attachment(EICAR),
    "zip": attachment(plain_zip(EICAR), "thing.zip"),
    "nested": nested(attachment(EICAR)),
}


def test_eicar_in_every_wrapping_is_refused(tmp_path, sink, clamd):
    with harness.gateway(tmp_path, next_hop=sink.port, settings=settings(clamd)) as g:
        for name, data in INFECTED.items():
            code, text = g.send(data)
            assert code == 550 and SIGNATURE in text, (name, code, text)
        assert g.send(message(subject="clean"))[0] == 250
        data = sink.wait(1)[0][2]
        assert b"X-Virus-Status: Clean" in data
        assert len(sink.messages) == 1


def test_clamd_killed_paused_restarted(tmp_path, sink, clamd):
    """Under load: every message is either scanned and delivered, or put off; infected mail never passes."""
    with harness.gateway(tmp_path, next_hop=sink.port, settings=settings(clamd)) as g:
        accepted, put_off, wrong, halt = [], [], [], threading.Event()
        bad = INFECTED["base64"]

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
            if choice == "pass":
                sink.wait(1)  # before the end: what is still queued then waits for the next start
    data = sink.wait(1)[0][2]
    assert b"on_error pass" in data and b"X-Virus-Status: Unscanned" in data
    assert len(sink.messages) == 1


def test_the_embedded_engine(tmp_path, sink):
    """No clamd anywhere: libclamav in a process of the gateway's own, which may die and comes back."""
    database = signatures(tmp_path / "signatures")
    own = {"virus": {"enabled": True, "clamd": [], "embedded": True, "database": str(database),
                     "scan_timeout": "10s", "probe_interval": "1s"}}
    with harness.gateway(tmp_path, next_hop=sink.port, settings=own) as g:
        harness.wait_for("the engine", lambda: g.send(message(subject="first"))[0] == 250)
        for name, data in INFECTED.items():
            code, text = g.send(data)
            assert code == 550 and SIGNATURE in text, (name, code, text)
        assert b"X-Virus-Status: Clean" in sink.wait(1)[0][2]
        [pid] = g.pids("virus")
        os.kill(pid, signal.SIGKILL)
        for _ in range(20):
            assert g.send(INFECTED["zip"])[0] in (451, 550)
        harness.wait_for("the engine to come back",
                         lambda: g.pids("virus") not in ([], [pid])
                         and g.send(INFECTED["zip"])[0] == 550)
        assert len(sink.messages) == 1
