"""Who may send to whom: relaying, maps, recipients, authentication, TLS, PROXY and XCLIENT."""
import base64
import smtplib
import socket
import ssl
import struct
import subprocess
import time

import pytest

import stand as st

OUTSIDE = {"relay": {"networks": []}}


# ---- no open relay ----

# Target T = user@far.example; our host gate.test; our domain example.org; our address 127.0.0.1.
SENDERS = ["<u@outside.example>", "<u>", "<>", "<u@gate.test>", "<u@[127.0.0.1]>", "<u@example.org>",
           "<u@localhost>", "<far.example!u>"]
FORMS = [
    "<user@far.example>", "<user%far.example@gate.test>", "<user%far.example@[127.0.0.1]>",
    '<"user@far.example">', '<"user%far.example">', "<user@far.example@gate.test>",
    '<"user@far.example"@gate.test>', "<user@far.example@[127.0.0.1]>",
    "<@gate.test:user@far.example>", "<@[127.0.0.1]:user@far.example>", "<far.example!user>",
    "<far.example!user@gate.test>", "<far.example!user@[127.0.0.1]>",
    # our own domain as the host that would have to route on
    "<user%far.example@example.org>", '<"user@far.example"@example.org>',
    "<far.example!user@example.org>", "<@example.org:user@far.example>",
    "<user%far.example@EXAMPLE.Org>", '<"user%far.example"@example.org>',
    '<"far.example!user"@example.org>', '<"us\\er@far.example"@example.org>',
    "<user%far.example@localhost>", "<user@far.example@localhost>", "<user@localhost>",
    "<user@gate.test>", "<user@[127.0.0.1]>", "<user@[IPv6:::1]>",
    # sloppy syntax
    "user@far.example", " user@far.example", "<user@far.example >", "<user@far.example.>",
    "<user=40far.example>", "<user@far.example>>", "<<user@far.example>>", "<user@far.example",
    "<user@far.example>,<a@example.org>", "<user@far.example>a@example.org",
    "<user@example.org@far.example>", "<user@far.example\x0b@example.org>",
    # look-alikes of our domain
    "<user@example.org.far.example>", "<user@notexample.org>", "<user@example.orgx>",
    "<user@xn--exmple-cua.org>",
]


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with st.stand(tmp_path_factory.mktemp("relay"), OUTSIDE | {"limits": {
            "errors": 10000, "commands": 10000, "transactions": 1000}}) as s:
        yield s


def attempts(talk):
    """Every sender with every form: the recipients that were taken."""
    taken = []
    for sender in SENDERS:
        accepted = talk.code(f"MAIL FROM:{sender}") == 250
        for form in FORMS:
            code = talk.code(f"RCPT TO:{form}")
            if code < 500:
                taken.append((sender, form, code))
            assert accepted or code in (500, 503)
        if accepted:
            assert talk.code("DATA") == 503
        talk.code("RSET")
    return taken


def test_no_open_relay(door):
    with door.talk() as t:
        t.ehlo()
        assert attempts(t) == []
    with door.talk() as t:
        t.say("HELO x")
        assert attempts(t) == []
    assert door.stored() == []


def test_no_open_relay_with_utf8(door):
    with door.talk() as t:
        t.ehlo()
        assert t.code("MAIL FROM:<u@outside.example> SMTPUTF8") == 250
        for form in ("<user@exаmple.org>", "<user@far.exämple>", "<user％far.example@example.org>",
                     "<user@example.org。far.example>"):
            code = t.code(f"RCPT TO:{form}")
            # A full-width percent sign is an ordinary character of a local part of ours.
            assert (code >= 500) == (not form.endswith("@example.org>") or "а" in form), form


def test_spoofed_trust_changes_nothing(door):
    with door.talk() as t:
        t.ehlo()
        assert t.code("XCLIENT ADDR=127.0.0.1 LOGIN=root") == 550
        assert t.code("AUTH PLAIN AHJvb3QAcm9vdA==") == 502
        assert attempts(t) == []
    with door.talk() as t:
        assert t.code("PROXY TCP4 127.0.0.1 127.0.0.1 1 25") == 500
        t.ehlo()
        assert attempts(t) == []


