"""A real Exim asks the gateway in the place of spamd and in the place of rspamd, configured as the pages
for it say."""
import re
import smtplib

import pytest

import harness
from exim import Exim
from harness import GTUBE, ROOT, Sink, gateway, message, wait_for
from unpacked import Missing


def documented(page):
    """The ACL of the page's Exim example; behind it, what shows the variables on the message."""
    text = re.search(r"## Exim\n.*?```\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S).group(1)
    acl = text.partition("acl_check_data:\n")[2]
    return acl + ("" if acl.rstrip().endswith("accept") else "  accept\n")


SHOWN = """  warn  spam = nobody:true
        add_header = X-Exim-Score: $spam_score $spam_score_int $spam_action
"""


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    hop = Sink()
    ports = {"spamd": harness.free_port(), "rspamd": harness.free_port()}
    with gateway(tmp_path_factory.mktemp("g"), settings={"listeners": [
            {"name": name, "protocol": name, "address": f"127.0.0.1:{port}"}
            for name, port in ports.items()]}) as g:
        g.ports, g.hop = ports, hop
        yield g
    hop.close()


@pytest.mark.parametrize("protocol,page,options", [
    ("spamd", "with-spamc.md", ""),
    ("rspamd", "with-rspamd-clients.md", " variant=rspamd"),
])
def test_exim(gate, tmp_path_factory, protocol, page, options):
    mark = f"exim by {protocol}"
    try:
        mta = Exim(tmp_path_factory.mktemp("exim"), gate.hop.port,
                   f"127.0.0.1 {gate.ports[protocol]}{options}", SHOWN + documented(page))
        with mta as m:
            def send(data, to="bob@example.org"):
                with smtplib.SMTP("127.0.0.1", m.port, local_hostname="client.test", timeout=60) as s:
                    s.sendmail("alice@example.net", [to], data)
            send(message(mark, "ordinary\r\n"))
            with pytest.raises(smtplib.SMTPDataError) as e:
                send(message("spam", GTUBE + "\r\n"))
            assert e.value.smtp_code == 550 and b"1000" in e.value.smtp_error, m.log()
            data = wait_for(mark, lambda: next(
                (d for _, _, d in gate.hop.messages if mark.encode() in d), None), 60)
            action = "no action" if protocol == "rspamd" else ""
            assert re.search(rf"X-Exim-Score: -?0\.\d -?\d {action}".encode(), data), data
            assert b"ordinary" in data
    except Missing as e:
        pytest.skip(f"no Exim: {e}")
    assert mark in gate.run("log", "--json").stdout
