"""Conversations with the door on raw sockets: commands, orders, limits, smuggling."""
import contextlib
import socket
import time

import pytest

import stand as st
from stand import Talk


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    """One door for all conversations that leave it as it was."""
    directory = tmp_path_factory.mktemp("door")
    with st.stand(directory, {"limits": {"errors": 50, "message_size": "100KiB"}}) as s:
        yield s


def test_the_greeting_names_host_but_no_software(door):
    with door.talk() as t:
        assert t.greeting == "220 gate.test ESMTP"
        offered = t.ehlo()
        for word in ("PIPELINING", "SIZE 102400", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN",
                     "ENHANCEDSTATUSCODES"):
            assert word in offered
        for word in ("STARTTLS", "AUTH", "XCLIENT"):
            assert word not in offered
        assert "gatehouse" not in (t.greeting + offered + t.say("HELP") + t.say("QUIT")).lower()
        assert t.closed()


def test_orders(door):
    with door.talk() as t:
        assert t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<a@example.org>", "DATA") == [503] * 3
        t.ehlo()
        assert t.codes("RCPT TO:<a@example.org>", "DATA", "BDAT 0 LAST") == [503, 503, 503]
        assert t.codes("MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>", "DATA") == [250, 503, 503]
        assert t.codes("RCPT TO:<a@example.org>", "RSET", "DATA") == [250, 250, 503]
        assert t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<a@example.org>") == [250, 250]
        t.ehlo()
        assert t.codes("RCPT TO:<a@example.org>", "NOOP", "VRFY a", "EXPN a", "HELP",
                       "XYZZY") == [503, 250, 252, 502, 214, 500]


def test_envelope_reaches_the_spool(door):
    with door.talk() as t:
        t.ehlo()
        assert t.code("MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME RET=HDRS ENVID=QQ+2B1") == 250
        assert t.code("RCPT TO:<Bob@Example.ORG> NOTIFY=SUCCESS,DELAY "
                      "ORCPT=rfc822;bob+2Bx@example.org") == 250
        assert t.code('RCPT TO:<"q q"@example.org>') == 250
        assert t.code("RCPT TO:<bob@example.org>") == 250  # again: once is enough
        assert t.code("DATA") == 354
        reply = t.say(b"Subject: \xe4\r\n\r\n..dot\r\n.")
        assert reply.startswith("250 2.0.0 ")
    s = door.stored(reply)
    assert s["from"] == "a@b.example" and s["envid"] == "QQ+1" and s["ret"] == 2 and s["body_8bit"]
    assert [r["addr"] for r in s["rcpts"]] == ["Bob@Example.ORG", '"q q"@example.org']
    assert s["rcpts"][0]["notify"] == 2 + 8 and s["rcpts"][0]["orcpt"] == "rfc822;bob+x@example.org"
    assert s["protocol"] == "ESMTP" and s["helo"] == "client.test" and s["ip"] == "127.0.0.1"
    assert door.content(reply) == b"Subject: \xe4\r\n\r\n.dot\r\n"


def test_smtputf8(door):
    with door.talk() as t:
        t.ehlo()
        assert t.code("MAIL FROM:<jörg@bücher.example>") == 553
        assert t.code("MAIL FROM:<jörg@bücher.example> SMTPUTF8") == 250
        assert t.code("RCPT TO:<büro@example.org>") == 250
        assert t.code(b"RCPT TO:<b\xfcro@example.org>") == 553
        assert t.code("DATA") == 354
        s = door.stored(t.say(b"x\r\n."))
        assert s["smtputf8"] and s["protocol"] == "UTF8SMTP"
        assert s["from"] == "jörg@bücher.example" and s["rcpts"][0]["addr"] == "büro@example.org"
        assert t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<büro@example.org>") == [250, 553]


def test_pipelining(door):
    with door.talk() as t:
        t.ehlo()
        t.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<a@example.org>\r\nRCPT TO:<x@far.example>\r\n"
               "RCPT TO:<b@example.org>\r\nDATA\r\n")
        assert [t.reply()[:3] for _ in range(5)] == ["250", "250", "550", "250", "354"]
        # The next transaction right behind the end of data: its replies come after, in order.
        t.send("x\r\n.\r\nMAIL FROM:<c@b.example>\r\nRCPT TO:<reject@example.org>\r\nDATA\r\n")
        replies = [t.reply() for _ in range(4)]
        assert [r[:3] for r in replies] == ["250", "250", "250", "354"]
        assert [r["addr"] for r in door.stored(replies[0])["rcpts"]] == ["a@example.org", "b@example.org"]
        t.send("x\r\n.\r\nQUIT\r\n")
        assert [t.reply()[:3] for _ in range(2)] == ["550", "221"]