def test_our_recipients_are_taken(door):
    with door.talk() as t:
        t.ehlo()
        assert t.codes("MAIL FROM:<u@outside.example>", "RCPT TO:<user@example.org>",
                       "RCPT TO:<User@EXAMPLE.ORG>", "RCPT TO:<@relay.example:user2@example.org>",
                       "RCPT TO:<postmaster>", "RCPT TO:<POSTMASTER>") == [250] * 6
        t.code("DATA")
        s = door.stored(t.say("x\r\n."))
        assert [r["addr"] for r in s["rcpts"]] == ["user@example.org", "user2@example.org",
                                                  "postmaster@gate.test"]


def test_relay_networks_may_send_anywhere(tmp_path):
    with st.stand(tmp_path, {"relay": {"networks": ["127.0.0.0/8"]}}) as s, s.talk() as t:
        t.ehlo()
        assert t.message("user@far.example").startswith("250")
        assert t.message("user%far.example@example.org").startswith("250")
        assert t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<user>") == [250, 550]


# ---- maps ----

def test_access_map(tmp_path):
    access = tmp_path / "access"
    access.write_text("# policy\nFrom:bad.example REJECT\nFrom:drop.example DISCARD\n"
                      'From:err.example ERROR:5.7.1:"550 not you"\nTo:gone@example.org 550 left us\n'
                      "To:other.example RELAY\nTo:hole@example.org DISCARD\nthis is wrong\n"
                      "Connect:192.0.2.0/24 REJECT\n")
    with st.stand(tmp_path, {"access_file": str(access)}) as s:
        s.wait_log(r"bad-map-line.*access:8: ")
        with s.talk() as t:
            t.ehlo()
            assert t.say("MAIL FROM:<x@bad.example>") == "550 5.7.1 sender denied"
            assert t.say("MAIL FROM:<x@sub.err.example>") == "550 5.7.1 not you"
            reply = t.message(sender="x@drop.example")
            assert reply.startswith("250")
            stored = s.stored(reply)
            assert stored["groups"][0]["outcome"] == "discard"
            assert stored["groups"][0]["reason"] == "access map: sender"
            assert t.code("MAIL FROM:<a@b.example>") == 250
            assert t.say("RCPT TO:<gone@example.org>") == "550 5.7.1 left us"
            assert t.codes("RCPT TO:<a@other.example>", "RCPT TO:<hole@example.org>", "DATA") \
                == [250, 250, 354]
            stored = s.stored(t.say("x\r\n."))
            assert [r["addr"] for r in stored["rcpts"]] == ["a@other.example"]
            reply = t.message("hole@example.org")
            assert s.stored(reply)["groups"][0]["reason"] == "access map: recipient"
        # Changed while running: new rules hold, and a mistake does not undo the rest.
        access.write_text("From:bad.example OK\nnonsense here\nConnect:127 REJECT\n")
        s.wait_log(r"map-read map=access_file")
        with s.talk(greeting=False) as t:
            assert t.reply().startswith("554 5.7.1")
            assert t.closed()
        access.write_text('Connect:127.0.0.1 ERROR:"450 come later"\nConnect:127 REJECT\n')
        st.wait_for("the new rule", lambda: s.talk(greeting=False).reply() == "450 4.7.1 come later")
        access.write_text("Connect:127 RELAY\n")
        st.wait_for("the new rule", lambda: s.talk(greeting=False).reply().startswith("220"))
        with s.talk() as t:
            t.ehlo()
            assert t.message("user@far.example").startswith("250")


