"""Virus engines: a real clamd and the embedded engine, alive, dying, paused and absurd."""
import signal
import time

import pytest

import clamd
from clamd import Clamd, Drive, Engine, Odd
from harness import wait_for


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("virus")


@pytest.fixture(scope="module")
def database(place):
    return clamd.signatures(place / "db")


@pytest.fixture(scope="module")
def samples(place):
    return clamd.samples(place)


@pytest.fixture(scope="module")
def real(place, database):
    c = Clamd(place / "clamd", database, extra="StreamMaxLength 2M\n")
    yield c
    c.stop()


@pytest.fixture(scope="module")
def embedded(place, database):
    e = Engine(place / "engine", database)
    yield e
    assert e.stop() == 0


@pytest.fixture
def drive():
    made = []

    def make(*arguments):
        made.append(Drive(*arguments))
        return made[-1]
    yield make
    for d in made:
        d.close()


EXPECTED = {"clean": "CLEAN", "plain": "FOUND", "base64": "FOUND", "zip": "FOUND",
            "nested": "FOUND", "encrypted": "ENCRYPTED", "empty": "CLEAN"}


def check_all(d, samples, nofd):
    for name, state in EXPECTED.items():
        a = d.scan(samples[name], nofd=nofd)
        assert a["state"] == state, (name, a)
        if state == "FOUND":
            assert a["name"] == clamd.SIGNATURE + ".UNOFFICIAL"
        if state == "ENCRYPTED":
            assert a["detail"] == "Heuristics.Encrypted.Zip"


def test_clamd_by_descriptor(real, samples, drive):
    d = drive(real.unix)
    check_all(d, samples, nofd=False)
    assert wait_for("the version", lambda: d.scan(samples["clean"])["engine"][6:]).startswith("1.")


def test_clamd_by_stream(real, samples, drive):
    check_all(drive(real.unix), samples, nofd=True)


def test_clamd_over_tcp(real, samples, drive):
    check_all(drive(real.tcp), samples, nofd=False)


def test_embedded_by_descriptor(embedded, samples, drive):
    check_all(drive(embedded.unix), samples, nofd=False)


def test_embedded_by_stream(embedded, samples, drive):
    check_all(drive(embedded.unix), samples, nofd=True)


def test_embedded_commands(embedded):
    assert embedded.command(b"PING\n") == b"PONG\n"
    assert embedded.command(b"nPING\n") == b"PONG\n"
    assert embedded.command(b"zPING\0") == b"PONG\0"
    assert embedded.command(b"zVERSION\0").startswith(b"ClamAV 1.")
    assert b"SIGNATURES: 1\n" in embedded.command(b"nSTATS\n")
    assert embedded.command(b"zSHUTDOWN\0") == b"UNKNOWN COMMAND\0"
    assert embedded.command(b"zFILDES\0x") == b"No file descriptor received. ERROR\0"
    assert embedded.command(b"zINSTREAM\0\xff\xff\xff\xff") == \
        b"INSTREAM size limit exceeded. ERROR\0"


def test_embedded_takes_up_new_signatures(place, samples, drive):
    db = clamd.signatures(place / "db2", name="Before")
    e = Engine(place / "engine2", db)
    d = drive(e.unix)
    assert d.scan(samples["zip"])["name"] == "Before.UNOFFICIAL"
    clamd.signatures(db, name="After")
    assert e.command(b"zRELOAD\0") == b"RELOADING\0"
    e.ready()
    assert d.scan(samples["zip"])["name"] == "After.UNOFFICIAL"
    # A set that can't be loaded leaves the old one in force.
    (db / "test.ndb").write_text("no signature at all\n")
    e.command(b"zRELOAD\0")
    e.ready()
    assert d.scan(samples["zip"])["name"] == "After.UNOFFICIAL"
    assert e.stop() == 0


def test_embedded_without_signatures(place):
    (place / "none").mkdir()
    with pytest.raises(AssertionError):
        Engine(place / "engine3", place / "none")


def test_too_large(real, embedded, place, drive):
    big = place / "big.eml"
    big.write_bytes(b"A: b\r\n\r\n" + b"x" * (3 << 20))
    a = drive("max=1000000", real.unix).scan(big)
    assert a["state"] == "TOO_LARGE" and "virus.max_size is 1000000" in a["detail"]
    # The engine's own limits: StreamMaxLength of clamd, virus.max_size of ours.
    for engine in (real.unix, real.tcp, embedded.unix):
        d = drive(engine)
        for _ in range(5):
            a = d.scan(big, nofd=True)
            assert a["state"] == "TOO_LARGE", (engine, a)


def test_many_at_once(real, embedded, samples, drive):
    for engine in (real.unix, embedded.unix):
        d = drive(engine)
        for i in range(60):
            d.send(samples["zip" if i % 2 else "clean"], nofd=i % 3 == 0)
        got = [d.answer() for _ in range(60)]
        assert [g["state"] for g in got].count("FOUND") == 30
        assert all(g["state"] == EXPECTED[g["file"].split("/")[-1][:-4]] for g in got)