@pytest.mark.parametrize("early", ["EHLO a\r\nMAIL FROM:<a@b.example>\r\n",
                                   "HELO a\r\nMAIL FROM:<a@b.example>\r\n",
                                   "EHLO a\r\nEHLO a\r\n"])
def test_who_does_not_wait_for_the_reply_is_cut_off(door, early):
    with door.talk() as t:
        t.send(early)
        assert t.reply().startswith("554 5.5.0")
        assert t.closed()


def test_data_sent_before_354_is_not_taken(door):
    with door.talk() as t:
        t.ehlo()
        t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<a@example.org>")
        t.send("DATA\r\nSubject: early\r\n\r\n.\r\n")
        assert t.reply().startswith("554")
        assert t.closed()


# Everything that some server somewhere takes for the end of data, and what would follow.
SMUGGLED = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r",
            b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\r\n.\r\x00\n", b"\r\r\n.\r\r\n", b"\r\n.\r\r\n",
            b"\n\r\n.\n"]


@pytest.mark.parametrize("end", SMUGGLED, ids=repr)
def test_smuggling(door, end):
    before = len(door.stored())
    inner = b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<smuggled@example.org>\r\nDATA\r\nforged\r\n"
    with door.talk() as t:
        t.ehlo()
        t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<a@example.org>", "DATA")
        t.send(b"Subject: x\r\n\r\nbody" + end + inner + b"\r\n.\r\n")
        reply = t.reply()
        bare = any(end.replace(b"\r\n", b"").count(c) for c in (b"\r", b"\n"))
        if bare:
            assert reply.startswith("550 5.5.2"), reply
        else:
            assert reply.startswith("250") and inner in door.content(reply)
        assert t.code("NOOP") == 250  # one reply, in step
    time.sleep(0.05)
    new = door.stored()[before:]
    assert len(new) == (0 if bare else 1)
    assert all(r["addr"] != "smuggled@example.org" for s in new for r in s["rcpts"])


def test_bare_line_ends_in_commands(door):
    with door.talk() as t:
        assert t.say("NOOP", end="\n").startswith("500")
        assert t.say("NO\rOP").startswith("500")
        assert t.say(b"NOOP\x00").startswith("500")
        assert t.code("NOOP") == 250


def test_chunking(door):
    with door.talk() as t:
        t.ehlo()
        t.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<a@example.org>\r\nBDAT 12\r\nSubject: x\r\n"
               "BDAT 9\r\n\r\n.\r\n.a\r\nBDAT 0 LAST\r\nNOOP\r\n")
        replies = [t.reply() for _ in range(6)]
        assert [r[:3] for r in replies] == ["250"] * 6
        assert door.content(replies[4]) == b"Subject: x\r\n\r\n.\r\n.a\r\n"
        # Unterminated last line: ends with a line end of ours.
        t.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<a@example.org>\r\nBDAT 3 LAST\r\nabc")
        assert door.content([t.reply() for _ in range(3)][2]) == b"abc\r\n"


def test_chunks_out_of_order(door):
    with door.talk() as t:
        t.ehlo()
        t.send("BDAT 10\r\nMAIL FROM:NOOP\r\n")
        assert [t.reply()[:3] for _ in range(2)] == ["503", "250"]
        t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<a@example.org>")
        t.send("BDAT 3\r\nabc")
        assert t.reply()[:3] == "250"
        assert t.codes("DATA", "MAIL FROM:<x@b.example>", "RCPT TO:<b@example.org>") == [503] * 3
        assert t.codes("RSET", "DATA") == [250, 503]
        # An error in the middle, then DATA (Postfix 2026-07-24), then BDAT again.
        t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<a@example.org>")
        t.send("BDAT 4\r\na\nb\n")
        assert t.reply()[:3] == "250"
        t.send("BDAT 2 LAST\r\n\r\n")
        assert t.reply().startswith("550 5.5.2")
        assert t.code("DATA") == 503
        t.send("BDAT 2 LAST\r\nab")
        assert t.reply()[:3] == "503"
        assert t.message().startswith("250")
    for bad in ("BDAT", "BDAT x", "BDAT -1", "BDAT 99999999999999999999", "BDAT 1 2 3"):
        with door.talk() as t:
            t.ehlo()
            assert t.say(bad)[:3] in ("501", "552")
            assert t.closed()


def test_one_byte_chunks_are_limited(tmp_path):
    with st.stand(tmp_path, {"limits": {"bdat_chunks": 100, "errors": 10}}) as s:
        with s.talk() as t:
            t.ehlo()
            t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<a@example.org>")
            replies = [t.say("BDAT 1\r\nx", end="")[:3] for _ in range(102)]
            assert replies == ["250"] * 100 + ["552", "503"]


