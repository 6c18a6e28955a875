"""What was promised is delivered: kills, full disks, spools that can't be written."""
import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

import pytest

import harness
from harness import message

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "crash"))


def test_two_hundred_kills(tmp_path):
    import crash
    lost, damaged, promised = crash.crash(tmp_path, int(os.environ.get("CRASH_KILLS", "200")), seed=7)
    assert promised > 200
    assert not lost and not damaged


@contextlib.contextmanager
def small_disk(path, size="8m"):
    path.mkdir(parents=True, exist_ok=True)
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(path)],
                       capture_output=True, text=True)
    if r.returncode:
        pytest.skip("mounting a small file system needs root: " + r.stderr.strip())
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)


def fill(path):
    """Takes the last byte. Returns the file that holds the room."""
    ballast = path / "ballast"
    with open(ballast, "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:
            f.write(b"\0" * 4096)
    return ballast


def test_a_full_disk_defers_and_recovers(tmp_path, sink):
    with small_disk(tmp_path / "spool") as spool, \
            harness.gateway(tmp_path, next_hop=sink.port,
                            settings={"queue": {"segment_size": "1MiB"}}) as g:
        assert g.send(message(subject="before"))[0] == 250
        sink.wait(1)
        ballast = fill(spool)
        codes = {g.send(message(subject=f"full {i}", body="x" * 200000 + "\r\n"))[0]
                 for i in range(12)}
        assert 452 in codes and codes <= {250, 452}, codes
        ballast.unlink()
        harness.wait_for("room again",
                         lambda: g.send(message(subject="room again"))[0] == 250)
        harness.wait_for("delivery", lambda: any(b"room again" in d for _, _, d in sink.messages))


def remount(path, how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(path)], check=True)


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def refused_at_once(g, subject):
    began = time.monotonic()
    code, text = g.send(message(subject=subject))
    assert code in (451, 452), (code, text)
    assert time.monotonic() - began < 5, "the sender waited"
    return code


def stays_alive_and_quiet(g, seconds=3):
    """While nothing can be written no process dies, and none runs in circles."""
    pids = sorted(g.pids())
    before = cpu_seconds(pids)
    time.sleep(seconds)
    assert sorted(g.pids()) == pids, g.log_text()[-3000:]
    assert cpu_seconds(pids) - before < seconds / 4


def subjects(sink):
    return sorted(line for _, _, data in sink.messages for line in data.split(b"\r\n")
                  if line.startswith(b"Subject: "))


def test_started_on_a_read_only_spool(tmp_path, sink):
    """Mail that was queued goes out, new mail is refused for now; once the disk can be written the same
    processes go on, and what went out is not delivered again."""
    with small_disk(tmp_path / "spool", "64m") as spool, \
            harness.gateway(tmp_path, next_hop=sink.port) as g:
        sink.close()
        for i in range(5):
            assert g.send(message(subject=f"queued {i}"))[0] == 250
        g.stop()
        remount(spool, "ro")
        sink.reopen()
        g.start()
        assert refused_at_once(g, "while read-only") == 452
        sink.wait(5)
        stays_alive_and_quiet(g)
        pids = g.pids("spool")
        remount(spool, "rw")
        harness.wait_for("a spool that takes mail",
                         lambda: g.send(message(subject="writable"))[0] == 250, 3)
        assert g.pids("spool") == pids
        sink.wait(6)
        g.stop()
        g.start()
        assert g.send(message(subject="after"))[0] == 250
        sink.wait(7)
        assert subjects(sink) == sorted([b"Subject: after", b"Subject: writable",
                                         *[b"Subject: queued %d" % i for i in range(5)]])


def test_started_on_a_read_only_spool_that_is_empty(tmp_path, sink):
    """There is not even a queue: the gateway starts, says so to senders, and makes one when it can."""
    with small_disk(tmp_path / "spool", "64m") as spool:
        remount(spool, "ro")
        with harness.gateway(tmp_path, next_hop=sink.port) as g:
            refused_at_once(g, "while read-only")
            assert "Read-only" in g.run("queue", "list", check=False).stderr
            stays_alive_and_quiet(g)
            pids = g.pids("spool")
            remount(spool, "rw")
            harness.wait_for("a spool that takes mail",
                             lambda: g.send(message(subject="writable"))[0] == 250, 3)
            assert g.pids("spool") == pids
            sink.wait(1)