def test_access_map_quarantine(tmp_path):
    """What would have gone out is held, with the map's reason; the sender sees nothing of it."""
    access = tmp_path / "access"
    access.write_text("From:odd.example QUARANTINE:look at it\n"
                      "To:probe@example.org QUARANTINE:by hand\n")
    with st.stand(tmp_path, {"access_file": str(access)}) as s, s.talk() as t:
        t.ehlo()
        for sender, rcpt, reason in [("x@odd.example", "user@example.org", "look at it"),
                                     ("x@b.example", "probe@example.org", "by hand")]:
            reply = t.message(rcpt, sender=sender)
            assert reply.startswith("250"), reply
            group = s.stored(reply)["groups"][0]
            assert (group["outcome"], group["reason"]) == ("hold", "access-map"), group
            assert group["detail"] == reason
        reply = t.message("user@example.org", sender="x@b.example")
        assert s.stored(reply)["groups"][0]["outcome"] == "accept"


def test_access_map_friends_and_haters(tmp_path):
    access = tmp_path / "access"
    access.write_text("From:bad.example ERROR:5.7.1:550 no thanks\nSpam:abuse@ FRIEND\n"
                      "Spam:careful@example.org HATER\n")
    with st.stand(tmp_path, {"access_file": str(access), "access_delay": "friend"}) as s, s.talk() as t:
        t.ehlo()
        assert t.codes("MAIL FROM:<x@bad.example>", "RCPT TO:<user@example.org>",
                       "RCPT TO:<abuse@example.org>") == [250, 550, 250]
        assert t.say("RCPT TO:<careful@example.org>") == "550 5.7.1 no thanks"
        access.write_text("Connect:127 REJECT\nSpam:abuse@ FRIEND\n")
        s.wait_log(r"map-read map=access_file")
    (tmp_path / "hater").mkdir()
    with st.stand(tmp_path / "hater", {"access_file": str(access), "access_delay": "hater"}) as s:
        access.write_text("Connect:127 REJECT\nSpam:careful@example.org HATER\n")
        s.wait_log(r"map-read map=access_file")
        with s.talk() as t:  # greeted: the refusal comes with the recipient
            t.ehlo()
            assert t.codes("MAIL FROM:<x@y.example>", "RCPT TO:<user@example.org>",
                           "RCPT TO:<careful@example.org>") == [250, 250, 550]


def test_a_missing_access_map_defers(tmp_path):
    with st.stand(tmp_path, {"access_file": str(tmp_path / "none")}) as s, s.talk() as t:
        t.ehlo()
        assert t.say("MAIL FROM:<a@b.example>").startswith("451 4.3.5")
        (tmp_path / "none").write_text("From:bad.example REJECT\n")
        st.wait_for("the map", lambda: t.code("MAIL FROM:<a@b.example>") == 250)


def test_relay_domains_from_a_file(tmp_path):
    domains = tmp_path / "domains"
    domains.write_text("file.example\n.below.example\n")
    with st.stand(tmp_path, {"relay": {"domains_file": str(domains)},
                             "limits": {"errors": 10000}}) as s, s.talk() as t:
        t.ehlo()
        t.code("MAIL FROM:<a@b.example>")
        assert t.codes("RCPT TO:<a@file.example>", "RCPT TO:<a@x.below.example>",
                       "RCPT TO:<a@below.example>", "RCPT TO:<a@new.example>",
                       "RCPT TO:<a@example.org>") == [250, 250, 550, 550, 250]
        domains.write_text("new.example\n")
        st.wait_for("the new domain", lambda: t.code("RCPT TO:<b@new.example>") == 250)
        assert t.code("RCPT TO:<b@file.example>") == 550


def test_recipients_from_a_list(tmp_path):
    known = tmp_path / "known"
    known.write_text("bob@example.org\n@catchall.example\nold@example.org ERROR:550 5.1.6 moved\n")
    with st.stand(tmp_path, {"recipients": {"check": "list", "file": str(known)}}) as s, s.talk() as t:
        t.ehlo()
        t.code("MAIL FROM:<a@b.example>")
        assert t.codes("RCPT TO:<bob@example.org>", "RCPT TO:<Bob+x@example.org>",
                       "RCPT TO:<any@catchall.example>") == [250] * 3
        assert t.say("RCPT TO:<eve@example.org>") == "550 5.1.1 no such recipient"
        assert t.say("RCPT TO:<old@example.org>") == "550 5.1.6 moved"


