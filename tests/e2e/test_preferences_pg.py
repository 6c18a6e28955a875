"""Preferences in PostgreSQL: a real server, SpamAssassin's table, the gateway in its cage; a server that is away, has
moved on, or stands still has its declared outcome."""
import json
import re
import subprocess
import time

import pytest

import harness
import postgres
from test_preferences import GLOBAL, WLBL, deliver, status

QUERY = ("user_scores_sql_custom_query SELECT preference, value FROM _TABLE_ WHERE username = _USERNAME_ OR "
         "username = '@GLOBAL' OR username = '%' || _DOMAIN_ OR username = _MAILBOX_ || '@' "
         "ORDER BY username COLLATE \"C\" ASC, prefid\n")


@pytest.fixture(scope="module")
def server():
    pg = postgres.Postgres()
    yield pg
    pg.close()


@pytest.fixture
def house(tmp_path, server):
    sink = harness.Sink()
    gateway = harness.Gateway(tmp_path / "gateway", next_hop=sink.port, rules=GLOBAL, settings={
        "processes": {"scanners": 1}, "preferences": {"sql_keep": "0s", "sql_timeout": "20s"}})
    (gateway.dir / "rules" / "a.pre").write_text(WLBL)
    yield gateway, sink, server
    gateway.stop()
    server.thaw()
    if not server.process:
        server.start()
    sink.close()


def ask(gateway, text):
    (gateway.dir / "rules" / "sql.cf").write_text(text)


def judged(gateway, to="bob@example.org"):
    r = subprocess.run([gateway.binary, "scan", "-c", gateway.config, "--to", to, "--json", "-"],
                       input=harness.message(subject="please tag me"), capture_output=True)
    return json.loads(r.stdout)


def reason(found):
    return {s["check"]: s["why"] for s in found["skipped"]}.get("preferences", "")


def test_each_recipient_has_its_rows(house):
    gateway, sink, pg = house
    pg.prefer([("@GLOBAL", "required_score", "2"), ("!before", "required_score", "1"),
               ("%example.org", "score", "T_SUBJ_TAGME 4"), ("carol@example.org", "score T_SUBJ_TAGME", "6"),
               ("dave@", "required_score", "8"), ("erin@example.org", "welcomelist_from", "alice@example.net"),
               ("o'hara\\x@example.org", "required_score", "1.25"), ("fred@example.org", "loadplugin", "Nope")])
    ask(gateway, f"user_scores_dsn {pg.dsn()}\nuser_scores_sql_username {postgres.OWNER}\n{QUERY}")
    gateway.start()
    to = ["bob@example.org", "carol@example.org", "dave@example.org", "erin@example.org", "Fred@Example.org"]
    copies = {k.lower(): v for k, v in deliver(gateway, sink, to, "please tag me").items()}
    assert status(copies["bob@example.org"]) == ("Yes", "4.5", "2.0")
    assert status(copies["carol@example.org"]) == ("Yes", "6.5", "2.0")
    assert status(copies["dave@example.org"]) == ("No", "4.5", "8.0")
    assert status(copies["erin@example.org"]) == ("No", "-95.5", "2.0")
    assert status(copies["fred@example.org"]) == ("Yes", "4.5", "2.0")
    assert "only the administrator may set it" in gateway.log_text()
    # No such user, and names that would end a literal.
    assert judged(gateway, '"o\'hara\\\\x"@example.org')["required"] in (1.25, 2.0)
    assert judged(gateway, "x'--@example.org")["required"] == 2.0
    r = subprocess.run([gateway.binary, "scan", "-c", gateway.config, "--user", "o'hara\\x@example.org", "--json", "-"],
                       input=harness.message(), capture_output=True)
    assert json.loads(r.stdout)["required"] == 1.25
    # What the table says now counts for the next message.
    pg.prefer([("bob@example.org", "required_score", "11")])
    assert status(deliver(gateway, sink, ["bob@example.org"], "please tag me")["bob@example.org"]) == ("No", "3.5", "11.0")


def test_a_server_that_was_restarted_is_asked_anew(house):
    gateway, sink, pg = house
    pg.prefer([("bob@example.org", "required_score", "3")])
    ask(gateway, f"user_scores_dsn {pg.dsn()}\nuser_scores_sql_username {postgres.OWNER}\n")
    gateway.start()
    for _ in range(2):
        assert status(deliver(gateway, sink, ["bob@example.org"], "please tag me")["bob@example.org"]) == ("Yes", "3.5", "3.0")
        pg.stop()
        pg.start()
    assert "skipped=preferences" not in gateway.log_text()
    assert status(deliver(gateway, sink, ["bob@example.org"], "please tag me")["bob@example.org"]) == ("Yes", "3.5", "3.0")