def test_killed_in_mid_scan_paused_restarted(place, database, samples, drive):
    c = Clamd(place / "mortal", database)
    try:
        d = drive("timeout=3000", "probe=50", c.unix)
        assert d.scan(samples["zip"])["state"] == "FOUND"
        c.signal(signal.SIGSTOP)
        d.send(samples["clean"])
        time.sleep(0.3)
        c.process.kill()
        a = d.answer()
        assert a["state"] == "ERROR" and "clamd.sock" in a["detail"]
        c.process.wait()
        # Nobody there: an error at once, not after a timeout.
        start = time.monotonic()
        assert d.scan(samples["clean"])["state"] == "ERROR"
        assert time.monotonic() - start < 1
        c.start()
        wait_for("the engine to be used again", lambda: d.scan(samples["zip"])["state"] == "FOUND")
        # Paused: no answer in time.
        c.signal(signal.SIGSTOP)
        start = time.monotonic()
        a = d.scan(samples["clean"])
        assert a["state"] == "ERROR" and "in time" in a["detail"]
        assert 2 < time.monotonic() - start < 60
        c.signal(signal.SIGCONT)
        wait_for("the engine to be used again", lambda: d.scan(samples["clean"])["state"] == "CLEAN")
    finally:
        c.stop()


def test_failover(place, database, real, samples, drive):
    c = Clamd(place / "first", database)
    try:
        d = drive("timeout=4000", "probe=50", c.unix, real.tcp)
        assert d.scan(samples["zip"])["state"] == "FOUND"
        c.signal(signal.SIGSTOP)
        assert d.scan(samples["zip"])["state"] == "FOUND"
        c.stop()
        for _ in range(20):
            assert d.scan(samples["base64"])["state"] == "FOUND"
            assert d.scan(samples["clean"])["state"] == "CLEAN"
    finally:
        c.stop()


def test_nobody_configured_is_no_engine(samples, drive):
    assert drive().scan(samples["clean"])["state"] == "NO_ENGINE"


def test_unusable_addresses(samples, drive):
    for address in ("unix:", "unix:" + "x" * 200, "nonsense", "127.0.0.1:", "host.invalid:3310"):
        assert drive(address).scan(samples["clean"])["state"] == "ERROR", address


ODD = [b"", b"\0", b"OK\0", b"stream: OK", b"stream:OK\0", b"stream: OK \0", b"stream: ok\0",
       b"streams: OK\0", b"fd[x]: OK\0", b"fd[]: OK\0", b"fd[-1]: OK\0", b"stream: OK\0stream: OK\0",
       b"stream: OK\n\0", b"stream:  FOUND\0", b"stream: FOUND\0", b"stream: X FOUND OK\0",
       b"stream: Can't allocate memory ERROR\0", b"RELOADING\0", b"PONG\0",
       b"stream: " + b"x" * 5000 + b" FOUND\0", b"\xff\xfe: OK\0", b"ClamAV 1.4.6: OK\0",
       b"stream: OK FOUND ERROR\0"]


@pytest.mark.parametrize("answer", ODD, ids=range(len(ODD)))
def test_odd_answers_are_errors(answer, samples, drive):
    odd = Odd(answer)
    assert drive("timeout=3000", odd.address).scan(samples["plain"])["state"] == "ERROR"
    odd.close()


def test_odd_engine_does_not_end_the_search(real, samples, drive):
    odd = Odd(b"stream: Can't do that ERROR\0")
    a = drive(odd.address, real.tcp).scan(samples["zip"])
    assert a["state"] == "FOUND"
    odd.close()


def test_hanging_and_early_answers(samples, place, drive):
    odd = Odd(b"stream: OK\0", hang=True)
    a = drive("timeout=500", odd.address).scan(samples["clean"])
    assert a["state"] == "ERROR" and "no answer in time" in a["detail"]
    odd.close()
    # An engine that answers before it has read all: what it found counts.
    big = place / "big2.eml"
    big.write_bytes(b"A: b\r\n\r\n" + b"x" * (30 << 20))
    odd = Odd(b"stream: Early FOUND\0", read_all=False)
    a = drive(odd.address).scan(big)
    assert a["state"] == "FOUND" and a["name"] == "Early"
    odd.close()


def test_an_engine_that_takes_no_descriptors_gets_a_stream(samples, place, drive):
    class Confined(Odd):
        def answer_to(self, command):
            fildes = command.startswith(b"zFILDES")
            return b"No file descriptor received. ERROR\0" if fildes else b"stream: OK\0"
    odd = Confined(b"", directory=place)
    d = drive(odd.address)
    for _ in range(3):
        assert d.scan(samples["clean"])["state"] == "CLEAN"
    assert odd.seen.count(b"zFILDES") == 1
    odd.close()