def test_a_spool_that_stops_taking_writes(tmp_path, sink):
    """The kernel refuses every write of the running spool process (a limit on the size of files: EFBIG).
    Queued mail still goes out, new mail gets 451, and all is well when writes succeed again."""
    with harness.gateway(tmp_path, next_hop=sink.port,
                         settings={"queue": {"segment_size": "64KiB"}}) as g:
        sink.data_reply = lambda data: b"451 4.3.0 later"
        for i in range(5):
            assert g.send(message(subject=f"queued {i}"))[0] == 250
        spool = g.pids("spool")
        old = resource.prlimit(spool[0], resource.RLIMIT_FSIZE)
        resource.prlimit(spool[0], resource.RLIMIT_FSIZE, (0, old[1]))
        refused_at_once(g, "not written")
        sink.data_reply = lambda data: None
        sink.wait(5)
        stays_alive_and_quiet(g)
        refused_at_once(g, "not written either")
        resource.prlimit(spool[0], resource.RLIMIT_FSIZE, old)
        harness.wait_for("a spool that takes mail",
                         lambda: g.send(message(subject="again"))[0] == 250, 5)
        assert g.pids("spool") == spool
        sink.wait(6)
        time.sleep(1.5)  # what waited to be written is
        g.kill()
        g.start()
        assert g.send(message(subject="after"))[0] == 250
        sink.wait(7)
        assert subjects(sink) == sorted([b"Subject: after", b"Subject: again",
                                         *[b"Subject: queued %d" % i for i in range(5)]])


def test_the_end_does_not_wait_for_a_disk(tmp_path, sink):
    """SIGTERM with progress that can't be written: an orderly end all the same, soon."""
    with harness.gateway(tmp_path, next_hop=sink.port) as g:
        sink.data_reply = lambda data: b"451 4.3.0 later"
        assert g.send(message(subject="queued"))[0] == 250
        spool = g.pids("spool")[0]
        old = resource.prlimit(spool, resource.RLIMIT_FSIZE)
        resource.prlimit(spool, resource.RLIMIT_FSIZE, (0, old[1]))
        sink.data_reply = lambda data: None
        sink.wait(1)
        began = time.monotonic()
        g.stop()
        assert time.monotonic() - began < 15


def test_what_could_not_be_stored_is_on_record(tmp_path, sink):
    """The sender gets 451 with an id, and the record says under this id what happened, and why. (The
    record's database can be written here: the limit would stop it as well, and is taken back.)"""
    with harness.gateway(tmp_path, next_hop=sink.port,
                         settings={"record": {"batch": "3s"}}) as g:
        spool = g.pids("spool")[0]
        old = resource.prlimit(spool, resource.RLIMIT_FSIZE)
        resource.prlimit(spool, resource.RLIMIT_FSIZE, (0, old[1]))
        code, text = g.send(message(subject="no room"), to=["bob@example.org", "carol@example.org"])
        resource.prlimit(spool, resource.RLIMIT_FSIZE, old)
        assert code in (451, 452), text
        rows = harness.wait_for("the record", lambda: g.run("log", "--json").stdout.splitlines())
        row = json.loads(rows[0])
        assert len(rows) == 1 and row["id"] in text, (row, text)
        shown = g.run("log", row["id"]).stdout
        assert "defer" in shown and "not-stored" in shown and "File too large" in shown, shown
        assert "bob@example.org" in shown and "carol@example.org" in shown
        assert f"{row['id']} not-stored" in g.log_text()  # the door's: its log can be written
        assert not sink.messages


def queued(g):
    return [json.loads(line) for line in g.run("queue", "list", "--json").stdout.splitlines()]


def test_waits_behind_a_dead_destination_survive_a_restart(tmp_path, sink):
    """Next try, number of tries and reason: of a message that was tried, and of one that came when the
    destination was known to be down. SIGKILL, so that nothing is written down in order."""
    with harness.gateway(tmp_path, next_hop=sink.port,
                         settings={"queue": {"retry": ["2h"]}}) as g:
        sink.close()
        assert g.send(message(subject="first"), to=["first@example.org"])[0] == 250
        harness.wait_for("a destination that is down", lambda: "destination-down" in g.log_text())
        assert g.send(message(subject="second"), to=["second@example.org"])[0] == 250

        def waits():
            return {r["address"]: (r["next"], r["tries"], r["reason"])
                    for m in queued(g) for r in m["recipients"]}
        before = harness.wait_for("both with a reason",
                                  lambda: len(waits()) == 2 and all(r for _, _, r in waits().values())
                                  and waits())
        # Its promise is written behind what was known before.
        assert g.send(message(subject="third"), to=["third@example.org"])[0] == 250
        g.kill()
        sink.reopen()
        g.start()
        after = waits()
        del after["third@example.org"]
        assert after == before
        assert before["first@example.org"][1] == 1 and before["second@example.org"][1] == 0
        # Nobody made a run at the destination, and fresh mail is not held up by the others.
        assert g.send(message(subject="fresh"), to=["fresh@example.org"])[0] == 250
        sink.wait(1)
        arrived = [r for _, r, _ in sink.messages]
        assert ["fresh@example.org"] in arrived and ["first@example.org"] not in arrived
        for m in queued(g):
            g.run("queue", "retry", m["id"])
        sink.wait(4)
