"""A real Haraka with its plugins for rspamd and for SpamAssassin asks the gateway (docs/with-rspamd-clients.md,
docs/with-spamc.md). Skipped where Haraka is not installed: `make haraka`."""
import re
import smtplib

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
    ports = {"spamd": harness.free_port(), "rspamd": harness.free_port()}
    with gateway(tmp_path_factory.mktemp("g"), settings={
            "policies": [{"name": "default", "subject_tag": "[SPAM] "}],
            "listeners": [{"name": name, "protocol": name, "address": f"127.0.0.1:{port}"}
                          for name, port in ports.items()]}) as g:
        g.ports, g.hop = ports, hop
        yield g
    hop.close()


@pytest.mark.parametrize("plugin,page,name", [
    ("rspamd", "with-rspamd-clients.md", "rspamd.ini"),
    ("spamassassin", "with-spamc.md", "spamassassin.ini"),
])
def test_haraka(gate, tmp_path, plugin, page, name):
    port = gate.ports["rspamd" if plugin == "rspamd" else "spamd"]
    try:
        with Haraka(tmp_path, gate.hop.port, [plugin], {name: documented(page, name, port)}) as m:
            def send(data):
                with smtplib.SMTP("127.0.0.1", m.port, local_hostname="client.test", timeout=60) as s:
                    s.sendmail("alice@example.net", ["bob@example.org"], data)

            def arrived(mark):
                return wait_for(mark, lambda: next(
                    (d for _, _, d in gate.hop.messages if mark.encode() in d), None), 60)
            send(message(f"haraka {plugin}", "ordinary\r\n"))
            data = arrived(f"haraka {plugin}")
            send(message(f"{TAG} {plugin}"))
            tagged = arrived(f"{TAG} {plugin}")
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
    assert f"haraka {plugin}" in gate.run("log", "--json").stdout