def callouts(s):
    path = s.out / "callouts"
    return path.read_text().splitlines() if path.exists() else []


def test_recipients_by_callout(tmp_path):
    with st.stand(tmp_path, {"recipients": {"check": "callout", "callout_timeout": "1s",
                                            "callout_negative": "2s"}}) as s, s.talk(timeout=20) as t:
        t.ehlo()
        t.code("MAIL FROM:<a@b.example>")
        # Pipelined, so that answers that come later must keep their order.
        t.send("RCPT TO:<bob@example.org>\r\nRCPT TO:<unknown@example.org>\r\n"
               "RCPT TO:<temp@example.org>\r\nRCPT TO:<bob@example.org>\r\nRCPT TO:<Carl@example.org>\r\n")
        assert [t.reply()[:9] for _ in range(5)] == ["250 2.1.5", "550 5.1.1", "450 4.1.1",
                                                     "250 2.1.5", "250 2.1.5"]
        t.codes("RSET", "MAIL FROM:<a@b.example>", "RCPT TO:<BOB@example.org>",
                "RCPT TO:<unknown@example.org>", "RCPT TO:<temp@example.org>")
        asked = callouts(s)
        assert asked.count("bob@example.org") == 1 and asked.count("unknown@example.org") == 1
        assert asked.count("temp@example.org") == 2  # "later" is not remembered
        assert sum(a.startswith("gatehouse-probe-") for a in asked) == 1
        # A domain that takes everybody is found out, and not asked about others.
        assert t.code("RCPT TO:<one@catchall.example>") == 250
        st.wait_for("the probe", lambda: any(a.endswith("@catchall.example") and "probe" in a
                                             for a in callouts(s)))
        time.sleep(0.1)
        assert t.code("RCPT TO:<two@catchall.example>") == 250
        assert "two@catchall.example" not in callouts(s)
        # "No" is forgotten after callout_negative.
        time.sleep(2)
        t.code("RCPT TO:<unknown@example.org>")
        assert callouts(s).count("unknown@example.org") == 2
        # A spool that says nothing.
        assert t.say("RCPT TO:<silent@example.org>").startswith("450 4.1.1")


# ---- TLS ----

def test_starttls(tmp_path):
    with st.stand(tmp_path, {"tls": st.certificate(tmp_path),
                             "listeners": [{"name": "mx", "tls": "starttls"}]}) as s, s.talk() as t:
        assert "STARTTLS" in t.ehlo()
        assert t.code("STARTTLS x") == 501
        t.starttls()
        assert t.code("MAIL FROM:<a@b.example>") == 503
        assert "STARTTLS" not in t.ehlo()
        assert t.code("STARTTLS") == 503
        stored = s.stored(t.message())
        assert stored["protocol"] == "ESMTPS" and stored["tls"] == "TLSv1.3"
        assert t.message(body=b"x" * 80 + b"\r\n" * 20000).startswith("250")
        assert t.code("QUIT") == 221


def test_plaintext_before_the_handshake_is_dropped(tmp_path):
    with st.stand(tmp_path, {"tls": st.certificate(tmp_path),
                             "listeners": [{"name": "mx", "tls": "starttls"}]}) as s, s.talk() as t:
        t.ehlo()
        t.send("STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@b.example>\r\n")
        assert t.reply().startswith("220")
        assert t.rest == b""
        t.sock = st.no_verify().wrap_socket(t.sock)
        t.ehlo()
        assert t.code("RCPT TO:<a@example.org>") == 503
        assert s.stored(t.message())["helo"] == "client.test"
        s.wait_log(r"plaintext-before-tls dropped=39")


def test_junk_instead_of_a_handshake(tmp_path):
    with st.stand(tmp_path, {"tls": st.certificate(tmp_path),
                             "listeners": [{"name": "mx", "tls": "starttls"}]}) as s, s.talk() as t:
        t.ehlo()
        assert t.code("STARTTLS") == 220
        t.send("EHLO x\r\n")
        assert t.closed()
        s.wait_log(r'end="tls: ')


