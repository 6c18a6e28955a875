"""A real clamd and its accidents: nothing infected passes, nothing passes unscanned unless it may."""
import base64
import os
import signal
import subprocess
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


def below(kind):
    """An infected attachment right below a multipart of that kind, where ClamAV does not look by itself."""
    return message(subject=kind, headers=["MIME-Version: 1.0", f"Content-Type: multipart/{kind}; boundary=b"], body=(
        "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
        "--b\r\nContent-Type: application/zip; name=x.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(plain_zip(EICAR)).decode().replace("\n", "\r\n") + "--b--\r\n"))


def forwarded(data):
    return message(subject="forwarded", headers=["MIME-Version: 1.0", "Content-Type: message/rfc822",
                                                 "Content-Transfer-Encoding: base64"],
                   body=base64.encodebytes(data).decode().replace("\n", "\r\n"))


INFECTED = {
    "signed": below("signed"),
    "parallel": below("Parallel"),
    "forwarded": forwarded(below("parallel")),
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


VIRUS_RULES = r"""
loadplugin ClamAV clamav.pm
full   CLAMAV        eval:check_clamav()
score  CLAMAV        3
header CLAMAV_OURS   X-Spam-Virus =~ /^Yes \(Gatehouse\./
score  CLAMAV_OURS   4
header CLAMAV_CLEAN  X-Spam-Virus =~ /^No$/
score  CLAMAV_CLEAN  -0.5
header CLAMAV_FAILED X-Spam-Virus =~ /^Error \(/
score  CLAMAV_FAILED 0.25
meta   CLAMAV_META   CLAMAV && CLAMAV_OURS && !CLAMAV_CLEAN
score  CLAMAV_META   1
add_header all Virus _CLAMAVRESULT_
add_header all Status _YESNO_, score=_SCORE_ tests=_TESTS_
"""


def test_rules_read_what_the_engine_found(tmp_path, sink, clamd):
    own = harness.merge(settings(clamd, on_error="pass", scan_timeout="60s", connect_timeout="20s"), {"limits": {"scan_time": "120s"}, "policies": [{"name": "default", "on_virus": "tag"}]})
    with harness.gateway(tmp_path, next_hop=sink.port, settings=own, rules=VIRUS_RULES) as g:
        def arrives(data):
            before = len(sink.messages)
            assert g.send(data)[0] == 250
            return sink.wait(before + 1)[before][2]
        found = arrives(attachment(EICAR))
        assert b"X-Spam-Virus: Yes (" + SIGNATURE.encode() in found and b"score=8.0 " in found
        assert b"CLAMAV,CLAMAV_META,CLAMAV_OURS" in found
        # What a sender writes there is no answer.
        clean = arrives(message(subject="clean", headers=["X-Spam-Virus: Yes (Gatehouse.Forged)"]))
        assert b"X-Spam-Virus: No" in clean and b"CLAMAV_CLEAN" in clean and b"Forged" not in clean
        # The engine is slower than the rules: they wait for it.
        clamd.signal(signal.SIGSTOP)
        timer = threading.Timer(1, clamd.signal, [signal.SIGCONT])
        timer.start()
        late = arrives(message(subject="late"))
        timer.join()
        assert b"CLAMAV_CLEAN" in late
        # It does not answer: that is a fact as well.
        clamd.stop()
        alone = arrives(message(subject="alone"))
        assert b"X-Spam-Virus: Error (" in alone and b"CLAMAV_FAILED" in alone
    r = subprocess.run([g.binary, "scan", "-c", g.config, "--local", "--format", "tsv", "-"], input=message(),
                               capture_output=True)
    assert b"CLAMAV" not in r.stdout