def test_parameters(door):
    with door.talk() as t:
        t.ehlo()
        for bad, code in [("SIZE=102401", 552), ("SIZE=x", 501), ("FOO", 555), ("ENVID=a+00b", 501),
                          ("ENVID=a+0D+0Ab", 501), ("BODY=BINARYMIME", 501), ("RET=X", 501),
                          ("SIZE=1 SIZE=1", 501), ("AUTH=<>", 555), ("SMTPUTF8=1", 501)]:
            assert t.code(f"MAIL FROM:<a@b.example> {bad}") == code, bad
        assert t.code("MAIL FROM:<a@b.example>") == 250
        for bad in ("NOTIFY=NEVER,DELAY", "ORCPT=rfc822;a+00", "ORCPT=rfc822;a+0Ab", "ORCPT=x",
                    "NOTIFY="):
            assert t.code(f"RCPT TO:<a@example.org> {bad}") == 501, bad
        assert t.code("RCPT TO:<a@example.org> SIZE=1") == 555


def test_state_does_not_leak_between_transactions(door):
    with door.talk() as t:
        t.ehlo()
        for body, code in [(b"a\nb\r\n", "550"), (b"x" * 110000 + b"\r\n", "552"),
                           (b"Received: x\r\n" * 60 + b"\r\n", "554")]:
            assert t.message(body=body).startswith(code)
            assert t.codes("DATA", "RCPT TO:<a@example.org>") == [503, 503]
        for to, code in [("reject@example.org", "550"), ("defer@example.org", "451"),
                         ("full@example.org", "452"), ("fail@example.org", "451"),
                         ("garbage@example.org", "451"), ("short@example.org", "451")]:
            assert t.message(to).startswith(code), to
            assert t.codes("DATA", "RCPT TO:<a@example.org>") == [503, 503]
        assert t.message().startswith("250")


def test_sizes(door):
    head = b"Subject: x\r\n\r\n"
    with door.talk() as t:
        t.ehlo()
        for size, code in ((102400, "250"), (102401, "552")):
            body = head + b"x" * (size - len(head) - 2) + b"\r\n"
            assert len(body) == size
            assert t.message(body=body).startswith(code)
    with door.talk() as t:  # far beyond the limit the connection is closed
        t.ehlo()
        t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<a@example.org>", "DATA")
        with contextlib.suppress(OSError):
            for _ in range(400):
                t.send(b"x" * 65536 + b"\r\n")
        assert t.reply().startswith("552")
        assert t.closed()


def test_large_messages_go_through_the_spool_directory(tmp_path):
    body = b"Subject: large\r\n\r\n" + b"".join(b"%07d %s\r\n" % (i, b"x" * 60) for i in range(80000))
    with st.stand(tmp_path) as s:
        with s.talk(timeout=30) as t:
            t.ehlo()
            reply = t.message(body=body)
            assert reply.startswith("250")
            assert s.content(reply) == body
        assert list((tmp_path / "spool" / "incoming").iterdir()) == []


def test_too_many_recipients(tmp_path):
    with st.stand(tmp_path, {"limits": {"recipients": 5}}) as s, s.talk() as t:
        t.ehlo()
        t.code("MAIL FROM:<a@b.example>")
        codes = t.codes(*[f"RCPT TO:<r{i}@example.org>" for i in range(7)])
        assert codes == [250] * 5 + [452] * 2
        assert t.code("DATA") == 354
        assert len(s.stored(t.say("x\r\n."))["rcpts"]) == 5


def test_thousands_of_recipients_in_one_go(tmp_path):
    with st.stand(tmp_path, {"limits": {"recipients": 20000}}) as s, s.talk(timeout=30) as t:
        t.ehlo()
        t.send("MAIL FROM:<a@b.example>\r\n" +
               "".join(f"RCPT TO:<r{i}@example.org>\r\n" for i in range(5000)) + "DATA\r\n")
        codes = [t.reply()[:3] for _ in range(5002)]
        assert codes == ["250"] * 5001 + ["354"]
        assert len(s.stored(t.say("x\r\n."))["rcpts"]) == 5000


def test_long_lines(door):
    with door.talk() as t:
        assert t.code("EHLO " + "x" * 5000) == 500
        assert t.code("NOOP " + "x" * 2000) == 250
        t.send("N" * 300000)
        assert t.code("") == 500
        t.ehlo()
        assert t.code(f"MAIL FROM:<{'x' * 300}@b.example>") == 501