def test_handshakes_that_never_end(tmp_path):
    listeners = [{"name": "mx", "tls": "starttls"}, {"name": "smtps", "tls": "implicit"}]
    with st.stand(tmp_path, {"tls": st.certificate(tmp_path), "listeners": listeners,
                             "limits": {"command_timeout": "1s"}}) as s:
        with s.talk() as t:
            t.ehlo()
            assert t.code("STARTTLS") == 220
            t.send(b"\x16\x03\x01")
            assert t.closed()
        with s.talk("smtps", greeting=False) as t:
            t.send(b"\x16\x03\x01")
            assert t.closed()
        s.wait_log("(?s)end=timeout.*end=timeout")


def test_required_and_implicit_tls(tmp_path):
    listeners = [{"name": "mx", "tls": "starttls", "require_tls": True},
                 {"name": "smtps", "tls": "implicit"}]
    with st.stand(tmp_path, {"tls": st.certificate(tmp_path), "listeners": listeners}) as s:
        with s.talk() as t:
            assert t.code("HELO x") == 530
            t.ehlo()
            assert t.codes("MAIL FROM:<a@b.example>", "VRFY x", "NOOP") == [530, 530, 250]
            t.send("BDAT 3 LAST\r\nabc")
            assert t.reply().startswith("530")
            t.starttls()
            t.ehlo()
            assert t.message().startswith("250")
        with s.talk("smtps", tls=st.no_verify()) as t:
            assert "STARTTLS" not in t.ehlo()
            assert s.stored(t.message())["protocol"] == "ESMTPS"


def test_tls_versions_and_tickets(tmp_path):
    with st.stand(tmp_path, {"tls": st.certificate(tmp_path) | {"min_version": "1.3"},
                             "listeners": [{"name": "mx", "tls": "implicit"},
                                           {"name": "other", "tls": "implicit"}]}) as s:
        old = st.no_verify()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            s.talk(tls=old)
        with s.talk(tls=st.no_verify()) as t:
            t.ehlo()
            assert t.sock.session is None or not t.sock.session.has_ticket


def test_a_renewed_certificate_is_served_without_restart(tmp_path):
    files = st.certificate(tmp_path, "old.test")
    with st.stand(tmp_path, {"tls": files, "listeners": [{"name": "mx", "tls": "implicit"}]}) as s:
        def served():
            with s.talk(tls=st.no_verify()) as t:
                return t.sock.getpeercert(True)

        def on_disk():
            return ssl.PEM_cert_to_DER_cert((tmp_path / "cert.pem").read_text())
        old = on_disk()
        assert served() == old
        (tmp_path / "cert.pem").write_text("not a certificate")
        s.wait_log(r"certificate-not-renewed .*cert\.pem", 15)
        assert served() == old  # what was in force stays
        st.certificate(tmp_path, "new.test")
        st.wait_for("the new certificate", lambda: served() == on_disk(), 15, 0.2)
        assert on_disk() != old


# ---- authentication ----

def users_file(tmp_path):
    path = tmp_path / "users"
    sha = subprocess.run(["openssl", "passwd", "-6", "-salt", "abcdefgh", "secret"],
                         capture_output=True, text=True, check=True).stdout.strip()
    path.write_text(f"# who\nanna:{sha}\nweak:abNANd1rDfiNc\n")
    return path


def submission(tmp_path, auth, **listener):
    return {"auth": auth, "relay": {"networks": []}, "limits": {"errors": 100, "commands": 100000},
            "listeners": [{"name": "mx"}, {"name": "sub", "profile": "submission", **listener}]}


def plain(user, password, authzid=""):
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode()).decode()


