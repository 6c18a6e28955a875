"""Messages made of strings that the rules' own patterns match, or nearly match: what a filter, an automaton or a
refuter says no to wrongly shows here first, since ordinary mail meets most patterns never."""
import pathlib
import re
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import sre_parse
from sre_constants import (ANY, BRANCH, GROUPREF, IN, LITERAL, MAX_REPEAT, MIN_REPEAT, NEGATE, NOT_LITERAL, RANGE, CATEGORY,
                           SUBPATTERN)

WORD = "abcdefghijklmnopqrstuvwxyzABCXYZ0189_"
PLAIN = "abcdefg xyz019.,-"
ODD = "abcdeXYZ 019.,;:-_<>&=\xe9\xc3"
WORDS = "the of and to your account please money click here now free offer transfer bank name address phone city".split()
COPIES, TAGS_DEEP = 120, 6


def lines(directory):
    for file in sorted(pathlib.Path(directory).glob("*.cf")):
        yield from (line.strip() for line in file.read_text(encoding="latin-1").splitlines())


def replaced(pattern, tags, depth=0):
    """With ReplaceTags' tags in their places."""
    def tag(m):
        known = depth < TAGS_DEEP and m[1] in tags
        return replaced(tags[m[1]], tags, depth + 1) if known else m[0]
    return re.sub(r"<(?:pre|inter|post) \w+>", "", re.sub(r"<([A-Z_0-9a-z]+)>", tag, pattern))


def as_python(pattern):
    """Perl's pattern as far as Python can read it; flags and possessiveness do not matter here."""
    p = pattern.replace("\\#", "#").replace("\\z", "\\Z").replace("(?>", "(?:")
    p = re.sub(r"([*+?}])\+", r"\1", p)
    p = re.sub(r"\[\[:(\w+):\]\]", r"\\w", p)
    p = re.sub(r"\(\?<([A-Za-z_]\w*)>", r"(?P<\1>", p)
    return re.sub(r"\(\?-?[a-z-]*:", "(?:", re.sub(r"\(\?[a-z-]+\)", "", p))


class Rules:
    """Patterns by kind, from a directory of rule files."""

    def __init__(self, directory="/usr/share/spamassassin"):
        self.kinds = {"body": [], "rawbody": [], "uri": [], "header": []}
        tags = {}
        for line in lines(directory):
            if m := re.match(r"replace_tag\s+(\S+)\s+(.*)$", line):
                tags[m[1]] = m[2]
        for line in lines(directory):
            if m := re.match(r"(body|rawbody|uri|header)\s+\S+\s+(.*)$", line):
                self.add(m[1], m[2], tags)

    def add(self, kind, text, tags):
        header = None
        if kind == "header":
            m = re.match(r"(\S+)\s*=~\s*(.*)$", text)
            if not m:
                return
            header, text = m[1].split(":")[0], m[2]
        m = re.match(r"m?[/{!,#%|](.*)[/}!,#%|]([a-z]*)(?:\s+\[if-unset.*\])?$", text)
        if not m:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.kinds[kind].append((header, sre_parse.parse(as_python(replaced(m[1], tags)))))
        except (re.error, OverflowError, RecursionError):
            pass  # Perl's alone

    def text(self, kind, rng):
        """A header's name or None, and what the pattern of some rule matches, more or less."""
        header, tree = rng.choice(self.kinds[kind])
        return header, damaged(string(tree, {}, rng), rng)


def category(code):
    name = str(code)
    if "NOT" in name:
        return ".,;: " if "WORD" in name else "abcz" if "DIGIT" in name else "abz.9"
    return WORD if "WORD" in name else "0123456789" if "DIGIT" in name else " \t"


def one_of(items, rng):
    chars, negated = set(), False
    for op, value in items:
        negated |= op is NEGATE
        if op is LITERAL:
            chars.add(chr(value))
        elif op is RANGE:
            chars.update(map(chr, range(value[0], min(value[1], 255) + 1)))
        elif op is CATEGORY:
            chars.update(category(value))
    if negated:
        chars = set(map(chr, range(32, 127))) - chars
    return rng.choice(sorted(c for c in chars if c < "\u0100" and c not in "\r\n") or ["x"])


def string(tree, groups, rng):
    out = []
    for op, value in tree:
        if op is LITERAL:
            c = chr(value if value < 256 else 63)
            out.append(c.swapcase() if value < 128 and rng.random() < .05 else c)
        elif op in (ANY, NOT_LITERAL):
            out.append(rng.choice(PLAIN))
        elif op is IN:
            out.append(one_of(value, rng))
        elif op is BRANCH:
            out.append(string(rng.choice(value[1]), groups, rng))
        elif op is SUBPATTERN:
            out.append(string(value[-1], groups, rng))
            groups[value[0]] = out[-1]
        elif op in (MAX_REPEAT, MIN_REPEAT):
            low, high, what = value
            times = min(rng.randint(low, max(low, min(high, low + rng.choice([0, 1, 2, 5])))), COPIES)
            out.extend(string(what, groups, rng) for _ in range(times))
        elif op is GROUPREF:
            out.append(groups.get(value, ""))
    return "".join(out)


def damaged(s, rng):
    kind = rng.random()
    if kind < .55 or len(s) < 2:
        return s
    at = rng.randrange(len(s))
    if kind < .7:
        return s[:at] + s[at + 1:]
    if kind < .9:
        return s[:at] + rng.choice(ODD) + s[at + (kind < .8):]
    return s.upper()


def body(rules, rng):
    out = []
    for _ in range(rng.randint(3, 25)):
        kind = rng.random()
        if kind < .75:
            piece = rules.text("body" if kind < .6 else "rawbody", rng)[1]
        elif kind < .9:
            piece = rules.text("uri", rng)[1]
            piece = piece if piece.startswith("http") else f"http://www.example{rng.randrange(99)}.com/{piece}"
        else:
            piece = " ".join(rng.choice(WORDS) for _ in range(12))
        out += [rng.choice(["", " ", ". ", "\n", "x"]), piece, rng.choice(["", " ", ". ", "\n", "\n\n", "y"])]
    return "".join(out)


def make(rules, rng):
    """A message as bytes."""
    head = [f'From: "Joe {rng.choice(WORDS)}" <joe@example.com>', "To: bob@example.org",
            "Subject: " + rules.text("body", rng)[1].replace("\n", " ")[:200], "Date: Tue, 12 Mar 2024 10:11:12 +0000",
            f"Message-ID: <abc{rng.randrange(10 ** 6)}@example.com>"]
    for _ in range(rng.randint(0, 6)):
        name, text = rules.text("header", rng)
        if name.upper() not in ("ALL", "TOCC", "MESSAGEID", "ENVELOPEFROM") and not name.startswith("X-Spam-Relays"):
            head.append(f"{name}: " + re.sub(r"\n+", "\n ", text.replace("\r", "")))
    text, html = body(rules, rng), rng.random() < .35
    head.append(f"Content-Type: text/{'html' if html else 'plain'}; charset={rng.choice(['iso-8859-1', 'utf-8', 'us-ascii'])}")
    if html:
        link = rules.text("uri", rng)[1].replace('"', "")
        text = "<html><body><p>" + text.replace("\n\n", "</p>\n<p>") + f'</p><a href="{link}">x</a></body></html>'
    return ("\n".join(head) + "\n\n" + text + "\n").encode("latin-1", "replace")
