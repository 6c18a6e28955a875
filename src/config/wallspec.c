/* Lists and rates as people write them (config/wall.h). */
#include "config/wall.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/value.h"

static struct span next_word(struct span *rest)
{
    size_t at = 0, end;
    while (at < rest->n && (rest->p[at] == ' ' || rest->p[at] == '\t'))
        at++;
    end = at;
    while (end < rest->n && rest->p[end] != ' ' && rest->p[end] != '\t')
        end++;
    struct span word = span_sub(*rest, at, end);
    *rest = span_from(*rest, end);
    return word;
}

static bool number(struct span s, double min, double max, double *out)
{
    char text[32], *end;
    if (s.n == 0 || s.n >= sizeof text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out) && *out >= min && *out <= max;
}

/* ---- lists ---- */

static bool octet(struct span *in, unsigned char *out)
{
    unsigned v = 0;
    size_t n = 0;
    while (n < in->n && n < 4 && isdigit((unsigned char)in->p[n]))
        v = v * 10 + (unsigned)(in->p[n++] - '0');
    if (n == 0 || v > 255)
        return false;
    *in = span_from(*in, n);
    *out = (unsigned char)v;
    return true;
}

static bool skip(struct span *in, const char *lit)
{
    size_t n = strlen(lit);
    if (!span_starts(*in, span_of(lit, n)))
        return false;
    *in = span_from(*in, n);
    return true;
}

/* "7", or "[2;4..11]". */
static bool octet_filter(struct span *in, struct list_spec *s, size_t i)
{
    bool many = skip(in, "[");
    unsigned n = 0;
    do {
        if (n == LIST_FILTER_RANGES || !octet(in, &s->octets[i].from[n]))
            return false;
        s->octets[i].to[n] = s->octets[i].from[n];
        if (many && skip(in, "..") && !octet(in, &s->octets[i].to[n]))
            return false;
        if (s->octets[i].to[n] < s->octets[i].from[n])
            return false;
        n++;
    } while (many && skip(in, ";"));
    s->octets[i].n = n;
    return !many || skip(in, "]");
}

static bool filter(struct span in, struct list_spec *s)
{
    s->filtered = true;
    for (size_t i = 0; i < LIST_FILTERS; i++)
        if ((i > 0 && !skip(&in, ".")) || !octet_filter(&in, s, i))
            return false;
    return in.n == 0;
}

static bool zone_ok(struct span z)
{
    size_t label = 0;
    for (size_t i = 0; i < z.n; i++) {
        unsigned char c = (unsigned char)z.p[i];
        if (c == '.' ? label == 0 : !(isalnum(c) || c == '-' || c == '_'))
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
    }
    return label > 0 && z.n <= 200 && span_find(z, '.') != SIZE_MAX;
}

static int zone_word(struct span word, struct list_spec *s, struct err *e)
{
    size_t star = span_rfind(word, '*'), eq;
    s->weight = 1;
    if (star != SIZE_MAX) {
        if (!number(span_from(word, star + 1), -1000, 1000, &s->weight))
            return err_set(e, "expected a weight such as *3 or *-2 behind the zone");
        word = span_sub(word, 0, star);
    }
    eq = span_find(word, '=');
    if (eq != SIZE_MAX && !filter(span_from(word, eq + 1), s))
        return err_set(e, "expected a filter such as =127.0.0.[2..11] behind the zone");
    s->zone = span_sub(word, 0, eq == SIZE_MAX ? word.n : eq);
    if (!zone_ok(s->zone))
        return err_set(e,
                       "expected ZONE[=FILTER][*WEIGHT] [as NAME] [test=NAME] [URL], such as "
                       "zen.spamhaus.org=127.0.0.[2..11]*3, not '%.*s'",
                       SPAN_ARG(word));
    s->name = s->zone;
    return 0;
}

int list_spec_parse(struct span text, struct list_spec *out, struct err *e)
{
    struct span word;
    *out = (struct list_spec){0};
    if (zone_word(next_word(&text), out, e) != 0)
        return -1;
    while ((word = next_word(&text)).n > 0) {
        if (span_eq(word, SPAN("as")))
            out->name = next_word(&text);
        else if (span_starts(word, SPAN("test=")))
            out->test = span_from(word, 5);
        else if (span_starts(word, SPAN("https://")) || span_starts(word, SPAN("http://")))
            out->url = word;
        else
            return err_set(e, "'%.*s' behind a list is neither 'as NAME', 'test=NAME' nor a URL",
                           SPAN_ARG(word));
    }
    return out->name.n ? 0 : err_set(e, "expected a name behind 'as'");
}