def test_over_the_network_with_a_password(house):
    gateway, sink, pg = house
    pg.prefer([("bob@example.org", "required_score", "3")])
    who = f"user_scores_dsn {pg.dsn(tcp=True)}\nuser_scores_sql_username {postgres.OWNER}\n"
    ask(gateway, who + f"user_scores_sql_password {postgres.PASSWORD}\n")
    gateway.start()
    assert status(deliver(gateway, sink, ["bob@example.org"], "please tag me")["bob@example.org"]) == ("Yes", "3.5", "3.0")
    gateway.stop()
    ask(gateway, who + "user_scores_sql_password wrong\n")
    gateway.start()
    assert status(deliver(gateway, sink, ["bob@example.org"], "please tag me")["bob@example.org"]) == ("No", "3.5", "5.0")
    assert "password authentication failed" in reason(judged(gateway))
    gateway.stop()
    ask(gateway, who.replace("=mail", "=nowhere") + f"user_scores_sql_password {postgres.PASSWORD}\n")
    assert 'database "nowhere" does not exist' in reason(judged(gateway))


def test_a_server_that_is_away(house):
    gateway, sink, pg = house
    pg.prefer([("bob@example.org", "required_score", "3")])
    dsn = f"user_scores_dsn {pg.dsn()}\nuser_scores_sql_username {postgres.OWNER}\n"
    ask(gateway, dsn)
    gateway.start()
    assert status(deliver(gateway, sink, ["bob@example.org"], "please tag me")["bob@example.org"]) == ("Yes", "3.5", "3.0")
    pg.stop()
    assert status(deliver(gateway, sink, ["bob@example.org"], "please tag me")["bob@example.org"]) == ("No", "3.5", "5.0")
    assert "PostgreSQL" in harness.wait_for("the receipt", lambda: told(gateway))[0]
    gateway.stop()
    ask(gateway, dsn + "user_scores_fallback_to_global 0\n")
    gateway.start()
    assert gateway.send(harness.message(subject="please tag me"))[0] == 451
    assert judged(gateway)["outcome"] == "defer"


def told(gateway):
    """What the receipts of all messages say about preferences."""
    def log(*args):
        r = subprocess.run([gateway.binary, "log", "-c", gateway.config, "--json", *args], capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        return [json.loads(line) for line in r.stdout.splitlines()]
    out = []
    for record in log():
        story = log(record["id"])
        out += re.findall(r'"check": "preferences", "why": "(.*?)"[,}]', json.dumps(story))
    return out


def test_a_server_that_stands_still_costs_one_message_its_time(house):
    gateway, sink, pg = house
    gateway.settings["preferences"]["sql_timeout"] = "500ms"
    pg.prefer([("bob@example.org", "required_score", "3")])
    ask(gateway, f"user_scores_dsn {pg.dsn()}\nuser_scores_sql_username {postgres.OWNER}\n")
    gateway.start()
    pg.freeze()
    start = time.monotonic()
    for _ in range(4):  # one scanner: it is asked once, and then left alone for a while
        assert status(deliver(gateway, sink, ["bob@example.org"], "please tag me")["bob@example.org"]) == ("No", "3.5", "5.0")
    assert time.monotonic() - start >= 0.5
    said = harness.wait_for("the receipts", lambda: len(told(gateway)) == 4 and told(gateway))
    assert sum("no answer in time" in s and "a moment ago" not in s for s in said) in (1, 2), said
    assert any("a moment ago" in s for s in said), said
    pg.thaw()

    def back():
        copies = deliver(gateway, sink, ["bob@example.org"], "please tag me")
        return status(copies["bob@example.org"]) == ("Yes", "3.5", "3.0")
    harness.wait_for("the server to be asked again", back, timeout=60, step=1)


def test_questions_that_have_no_rows_for_an_answer(house):
    gateway, _, pg = house
    pg.prefer([("bob@example.org", "required_score", "3")])
    dsn = f"user_scores_dsn {pg.dsn()}\nuser_scores_sql_username {postgres.OWNER}\n"
    gateway.settings["preferences"]["sql_timeout"] = "2s"
    gateway.start()
    for query, why in [
            ("SELECT nonsense FROM _TABLE_", r'column "nonsense" does not exist'),
            ("COPY _TABLE_ TO STDOUT", "no rows"),
            ("SELECT pg_sleep(60)", "no answer in time"),
            ("SELECT 'x', repeat('y', 300000)", "more than 262144 bytes"),
            ("SELECT pg_terminate_backend(pg_backend_pid())", "terminating connection"),
            ("DO $$ BEGIN RAISE NOTICE 'hello'; END $$", "")]:
        ask(gateway, dsn + f"user_scores_sql_custom_query {query}\n")
        found = judged(gateway)
        assert found["required"] == 5, query
        assert re.search(why, reason(found)), (query, found["skipped"])
    # Rows of odd shapes: one column, NULL, many columns.
    for query in ["SELECT 'required_score'", "SELECT NULL, NULL", "SELECT 'required_score', '4', 'x', 'y', 1, 2, 3, 4, 5, 6"]:
        ask(gateway, dsn + f"user_scores_sql_custom_query {query}\n")
        assert judged(gateway)["required"] == (4 if "4" in query else 5), query