def test_other_protocols_are_cut_off(door):
    for line in ("GET / HTTP/1.1", "POST /x HTTP/1.0", "Host: gate.test", "Subject: x"):
        with door.talk() as t:
            assert t.say(line).startswith("421")
            assert t.closed()


def test_errors_and_commands_are_limited(tmp_path):
    with st.stand(tmp_path, {"limits": {"errors": 5, "commands": 30, "transactions": 3}}) as s:
        with s.talk() as t:
            assert t.codes(*["XYZZY"] * 5) == [500] * 5
            assert t.reply().startswith("421 4.7.0")
            assert t.closed()
        with s.talk() as t:
            codes = t.codes(*["NOOP"] * 31)
            assert codes == [250] * 30 + [421]
            assert t.closed()
        with s.talk() as t:
            t.ehlo()
            for _ in range(3):
                assert t.message().startswith("250")
            assert t.message().startswith("421")
            assert t.closed()


def test_slow_clients_time_out(tmp_path):
    with st.stand(tmp_path, {"limits": {"command_timeout": "1s", "data_timeout": "1s",
                                        "session_time": "3s"}}) as s:
        with s.talk() as t:
            assert t.reply().startswith("421 4.4.2")
            assert t.closed()
        with s.talk() as t:  # a byte now and then is no command
            start = time.monotonic()
            with pytest.raises(OSError):
                while time.monotonic() < start + 5:
                    t.send("N")
                    time.sleep(0.3)
            assert time.monotonic() < start + 4
        with s.talk() as t:
            t.ehlo()
            t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<a@example.org>", "DATA")
            t.send("half a message")
            assert t.reply().startswith("421")
        with s.talk() as t:
            start = time.monotonic()
            while t.code("NOOP") == 250:
                time.sleep(0.3)
                assert time.monotonic() < start + 5
            assert 2 < time.monotonic() - start < 5


def test_sessions_are_limited(tmp_path):
    with st.stand(tmp_path, {"limits": {"sessions": 4, "sessions_per_address": 2}}) as s:
        with s.talk(), s.talk():
            t = s.talk(greeting=False)
            assert t.reply().startswith("421 4.7.0")
            assert t.closed()
        s.wait_log("end=too-many-from-address")
        st.wait_for("room again", lambda: s.talk(greeting=False).reply().startswith("220"), 5)
    sub = tmp_path / "all"
    sub.mkdir()
    with st.stand(sub, {"limits": {"sessions": 2}}) as s, s.talk(), s.talk():
        t = s.talk(greeting=False)
        assert t.reply().startswith("421 4.7.0")
        assert t.closed()


def test_normalised_line_ends(tmp_path):
    with st.stand(tmp_path, {"line_endings": "normalise"}) as s, s.talk() as t:
        t.ehlo()
        reply = t.message(body=b"Subject: x\n\na\n.\nb\rc\r\n")
        assert reply.startswith("250")
        assert s.content(reply) == b"Subject: x\r\n\r\na\r\n.\r\nb c\r\n"
        assert t.say("NOOP", end="\n").startswith("250")


def test_half_closed_clients_get_their_replies(door):
    with socket.create_connection(("127.0.0.1", door.port)) as c:
        t = Talk.__new__(Talk)
        t.sock, t.rest = c, b""
        t.reply()
        t.ehlo()
        t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<late@example.org>", "DATA")
        t.send("x\r\n.\r\nQUIT\r\n")
        c.shutdown(socket.SHUT_WR)
        assert t.reply().startswith("250")
        assert t.reply().startswith("221")


def test_resets_in_every_phase_do_no_harm(door):
    import struct
    phases = ["", "EH", "EHLO x\r\n", "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<a@example.org>\r\n",
              "DATA\r\n", "half", "\r\n.\r\n"]
    for n in range(1, len(phases) + 1):
        t = door.talk()
        for text in phases[:n]:
            if text:
                t.send(text)
                time.sleep(0.005)
        t.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        t.close()
    with door.talk() as t:
        t.ehlo()
        assert t.message().startswith("250")


def test_a_client_that_does_not_read_is_not_listened_to(tmp_path):
    with st.stand(tmp_path, {"limits": {"commands": 1000000, "command_timeout": "2s"}}) as s:
        with s.talk() as t:
            t.sock.setblocking(False)
            sent, end = 0, time.monotonic() + 10
            while time.monotonic() < end:
                try:
                    sent += t.sock.send(b"NOOP\r\n" * 10000)
                except BlockingIOError:
                    time.sleep(0.05)
                except OSError:
                    break  # the deadline came
            assert time.monotonic() < end
            assert sent < 50_000_000
        s.wait_log("end=timeout")
