"""From the reply to the whole story: a real gateway's record, receipt and quarantine tell the same."""
import json
import re

import harness
from harness import GTUBE, message


def told(g, msg_id):
    out = g.run("log", "--json", msg_id).stdout
    return json.loads(out) if out else None


def test_a_message_told_from_end_to_end(gate, sink):
    code, text = gate.send(message(subject="please tag me"))
    assert code == 250 and "accepted as" in text, text
    msg_id = re.search(r"accepted as (\w{16})", text).group(1)
    data = sink.wait(1)[0][2]
    assert f"X-Gatehouse-Id: {msg_id}\r\n".encode() in data
    story = harness.wait_for("the delivery", lambda: (lambda s: s if s and s["events"] else None)(
        told(gate, msg_id)))
    assert story["envelope"] == {"from": "alice@example.net", "to": ["bob@example.org"]}
    assert story["peer"]["ip"] == "127.0.0.1" and story["peer"]["helo"] == "client.test"
    [hit] = story["rules"]["hits"]
    assert hit["name"] == "T_SUBJ_TAGME" and hit["score"] == 6 and "tag me" in hit["evidence"]
    assert story["facts"]["rules.hash"]
    [group] = story["groups"]
    assert group["outcome"] == "tag" and group["reason"] == "spam"
    assert group["detail"] == "score 6.0 >= 5.0" and group["reply"].endswith(msg_id)
    [event] = story["events"]
    assert event["event"] == "delivered" and event["recipient"] == "bob@example.org"
    assert "T_SUBJ_TAGME" in gate.run("log", msg_id).stdout
    assert msg_id in gate.run("log", "rule=T_SUBJ_TAGME", "outcome=tag").stdout
    hits = json.loads(gate.run("rules", "--json", "explain", "T_SUBJ_TAGME").stdout)["hits"]
    assert hits["messages"] >= 1 and hits["days"] == 7 and hits["last"]
    assert "message" in re.search(r"hits +(.*)", gate.run("rules", "explain", "T_SUBJ_TAGME").stdout).group(1)


def test_a_refusal_is_told(gate):
    code, text = gate.send(message(body=GTUBE + "\r\n"))
    assert code == 550
    msg_id = re.search(r"\((\w{16})\)", text).group(1)
    story = harness.wait_for("the record", lambda: told(gate, msg_id))
    assert story["groups"][0]["outcome"] == "reject" and story["decisions"][0]["spam"]


def test_held_and_released_once(tmp_path, sink):
    held = {"policies": [{"name": "careful", "recipients": ["bob@example.org"], "on_spam": "hold"}]}
    with harness.gateway(tmp_path, next_hop=sink.port, settings=held) as g:
        sent = message(subject="please tag me")
        code, text = g.send(sent, to=("bob@example.org", "eve@example.org"))
        assert code == 250
        assert sink.wait(1)[0][1] == ["eve@example.org"]
        item = json.loads(harness.wait_for(
            "the item", lambda: g.run("quarantine", "--json", "list").stdout))
        assert [r["address"] for r in item["recipients"]] == ["bob@example.org"]
        assert item["recipients"][0]["policy"] == "careful"
        assert "released" in g.run("quarantine", "release", item["id"]).stdout
        sender, to, data = sink.wait(2)[1]
        assert (sender, to) == ("alice@example.net", ["bob@example.org"])
        assert data == sent
        again = g.run("quarantine", "release", item["id"])
        assert again.returncode == 1 and "already released to bob@example.org" in again.stderr
        assert g.run("quarantine", "list").stdout == ""
        assert "released" in g.run("quarantine", "list", "--all").stdout
        story = harness.wait_for("the release", lambda: (
            lambda s: s if {"released"} <= {e["event"] for e in s["events"]} else None)(
                told(g, item["id"])))
        assert [x["outcome"] for x in story["groups"]] == ["hold", "tag"]