def test_submission_with_a_users_file(tmp_path):
    auth = {"users_file": str(users_file(tmp_path)), "plaintext": True}
    with st.stand(tmp_path, submission(tmp_path, auth)) as s:
        with s.talk("sub", timeout=30) as t:
            assert "AUTH PLAIN LOGIN" in t.ehlo()
            assert t.codes("MAIL FROM:<a@b.example>", "AUTH CRAM-MD5") == [530, 504]
            for bad in (plain("anna", "wrong"), plain("nobody", "secret"), plain("weak", "secret")):
                assert t.code(f"AUTH PLAIN {bad}") == 535
            for junk in ("!", plain("", ""), plain("anna", "secret", "root"), "A" * 1900, "="):
                assert t.code(f"AUTH PLAIN {junk}") == 501, junk
            assert t.codes("MAIL FROM:<a@b.example>", "AUTH PLAIN", "*") == [530, 334, 501]
            assert t.code(f"AUTH PLAIN {plain('anna', 'secret')}") == 235
            assert t.code(f"AUTH PLAIN {plain('anna', 'secret')}") == 503
            stored = s.stored(t.message("user@far.example"))
            assert stored["user"] == "anna" and stored["protocol"] == "ESMTPA"
        with s.talk("sub", timeout=30) as t:
            t.ehlo()
            assert t.say("AUTH LOGIN") == "334 VXNlcm5hbWU6"
            assert t.say(base64.b64encode(b"anna").decode()) == "334 UGFzc3dvcmQ6"
            assert t.code(base64.b64encode(b"secret").decode()) == 235
        with s.talk() as t:  # not where mail comes in from strangers
            assert "AUTH" not in t.ehlo()
            assert t.code(f"AUTH PLAIN {plain('anna', 'secret')}") == 502
        assert "secret" not in s.log_text()


def test_failed_authentication_does_not_open_the_relay(tmp_path):
    auth = {"users_file": str(users_file(tmp_path)), "plaintext": True}
    settings = submission(tmp_path, auth, require_auth=False) | {
        "limits": {"errors": 10000, "commands": 10000, "transactions": 1000}}
    with st.stand(tmp_path, settings) as s, s.talk("sub", timeout=30) as t:
        t.ehlo()
        assert t.code(f"AUTH PLAIN {plain('anna', 'wrong')}") == 535
        assert attempts(t) == []


def test_passwords_need_encryption(tmp_path):
    auth = {"users_file": str(users_file(tmp_path))}
    settings = submission(tmp_path, auth, tls="starttls") | {"tls": st.certificate(tmp_path)}
    with st.stand(tmp_path, settings) as s, s.talk("sub", timeout=30) as t:
        assert "AUTH" not in t.ehlo()
        assert t.code(f"AUTH PLAIN {plain('anna', 'secret')}") == 538
        t.starttls()
        assert "AUTH PLAIN LOGIN" in t.ehlo()
        assert t.code(f"AUTH PLAIN {plain('anna', 'secret')}") == 235
        assert s.stored(t.message("user@far.example"))["protocol"] == "ESMTPSA"


def test_a_slow_hash_does_not_stop_the_door(tmp_path):
    path = tmp_path / "users"
    sha = subprocess.run(["perl", "-e", 'print crypt("secret", q($6$rounds=3000000$abcdefgh$))'],
                         capture_output=True, text=True, check=True).stdout
    path.write_text(f"anna:{sha}\n")
    auth = {"users_file": str(path), "plaintext": True}
    with st.stand(tmp_path, submission(tmp_path, auth)) as s:
        with s.talk("sub", timeout=60) as slow, s.talk() as quick:
            slow.ehlo()
            quick.ehlo()
            slow.send(f"AUTH PLAIN {plain('anna', 'secret')}\r\nNOOP\r\n"[:-6])
            worst, began = 0, time.monotonic()
            slow.sock.setblocking(False)
            answer = b""
            while not answer:
                start = time.monotonic()
                assert quick.code("NOOP") == 250
                worst = max(worst, time.monotonic() - start)
                try:
                    answer = slow.sock.recv(100)
                except BlockingIOError:
                    time.sleep(0.01)
            assert answer.startswith(b"235")
            assert worst < (time.monotonic() - began) / 3
        with s.talk("sub", timeout=60) as t:  # gone before the answer
            t.ehlo()
            t.send(f"AUTH PLAIN {plain('anna', 'secret')}\r\n")
            t.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with s.talk() as t:
            t.ehlo()
            assert t.message().startswith("250")


