"""What was promised is delivered: kills, full disks, spools that can't be written."""
import contextlib
import os
import pathlib
import subprocess
import sys

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


def test_a_read_only_spool_defers_and_recovers(tmp_path, sink):
    with small_disk(tmp_path / "spool", "64m") as spool, \
            harness.gateway(tmp_path, next_hop=sink.port,
                            settings={"queue": {"segment_size": "256KiB"}}) as g:
        assert g.send(message(subject="before"))[0] == 250
        sink.wait(1)
        # A file system with writers can't be remounted read-only; taking away the room has the same
        # effect on every write: zero blocks are left.
        subprocess.run(["mount", "-o", "remount,size=300k", str(spool)], check=True)
        codes = {g.send(message(subject=f"ro {i}", body="y" * 150000 + "\r\n"))[0] for i in range(8)}
        assert 452 in codes and codes <= {250, 452}, codes
        subprocess.run(["mount", "-o", "remount,size=64m", str(spool)], check=True)
        harness.wait_for("a writable spool", lambda: g.send(message(subject="again"))[0] == 250)
