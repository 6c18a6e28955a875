"""What becomes of accepted mail: retries, reports, routes, Maildir, LMTP, TLS."""
import email
import email.policy
import subprocess

import harness
from harness import message


def report_of(data):
    return email.message_from_bytes(data, policy=email.policy.SMTP)


def test_a_permanent_failure_is_reported_to_the_sender(tmp_path, sink):
    routes = tmp_path / "routes"
    back = harness.Sink()
    routes.write_text(f"example.net smtp:[127.0.0.1]:{back.port}\n")
    with harness.gateway(tmp_path, next_hop=sink.port, settings={"routes": {"file": str(routes)}}) as g:
        sink.rcpt_reply = lambda a: b"550 5.1.1 no such user" if a.startswith("nobody") else None
        assert g.send(message(subject="to nobody"),
                      to=["nobody@example.org", "bob@example.org"])[0] == 250
        assert sink.wait(1)[0][1] == ["bob@example.org"]
        sender, rcpts, data = back.wait(1)[0]
        assert (sender, rcpts) == ("", ["alice@example.net"])
        m = report_of(data)
        assert m.get_content_type() == "multipart/report"
        assert m.get_param("report-type") == "delivery-status"
        parts = list(m.iter_parts())
        status = parts[1].as_string()
        assert "Action: failed" in status and "5.1.1" in status and "nobody@example.org" in status
        assert "bob@example.org" not in status
        assert "to nobody" in parts[2].as_string()
    back.close()


def test_no_report_about_a_report(tmp_path, sink):
    with harness.gateway(tmp_path, next_hop=sink.port) as g:
        sink.rcpt_reply = lambda a: b"550 5.1.1 no such user"
        assert g.send(message(subject="bounce"), sender="")[0] == 250
        harness.wait_for("the end of it", lambda: not g.run("queue", "list", "--json").stdout.strip()
                         and sink.connections)
        assert not sink.messages


def test_a_temporary_failure_is_tried_again(gate, sink):
    answers = [b"450 4.2.0 busy", b"451 4.3.0 still busy"]
    sink.rcpt_reply = lambda a: answers.pop(0) if answers else None
    assert gate.send(message(subject="patience"))[0] == 250
    assert b"patience" in sink.wait(1)[0][2] and not answers


def test_next_hop_down_and_up_again(tmp_path, sink):
    sink.close()
    with harness.gateway(tmp_path, next_hop=sink.port) as g:
        for i in range(5):
            assert g.send(message(subject=f"while down {i}"))[0] == 250
        sink.reopen()
        sink.wait(5)


def test_maildir(tmp_path):
    with harness.gateway(tmp_path) as g:
        data = message(subject="into a file")
        assert g.send(data)[0] == 250
        new = g.dir / "mail"
        files = harness.wait_for("a file", lambda: [f for f in new.rglob("new/*") if f.is_file()])
        got = files[0].read_bytes()
        assert b"into a file" in got and got.replace(b"\r\n", b"\n").endswith(
            data.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1])
        assert b"Return-Path: <alice@example.net>" in got
        assert not list(new.rglob("tmp/*"))


def test_starttls_to_the_next_hop_and_from_clients(tmp_path, sink):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=gate.test", "-keyout", str(key), "-out", str(cert)],
                   check=True, capture_output=True)
    tls = {"tls": {"certificate": str(cert), "key": str(key)}, "queue": {"tls": "may"}}
    # Two gateways: the first delivers to the second over STARTTLS, which delivers to the sink.
    with harness.gateway(tmp_path / "second", next_hop=sink.port, settings=tls) as second, \
            harness.gateway(tmp_path / "first", next_hop=second.port, settings=tls) as first:
        with first.smtp() as s:
            s.starttls()
            s.ehlo()
            assert "starttls" not in s.esmtp_features
            s.sendmail("alice@example.net", ["bob@example.org"], message(subject="in secret"))
        data = sink.wait(1)[0][2]
        received = [f for f in report_of(data).get_all("Received")]
        assert len(received) == 2 and all("ESMTPS" in r and "TLS" in r for r in received), received


def test_twenty_megabytes(gate, sink):
    body = ("0123456789abcdef" * 4 + "\r\n") * 310000
    assert gate.send(message(subject="large", body=body))[0] == 250
    data = sink.wait(1, timeout=60)[0][2]
    assert data.endswith(body.encode())


def test_too_large_is_refused_early_and_late(tmp_path, sink):
    with harness.gateway(tmp_path, next_hop=sink.port,
                         settings={"limits": {"message_size": "100KiB"}}) as g:
        with g.smtp() as s:
            s.ehlo()
            assert s.mail("a@example.net", ["SIZE=200000"])[0] == 552
            assert s.mail("a@example.net")[0] == 250
            assert s.rcpt("bob@example.org")[0] == 250
            assert s.data(message(body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 2000))[0] == 552
            assert s.noop()[0] == 250
        assert g.send(message(subject="small"))[0] == 250
        sink.wait(1)