@pytest.fixture
def dovecot(tmp_path):
    """A real Dovecot, of which only the auth service runs."""
    base = tmp_path / "dovecot"
    base.mkdir()
    (base / "passwd").write_text("anna:{PLAIN}secret\n")
    user = subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
    group = subprocess.run(["id", "-gn"], capture_output=True, text=True).stdout.strip()
    (base / "dovecot.conf").write_text(f"""
base_dir = {base}/run
state_dir = {base}
log_path = {base}/log
protocols =
ssl = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
auth_mechanisms = plain login
disable_plaintext_auth = no
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = {base}/passwd
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/tmp
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service auth {{
  unix_listener auth-gate {{
    mode = 0666
  }}
}}
""")
    process = subprocess.Popen(["dovecot", "-F", "-c", str(base / "dovecot.conf")])
    socket_path = base / "run" / "auth-gate"
    try:
        st.wait_for("dovecot's socket", lambda: socket_path.exists() or process.poll(), 20)
        assert process.poll() is None, (base / "log").read_text()
        yield socket_path
    finally:
        process.terminate()
        process.wait()


def test_submission_with_dovecot(tmp_path, dovecot):
    auth = {"dovecot_socket": str(dovecot), "plaintext": True}
    with st.stand(tmp_path, submission(tmp_path, auth)) as s, s.talk("sub", timeout=30) as t:
        t.ehlo()
        assert t.code(f"AUTH PLAIN {plain('anna', 'wrong')}") == 535
        assert t.code(f"AUTH PLAIN {plain('anna', 'secret')}") == 235
        assert s.stored(t.message("user@far.example"))["user"] == "anna"


def test_dovecot_out_of_reach(tmp_path):
    auth = {"dovecot_socket": str(tmp_path / "nobody"), "plaintext": True}
    with st.stand(tmp_path, submission(tmp_path, auth)) as s, s.talk("sub") as t:
        t.ehlo()
        assert t.code(f"AUTH PLAIN {plain('anna', 'secret')}") == 454
        assert t.code("MAIL FROM:<a@b.example>") == 530


# ---- PROXY and XCLIENT ----

def v2(ip, port):
    return (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton(ip) + b"\x7f\0\0\1"
            + struct.pack("!HH", port, 25))


