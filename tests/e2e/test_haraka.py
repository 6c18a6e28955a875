"""A real Haraka with its plugins for rspamd and for SpamAssassin asks the gateway (docs/with-rspamd-clients.md,
docs/with-spamc.md). Skipped where Haraka is not installed: `make haraka`."""
import re
import smtplib
import subprocess

import pytest

import harness
from haraka import Haraka
from harness import GTUBE, ROOT, Sink, gateway, message, wait_for
from unpacked import Missing

TAG = "please tag me"


def documented(page, name, port):
    text = (ROOT / "docs" / page).read_text()
    ini = re.search(rf"`config/{name}`[^`]*```\n(.*?)```", text, re.S).group(1)
    return re.sub(r"\b(11333|783)\b", str(port), ini)


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    hop = Sink()
    ports = {name: harness.free_port() for name in ("spamd", "rspamd", "https")}
    where = tmp_path_factory.mktemp("g")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=gate.test",
                    "-addext", "subjectAltName=DNS:gate.test", "-keyout", where / "key", "-out", where / "cert"],
                   check=True, capture_output=True)
    with gateway(where / "g", settings={
            "policies": [{"name": "default", "subject_tag": "[SPAM] "}],
            "listeners": [{"name": "spamd", "protocol": "spamd", "address": f"127.0.0.1:{ports['spamd']}"},
                          {"name": "rspamd", "protocol": "rspamd", "address": f"127.0.0.1:{ports['rspamd']}"},
                          {"name": "https", "protocol": "rspamd", "address": f"127.0.0.1:{ports['https']}",
                           "tls": "implicit", "certificate": str(where / "cert"), "key": str(where / "key")}]}) as g:
        g.ports, g.hop, g.cert = ports, hop, where / "cert"
        yield g
    hop.close()


@pytest.mark.parametrize("plugin,page,listener", [
    ("rspamd", "with-rspamd-clients.md", "rspamd"),
    ("rspamd", "with-rspamd-clients.md", "https"),
    ("spamassassin", "with-spamc.md", "spamd"),
])
def test_haraka(gate, tmp_path, plugin, page, listener):
    ini = documented(page, f"{plugin}.ini", gate.ports[listener])
    if listener == "https":
        ini = "scheme = https\n" + ini + f"\n[tls]\nservername = gate.test\nca_file = {gate.cert}\n"
    mark = f"haraka {listener}"
    try:
        with Haraka(tmp_path, gate.hop.port, [plugin], {f"{plugin}.ini": ini}) as m:
            def send(data):
                with smtplib.SMTP("127.0.0.1", m.port, local_hostname="client.test", timeout=60) as s:
                    s.sendmail("alice@example.net", ["bob@example.org"], data)

            def arrived(mark):
                return wait_for(mark, lambda: next(
                    (d for _, _, d in gate.hop.messages if mark.encode() in d), None), 60)
            send(message(mark, "ordinary\r\n"))
            data = arrived(mark)
            send(message(f"{TAG} {listener}"))
            tagged = arrived(f"{TAG} {listener}")
            with pytest.raises(smtplib.SMTPDataError) as e:
                send(message("spam", GTUBE + "\r\n"))
            assert 500 <= e.value.smtp_code < 600, m.log()
    except Missing as e:
        pytest.skip(str(e))
    if plugin == "rspamd":
        assert re.search(rb"(?im)^X-Rspamd-Score: -?0", data), data
        assert re.search(rb"(?m)^Subject: \[SPAM\] " + TAG.encode(), tagged), tagged
    else:
        assert re.search(rb"(?m)^X-Spam-Status: No, score=", data), data
        assert re.search(rb"(?m)^X-Spam-Flag: YES", tagged), tagged
    assert mark in gate.run("log", "--json").stdout