bool list_spec_counts(const struct list_spec *s, const struct ip *ip)
{
    const unsigned char *b = ip->b + 12;
    if (!ip_is4(ip) || b[0] != 127)
        return false;
    if (!s->filtered)
        return !(b[1] == 255 && b[2] == 255);
    for (size_t i = 0; i < LIST_FILTERS; i++) {
        bool in = false;
        for (unsigned r = 0; r < s->octets[i].n; r++)
            in |= b[i] >= s->octets[i].from[r] && b[i] <= s->octets[i].to[r];
        if (!in)
            return false;
    }
    return true;
}

/* ---- rates ---- */

static const char *const whats[] = {"connections", "sessions", "messages", "recipients",
                                    "bad-recipients"};
static const char *const whos[] = {"address",          "network",       "asn",
                                   "sender",           "sender-domain", "recipient",
                                   "recipient-domain", "user"};
static const char *const answers[] = {"defer", "delay", "stop"};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int word_of(struct span s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (span_eq(s, span_str(words[i])))
            return (int)i;
    return -1;
}

static int choose(struct span word, const char *const *words, size_t n, const char *what,
                  struct err *e)
{
    int i = word_of(word, words, n);
    if (i >= 0)
        return i;
    err_set(e, "'%.*s' is no %s:", SPAN_ARG(word), what);
    for (size_t k = 0; k < n; k++) {
        size_t len = strlen(e->text);
        snprintf(e->text + len, sizeof e->text - len, "%s %s", k ? "," : "", words[k]);
    }
    return -1;
}

static int amount(struct span word, struct rate_spec *r, struct err *e)
{
    size_t slash = span_find(word, '/');
    bool sessions = r->what == RATE_SESSIONS;
    if (sessions != (slash == SIZE_MAX) ||
        !number(span_sub(word, 0, slash == SIZE_MAX ? word.n : slash), 0, 1e9, &r->n) ||
        (!sessions &&
         (parse_duration(span_from(word, slash + 1), &r->per) != 0 || r->per < USEC_PER_SEC)))
        return err_set(e,
                       sessions ? "expected a number of sessions at the same time, not '%.*s'"
                                : "expected a rate such as 60/1m, not '%.*s'",
                       SPAN_ARG(word));
    r->burst = r->n;
    return 0;
}

/* Combinations that could never count anything. */
static int sense(const struct rate_spec *r, struct err *e)
{
    bool early = r->what == RATE_CONNECTIONS || r->what == RATE_SESSIONS;
    if (early && r->who > RATE_ASN)
        return err_set(e, "%s are counted by address, network or asn, not by %s", whats[r->what],
                       whos[r->who]);
    if (r->what == RATE_MESSAGES && (r->who == RATE_RCPT || r->who == RATE_RCPT_DOMAIN))
        return err_set(e, "count recipients, not messages, by %s", whos[r->who]);
    if (r->answer == RATE_STOP && r->who != RATE_USER)
        return err_set(e, "only a user can be stopped");
    if (r->answer == RATE_DELAY && r->what == RATE_SESSIONS)
        return err_set(e, "sessions over the limit can't be delayed");
    return 0;
}

int rate_spec_parse(struct span text, struct rate_spec *out, struct err *e)
{
    struct span word;
    int what, who, answer;
    *out = (struct rate_spec){0};
    if ((what = choose(next_word(&text), whats, COUNT(whats), "thing to count", e)) < 0 ||
        (who = choose(next_word(&text), whos, COUNT(whos), "one to count for", e)) < 0)
        return -1;
    out->what = (enum rate_what)what;
    out->who = (enum rate_who)who;
    snprintf(out->name, sizeof out->name, "%s-%s", whats[what], whos[who]);
    if (amount(next_word(&text), out, e) != 0)
        return -1;
    while ((word = next_word(&text)).n > 0) {
        if (span_eq(word, SPAN("burst"))) {
            if (!number(next_word(&text), 1, 1e9, &out->burst))
                return err_set(e, "expected a number behind 'burst'");
        } else if (span_eq(word, SPAN("as"))) {
            word = next_word(&text);
            if (word.n == 0 || word.n >= sizeof out->name)
                return err_set(e, "expected a name of at most %zu bytes behind 'as'",
                               sizeof out->name - 1);
            snprintf(out->name, sizeof out->name, "%.*s", SPAN_ARG(word));
        } else {
            if ((answer = choose(word, answers, COUNT(answers), "answer", e)) < 0)
                return -1;
            out->answer = (enum rate_answer)answer;
        }
    }
    return sense(out, e);
}