def test_proxy_protocol(tmp_path):
    access = tmp_path / "access"
    access.write_text("Connect:192.0.2.66 REJECT\n")
    settings = {"listeners": [{"name": "mx", "proxy_from": ["127.0.0.0/8"]}],
                "access_file": str(access), "limits": {"command_timeout": "2s",
                                                       "sessions_per_address": 2}}
    with st.stand(tmp_path, settings) as s:
        for header in (b"PROXY TCP4 192.0.2.9 127.0.0.1 4711 25\r\n", v2("192.0.2.9", 4711)):
            for step in (1000, 1):
                with s.talk(greeting=False) as t:
                    for i in range(0, len(header), step):
                        t.send(header[i:i + step])
                        time.sleep(0.0005)
                    assert t.reply().startswith("220")
                    t.ehlo()
                    assert s.stored(t.message())["ip"] == "192.0.2.9"
        with s.talk(greeting=False) as t:  # a health check
            t.send(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")
            assert t.reply().startswith("220")
        with s.talk(greeting=False) as t:
            t.send("PROXY TCP4 192.0.2.66 127.0.0.1 4711 25\r\n")
            assert t.reply().startswith("554")
        for bad in (b"EHLO x\r\n", b"PROXY TCP4 x y 1 2\r\n", v2("192.0.2.9", 1)[:12] + b"\x21\x11\0\x01x",
                    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", b"\r\n\r\n\0\r\nQUIX"):
            with s.talk(greeting=False) as t:
                t.send(bad)
                assert t.closed()
        with s.talk(greeting=False) as t:  # nothing at all
            assert t.closed()
        # The limit counts the real client, not the proxy.
        open_talks = []
        for n in range(4):
            t = s.talk(greeting=False)
            t.send(f"PROXY TCP4 198.51.100.{n // 2} 127.0.0.1 1 25\r\n")
            assert t.reply().startswith("220")
            open_talks.append(t)
        with s.talk(greeting=False) as t:
            t.send("PROXY TCP4 198.51.100.0 127.0.0.1 1 25\r\n")
            assert t.reply().startswith("421")
        for t in open_talks:
            t.close()


def test_proxy_in_front_of_implicit_tls(tmp_path):
    settings = {"tls": st.certificate(tmp_path),
                "listeners": [{"name": "mx", "tls": "implicit", "proxy_from": ["127.0.0.1"]}]}
    with st.stand(tmp_path, settings) as s:
        t = s.talk(greeting=False)
        t.send(v2("192.0.2.9", 4711))
        t.sock = st.no_verify().wrap_socket(t.sock)
        assert t.reply().startswith("220")
        t.ehlo()
        stored = s.stored(t.message())
        assert stored["ip"] == "192.0.2.9" and stored["protocol"] == "ESMTPS"
        # Header and ClientHello in one packet.
        a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = st.no_verify().wrap_bio(a, b)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        raw = s.talk(greeting=False)
        raw.send(v2("192.0.2.10", 1) + b.read())
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                a.write(raw.sock.recv(65536))
        raw.send(b.read())
        while True:
            try:
                assert tls.read(4096).startswith(b"220")
                break
            except ssl.SSLWantReadError:
                a.write(raw.sock.recv(65536))


def test_xclient(tmp_path):
    settings = {"listeners": [{"name": "mx", "xclient_from": ["127.0.0.1"]}],
                "relay": {"networks": ["192.0.2.77"]}}
    with st.stand(tmp_path, settings) as s, s.talk() as t:
        assert "XCLIENT NAME ADDR PORT" in t.ehlo()
        assert t.code("XCLIENT FOO=bar") == 501
        assert t.code("XCLIENT ADDR=192.0.2.9 NAME=client.example HELO=helo.example") == 220
        assert t.code("MAIL FROM:<a@b.example>") == 503
        t.ehlo()
        stored = s.stored(t.message())
        assert stored["ip"] == "192.0.2.9" and stored["helo"] == "client.test"
        assert t.codes("MAIL FROM:<a@b.example>", "RCPT TO:<x@far.example>", "RSET") == [250, 550, 250]
        assert t.code("XCLIENT ADDR=192.0.2.77") == 220  # what it may do follows its new address
        t.ehlo()
        assert t.message("x@far.example").startswith("250")


# ---- foreign senders ----

def test_smtplib(door):
    with smtplib.SMTP("127.0.0.1", door.port) as c:
        assert c.sendmail("a@b.example", ["x@example.org", "y@example.org"],
                          "Subject: smtplib\r\n\r\n.\r\n..\r\n") == {}
        with pytest.raises(smtplib.SMTPDataError) as e:
            c.sendmail("a@b.example", ["reject@example.org"], "Subject: x\r\n\r\n")
        assert e.value.smtp_code == 550
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            c.sendmail("a@b.example", ["x@far.example"], "Subject: x\r\n\r\n")


def test_swaks(tmp_path):
    auth = {"users_file": str(users_file(tmp_path))}
    settings = submission(tmp_path, auth, tls="starttls") | {"tls": st.certificate(tmp_path)}
    with st.stand(tmp_path, settings) as s:
        r = subprocess.run(["swaks", "--server", f"127.0.0.1:{s.ports['sub']}", "--tls", "--auth",
                            "PLAIN", "--auth-user", "anna", "--auth-password", "secret", "--from",
                            "a@b.example", "--to", "x@far.example", "--helo", "swaks.test"],
                           capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stdout + r.stderr
        stored = s.stored()[-1]
        assert stored["user"] == "anna" and stored["protocol"] == "ESMTPSA"
        r = subprocess.run(["swaks", "--server", f"127.0.0.1:{s.port}", "--from", "a@b.example",
                            "--to", "reject@example.org", "--pipeline"],
                           capture_output=True, text=True, timeout=60)
        assert r.returncode != 0 and "550 5.7.1" in r.stdout
