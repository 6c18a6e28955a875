"""What the benchmarks share: a gateway with the stock rules, messages to send."""
import random

import harness

WORDS = ("the a of to and in your our order invoice please meeting report today account team project "
         "attached click here free money winner dear customer update number delivery question thanks "
         "regards project release branch server error review contract offer price sale limited").split()


def stock_gateway(directory, **settings):
    """The rules that are installed, network tests off, nothing else in the way."""
    g = harness.Gateway(directory, settings=harness.merge({
        "limits": {"sessions_per_address": 5000, "transactions": 1000000, "commands": 1000000},
        "rules": {"dirs": [], "site_dir": "/etc/spamassassin"},
        "paths": {"cache": str(harness.ROOT / "var" / "cache")}}, settings))
    del g.settings["rules"]["dirs"]
    return g


def own_message(rng, size):
    body = ""
    while len(body) < size:
        body += " ".join(rng.choice(WORDS) for _ in range(12)) + "\r\n"
        if rng.random() < 0.05:
            body += f"http://host{rng.randrange(1000)}.example/{rng.choice(WORDS)}\r\n"
    return harness.message(" ".join(rng.choice(WORDS) for _ in range(5)), body)


def corpus(directory, count):
    """count messages: those of a directory, or our own of 2 to 20 kB."""
    if directory:
        files = sorted(p for p in directory.rglob("*") if p.is_file())
        return [files[i % len(files)].read_bytes() for i in range(count)]
    rng = random.Random(4)
    return [own_message(rng, rng.randrange(2000, 20000)) for _ in range(count)]
