"""MTA-STS (RFC 8461): policies over HTTPS, in front of a real Postfix with TLS. Port 443 on loopback: needs root."""
import contextlib
import json
import socketserver
import ssl
import threading

import pytest

import dns_server
import harness
import postfix
import signed
from harness import message

WEB = "127.0.0.77"


class Web(threading.Thread):
    """Policies by host name. Who asked is in `asked`."""

    def __init__(self, cert, key, policies):
        super().__init__(daemon=True)
        self.asked, web = [], self
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert, key)

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError), tls.wrap_socket(self.request, server_side=True) as s:
                    request = b""
                    while b"\r\n\r\n" not in request:
                        request += s.recv(4096) or b"\r\n\r\n"
                    host = request.lower().split(b"host: ")[1].split(b"\r\n")[0].decode()
                    web.asked.append(host)
                    kind, text = policies.get(host, (None, ""))
                    status = "200 OK" if kind else "404 Not Found"
                    if request.split()[1] != b"/.well-known/mta-sts.txt":
                        status = "400 Bad Request"
                    s.sendall(f"HTTP/1.1 {status}\r\nContent-Type: {kind or 'text/plain'}\r\n"
                              f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
        try:
            self.server = Server((WEB, 443), Handler)
        except PermissionError:
            pytest.skip("port 443 needs root")
        self.start()

    def run(self):
        self.server.serve_forever(0.05)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def policy(mode, mx, age=86400):
    return "text/plain", f"version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: {age}\r\n"


POLICIES = {
    "good": policy("enforce", "mx.good.zone"),
    "wild": policy("enforce", "*.wild.zone"),
    "testing": policy("testing", "mx.elsewhere.zone"),
    "html": ("text/html", policy("enforce", "mx.elsewhere.zone")[1]),
    "junk": ("text/plain", "version: STSv1\r\nmode: enforce\r\n"),
    "stranger": policy("enforce", "mx.elsewhere.zone"),  # the web server has no certificate for it
    "mismatch": policy("enforce", "mx.elsewhere.zone"),
    "badcert": policy("enforce", "mx.badcert.zone"),  # the exchanger has none
}
DELIVERED = ["good", "wild", "testing", "html", "junk", "stranger", "missing", "none"]
KEPT = ["mismatch", "badcert"]


def zone(records=True):
    lines = []
    for d in DELIVERED + KEPT:
        lines += [f"{d} MX 10 mx.{d}", f"mx.{d} A 127.0.0.1", f"mta-sts.{d} A {WEB}"]
        if d != "none" and records:
            lines.append(f'_mta-sts.{d} TXT "v=STSv1; id=1;"')
    return {"zone": "\n".join(lines)}


def reasons(gate):
    rows = [json.loads(line) for line in gate.run("queue", "list", "--json").stdout.splitlines()]
    return {r["address"].split("@")[1].split(".")[0]: r["reason"] for m in rows for r in m["recipients"]}


def test_policies_hold(tmp_path):
    authority = signed.Authority(tmp_path)
    chain, key = authority.issue(*[f"mx.{d}.zone" for d in DELIVERED + KEPT if d != "badcert"])
    web_chain, web_key = authority.issue(*[f"mta-sts.{d}.zone" for d in DELIVERED + KEPT if d != "stranger"])
    domains = [f"{d}.zone" for d in DELIVERED + KEPT]
    with contextlib.ExitStack() as stack:
        sink = harness.Sink()
        stack.callback(sink.close)
        web = Web(web_chain, web_key, {f"mta-sts.{d}.zone": p for d, p in POLICIES.items()})
        hop = stack.enter_context(postfix.Postfix(tmp_path / "hop", next_hop=sink.port, extra=(
            f"smtpd_tls_chain_files = {key}, {chain}\nsmtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\n"
            "relay_domains = zone")))
        dns = stack.enter_context(dns_server.Nsd(tmp_path, zone()))
        (tmp_path / "routes").write_text(f". smtp::{hop.port}\n")
        gate = stack.enter_context(harness.gateway(tmp_path / "gate", settings={
            "dns": {"servers": [dns.address], "dnssec": False, "timeout": "5s"},
            "tls": {"authorities": str(authority.cert)},
            "relay": {"domains": domains},
            "routes": {"file": str(tmp_path / "routes"), "fallback": "mx"},
            "queue": {"tls": "may", "retry": ["1h"]}}))
        for d in domains:
            assert gate.send(message(subject=d), to=[f"bob@{d}"])[0] == 250
        harness.wait_for("what may be delivered", lambda: len(sink.messages) >= len(DELIVERED), 60)
        harness.wait_for("reasons for the rest", lambda: all(reasons(gate).get(d) for d in KEPT), 60)
        arrived = sorted(r.split("@")[1] for _, rcpts, _ in sink.messages for r in rcpts)
        assert arrived == sorted(f"{d}.zone" for d in DELIVERED)
        kept = reasons(gate)
        assert sorted(kept) == sorted(KEPT)
        assert "MTA-STS" in kept["mismatch"] and "4.7.5" in kept["badcert"], kept
        assert hop.log().count("TLS connection established") >= len(DELIVERED)
        log = gate.log_text()
        for d in ("html", "junk", "stranger", "missing"):
            assert f"mta-sts-failed domain={d}.zone" in log, d
        assert "mta-sts-failed domain=good.zone" not in log
        told = {}  # what the domains will be told about it (RFC 8460)

        def tallied():
            told.clear()
            for row in map(json.loads, gate.run("tlsrpt", "show", "--ours", "--json", check=False).stdout.splitlines()):
                told[(row["domain"].split(".")[0], row["policy"], row.get("failure"))] = row
            return len({d for d, _, _ in told}) == len(domains)
        harness.wait_for("counts for all domains", tallied, 60)
        for d in ("good", "wild", "testing"):
            assert told[(d, "sts", None)]["successes"] >= 1, told
        for d, failure in {"testing": "validation-failure", "mismatch": "validation-failure",
                           "badcert": "certificate-host-mismatch", "html": "sts-policy-fetch-error",
                           "missing": "sts-policy-fetch-error", "junk": "sts-policy-invalid",
                           "stranger": "sts-webpki-invalid"}.items():
            assert told[(d, "sts", failure)]["sessions"] >= 1, (d, told)
        assert told[("none", "no-policy-found", None)]["failures"] == 0
        assert told[("badcert", "sts", "certificate-host-mismatch")]["mx"] == "mx.badcert.zone"

        # What was promised to hold holds without record and web server, and over a restart.
        web.close()
        asked = len(web.asked)
        dns.change(zone(records=False))
        gate.kill()
        gate.start()
        for d in KEPT:
            for row in gate.run("queue", "list", "--json").stdout.splitlines():
                gate.run("queue", "delete", json.loads(row)["id"])
        for d in KEPT + ["good"]:
            assert gate.send(message(subject="again " + d), to=[f"bob@{d}.zone"])[0] == 250
        harness.wait_for("reasons again", lambda: all(reasons(gate).get(d) for d in KEPT), 60)
        harness.wait_for("the good one", lambda: any(b"again good" in d for _, _, d in sink.messages), 60)
        assert "MTA-STS" in reasons(gate)["mismatch"] and "4.7.5" in reasons(gate)["badcert"]
        assert not any(b"again mismatch" in d or b"again badcert" in d for _, _, d in sink.messages)
        assert len(web.asked) == asked
