/* Header fields: which count, and what is left of their values (semantics 9.1). */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "learn/tokens_private.h"

#include <pcre2.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "mime/mime.h"

/* --- patterns --- */

/* Fields that tell nothing or too much: noise, what filters and lists write, what mail programs
 * keep. The whole name, in any case. */
#define IGNORED                                                                                    \
    "^(?:(?:X-)?(?:Sender|Envelope-To|Mailing-List|Status|Spam-Apparently-To"                      \
    "|List-(?:Archive|Help|Id|Owner|Post|Subscribe|Unsubscribe|Host|Manager|Admin|Comment|Name"    \
    "|Url)"                                                                                        \
    "|(?:Resent|Original)-(?:From|To|Date))"                                                       \
    "|Delivered-To|Delivery-Date|Subject|Date|Mail-Followup-To|SPAM|Content-Class"                 \
    "|Thread-(?:Index|Topic)|Replied|Forwarded|Lines|Content-Length|Xref"                          \
    "|X-(?:MIME-AutoConverted|Converted-To-Plain-Text|List|Unsub(?:scribe)?|Mailman-Version"       \
    "|BeenThere|Been[Tt]here|Loop|eGroups-(?:Return|From)|MDMailing-List|XEmacs-List|Sympa-To"     \
    "|MailScanner(?:-SpamCheck)?"                                                                  \
    "|Spam(?:-(?:Status|Level|Flag|Report|Hits|Score|Checker-Version))?"                           \
    "|Antispam|RBL-Warning|MDaemon-Deliver-To|Virus-Scanned|Mass-Check-Id|Pyzor"                   \
    "|DCC-\\S{2,25}-Metrics|Filtered-By|Scanned-By|Scanner|AP-Spam-(?:Score|Status)"               \
    "|RIPE-Spam-Status|SpamCop-.+|SMTPD|Perlmx-Spam|Bogosity|OriginalArrivalTime|Flags|Keywords"   \
    "|UIDL?|IMAPbase|Bugzilla-.+"                                                                  \
    "|VM-(?:Bookmark|(?:POP|IMAP)-Retrieved|Labels|Last-Modified|Summary-Format|VHeader|v\\d-Data" \
    "|Message-Order)"                                                                              \
    "|Gnus-Mail-Source"                                                                            \
    "|Gatehouse-.+))$" /* our own */

/* Long and different every time: only that they are there. */
#define PRESENCE                                                                                   \
    "^(?:X-Face|X-(?:Gnu-?PG|PGP|GPG)(?:-Key)?-Fingerprint|D(?:KIM|omainKey)-Signature"            \
    "|X-Google-DKIM-Signature|ARC-(?:Message-Signature|Seal)|Autocrypt)$"

#define ADDRESSES                                                                                  \
    "^(?:X-|Resent-)?(?:Return-Path|From|To|Cc|Reply-To|Errors-To|Mail-Followup-To|Sender)$"

#define DATE                                                                                       \
    "(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),\\s)?[0-3\\s]?[0-9]\\s"                                    \
    "(?:Jan|Feb|Ma[ry]|Apr|Ju[nl]|Aug|Sep|Oct|Nov|Dec)\\s(?:19|20)?[0-9]{2}\\s"                    \
    "[0-2][0-9](?:\\:[0-5][0-9]){1,2}\\s"                                                          \
    "(?:\\s*\\(|\\)|\\s*(?:[+-][0-9]{4})|\\s*(?:UT|[A-Z]{2,3}T))*"

enum word_pattern {
    P_IGNORED,
    P_PRESENCE,
    P_ADDRESSES,
    P_MESSAGE_ID,
    P_RELAYS,
    P_BOUNDARY,
    /* Replacements, in the order in which they are done. */
    P_TYPE_WORDS,
    P_ID_OUTLOOK,
    P_ID_EXIM,
    P_ID_SENDMAIL,
    P_BY_SENDMAIL,
    P_BY_SENDMAIL_ESMTP,
    P_BY_ID,
    P_BY_EXIM,
    P_BY_DATE,
    P_BY_ADDRESS,
    P_BY_WORDS,
    P_RELAY_WORDS,
    PATTERNS
};

static const struct {
    const char *text, *with;
    bool fold, once;
} patterns[PATTERNS] = {
    [P_IGNORED] = {IGNORED, NULL, true},
    [P_PRESENCE] = {PRESENCE, NULL, true},
    [P_ADDRESSES] = {ADDRESSES, NULL, true},
    [P_MESSAGE_ID] = {"^(?:X-|Resent-)?Message-Id$", NULL, true},
    [P_RELAYS] = {"^x-spam-relays-(?:external|internal|trusted|untrusted)$", NULL},
    [P_BOUNDARY] = {"boundary=[\"'](.*?)[\"']", " ", true},
    [P_TYPE_WORDS] = {"\\b(?:text|charset)\\b", " "},
    [P_ID_OUTLOOK] = {"<([0-9a-f]{4})[0-9a-f]{8}\\$([0-9a-f]{4})[0-9a-f]{4}\\$"
                      "([0-9a-f]{8})\\@(\\S+)>",
                      " OEA$1 OEB$2 OEC$3 $4 "},
    [P_ID_EXIM] = {"<[A-Za-z0-9]{7}-[A-Za-z0-9]{6}-0[A-Za-z0-9]\\@", "", .once = true},
    [P_ID_SENDMAIL] = {"<20\\d\\d[01]\\d[0123]\\d[012]\\d[012345]\\d[012345]\\d\\."
                       "[A-F0-9]{10,12}\\@",
                       ""},
    [P_BY_SENDMAIL] = {"\\swith\\sSMTP\\sid\\sg[\\dA-Z]{10,12}\\s", " "},
    [P_BY_SENDMAIL_ESMTP] = {"\\swith\\sESMTP\\sid\\s[\\dA-F]{10,12}\\s", " "},
    [P_BY_ID] = {"\\bid\\s[a-zA-Z0-9]{7,20}\\b", " "},
    [P_BY_EXIM] = {"\\bid\\s[A-Za-z0-9]{7}-[A-Za-z0-9]{6}-0[A-Za-z0-9]", " "},
    [P_BY_DATE] = {DATE, ""},
    [P_BY_ADDRESS] = {"\\b(\\d{1,3}\\.)(\\d{1,3}\\.)(\\d{1,3})(\\.\\d{1,3})\\b",
                      "$1$2$3 ip*$1$2$3$4 "},
    [P_BY_WORDS] = {"\\b(?:with|from|for|SMTP|ESMTP)\\b", " "},
    [P_RELAY_WORDS] = {" [a-z]+=", " "},
};

/* Of one match, in steps: a field may be made to cost much. */
enum { MATCH_LIMIT = 200000, VALUE_MAX = 65536, ADDRESSES_MAX = 256 * 1024, GROUPS = 8 };

struct learn_words {
    pcre2_code *code[PATTERNS];
    pcre2_match_context *limits;
};

struct learn_words *learn_words_new(struct err *e)
{
    struct learn_words *w = xcalloc(1, sizeof *w);
    for (size_t i = 0; i < PATTERNS; i++) {
        int code;
        PCRE2_SIZE where;
        unsigned options = patterns[i].fold ? PCRE2_CASELESS : 0;
        w->code[i] =
            pcre2_compile((PCRE2_SPTR)patterns[i].text, PCRE2_ZERO_TERMINATED,
                          options | PCRE2_DOLLAR_ENDONLY | PCRE2_NO_UTF_CHECK, &code, &where, NULL);
        if (!w->code[i]) {
            err_set(e, "pattern %zu of the tokenizer does not compile (%d at %zu)", i, code, where);
            learn_words_free(w);
            return NULL;
        }
        pcre2_jit_compile(w->code[i], PCRE2_JIT_COMPLETE);
    }
    w->limits = pcre2_match_context_create(NULL);
    if (!w->limits) {
        err_set(e, "no memory for the tokenizer");
        learn_words_free(w);
        return NULL;
    }
    pcre2_set_match_limit(w->limits, MATCH_LIMIT);
    return w;
}

void learn_words_free(struct learn_words *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < PATTERNS; i++)
        pcre2_code_free(w->code[i]);
    pcre2_match_context_free(w->limits);
    free(w);
}

static bool is(const struct collector *c, enum word_pattern i, struct span s)
{
    const struct learn_words *w = c->rules->words;
    return pcre2_match(w->code[i], (PCRE2_SPTR)(s.p ? s.p : ""), s.n, 0, 0, c->match, w->limits) >
           0;
}

/* All matches, or the first, replaced; unchanged when that costs too much. */
static struct span replace(struct collector *c, enum word_pattern i, struct span s)
{
    const struct learn_words *w = c->rules->words;
    size_t room = 2 * s.n + 256;
    if (!is(c, i, s))
        return s;
    char *out = arena_raw(c->a, room);
    PCRE2_SIZE n = room;
    unsigned options = patterns[i].once ? 0 : PCRE2_SUBSTITUTE_GLOBAL;
    int rc = pcre2_substitute(w->code[i], (PCRE2_SPTR)s.p, s.n, 0, options, c->match, w->limits,
                              (PCRE2_SPTR)patterns[i].with, PCRE2_ZERO_TERMINATED,
                              (PCRE2_UCHAR *)out, &n);
    return rc < 0 ? s : span_of(out, n);
}

/* --- values --- */

static struct span boundary_of(struct collector *c, struct span s)
{
    const struct learn_words *w = c->rules->words;
    struct span found = SPAN_NONE;
    for (size_t from = 0; from < s.n;) {
        if (pcre2_match(w->code[P_BOUNDARY], (PCRE2_SPTR)s.p, s.n, from, 0, c->match, w->limits) <
            2)
            break;
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(c->match);
        found = span_sub(s, at[2], at[3]);
        from = at[1];
    }
    return found;
}

static bool is_separator(char ch)
{
    return ch == '-' || ch == '_' || ch == '.' || ch == '=';
}

/* Boundaries: their digits are chance, their separators are the mail program's habit. */
static struct span content_type(struct collector *c, struct span v)
{
    struct span boundary = boundary_of(c, v);
    if (boundary.p) {
        struct span rest = replace(c, P_BOUNDARY, v);
        char *out = arena_raw(c->a, rest.n + 3 * boundary.n + 1);
        size_t n = rest.n;
        memcpy(out, rest.p, rest.n);
        for (size_t i = 0; i < boundary.n; i++) {
            char ch = boundary.p[i];
            bool sep = is_separator(ch);
            if (sep && (i == 0 || !is_separator(boundary.p[i - 1])))
                out[n++] = ' ';
            out[n++] = ascii_hex(ch) >= 0 ? 'H' : ch;
            if (sep && (i + 1 == boundary.n || !is_separator(boundary.p[i + 1])))
                out[n++] = ' ';
        }
        v = span_of(out, n);
    }
    return replace(c, P_TYPE_WORDS, v);
}

static struct span message_id(struct collector *c, struct span v)
{
    for (enum word_pattern i = P_ID_OUTLOOK; i <= P_ID_SENDMAIL; i++)
        v = replace(c, i, v);
    char *out = arena_raw(c->a, v.n + 1);
    for (size_t i = 0; i < v.n; i++)
        out[i] = ascii_isalnum(v.p[i]) || v.p[i] == '_' ? v.p[i] : ' ';
    return span_of(out, v.n);
}

static struct span received(struct collector *c, struct span v)
{
    for (enum word_pattern i = P_BY_SENDMAIL; i <= P_BY_WORDS; i++)
        v = replace(c, i, v);
    return v;
}

static struct span one(struct collector *c)
{
    return arena_dup(c->a, SPAN("1"));
}

static void add_place(struct buf *b, struct span addr)
{
    size_t mid = address_middle(addr);
    if (mid == SIZE_MAX)
        return;
    struct span domain = span_from(addr, mid + 1);
    buf_printf(b, "U*%.*s ", SPAN_ARG(span_sub(addr, 0, mid)));
    do
        buf_printf(b, "D*%.*s ", SPAN_ARG(domain));
    while (b->n < ADDRESSES_MAX && domain_above(&domain));
}

static struct span addresses(struct collector *c, struct span v)
{
    struct mime_addresses list = mime_addresses_parse(c->a, v);
    struct buf b = {0};
    for (size_t i = 0; i < list.n && b.n < ADDRESSES_MAX; i++) {
        struct span name = list.v[i].name, word;
        while (b.n < ADDRESSES_MAX && (word = span_word(&name, " \t\r\n\v\f")).p)
            buf_printf(&b, "N*%.*s ", SPAN_ARG(word));
        if (list.v[i].addr.p)
            add_place(&b, list.v[i].addr);
    }
    struct span out = arena_dup(c->a, buf_span(&b));
    buf_free(&b);
    return out;
}

static struct span without(struct arena *a, struct span s, struct span what)
{
    size_t at = span_search(s, what);
    if (at == SIZE_MAX)
        return s;
    return arena_printf(a, "%.*s%.*s", SPAN_ARG(span_sub(s, 0, at)),
                        SPAN_ARG(span_from(s, at + what.n)));
}

static struct span value_of(struct collector *c, struct span name, struct span v)
{
    v = span_sub(v, 0, VALUE_MAX);
    if (is(c, P_MESSAGE_ID, name))
        return message_id(c, v);
    if (is(c, P_ADDRESSES, name))
        return addresses(c, v);
    if (span_eq(name, SPAN("Received")))
        return received(c, v);
    if (span_eq(name, SPAN("Content-Type")))
        return content_type(c, v);
    if (span_eq(name, SPAN("MIME-Version")))
        return without(c->a, v, SPAN("1.0"));
    if (is(c, P_PRESENCE, name))
        return one(c);
    return is(c, P_RELAYS, name) ? replace(c, P_RELAY_WORDS, v) : v;
}

/* --- all of them --- */

/* Names that are short in tokens; as spelled. */
static struct span short_name(struct span name)
{
    static const struct {
        const char *name, *mark;
    } marks[] = {
        {"Message-Id", "*m"},
        {"Message-ID", "*M"},
        {"Received", "*r"},
        {"User-Agent", "*u"},
        {"References", "*f"},
        {"In-Reply-To", "*i"},
        {"From", "*F"},
        {"Reply-To", "*R"},
        {"Return-Path", "*p"},
        {"Return-path", "*rp"},
        {"X-Mailer", "*x"},
        {"X-Authentication-Warning", "*a"},
        {"Organization", "*o"},
        {"Organisation", "*o"},
        {"Content-Type", "*ct"},
        {"Content-Disposition", "*cd"},
        {"Content-Transfer-Encoding", "*ce"},
        {"x-spam-relays-trusted", "*RT"},
        {"x-spam-relays-untrusted", "*RU"},
    };
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (span_eq(name, span_str(marks[i].name)))
            return span_str(marks[i].mark);
    return name;
}

/* Fields that are also counted together, whichever it was. */
static struct span shared_name(struct span name)
{
    static const struct {
        const char *name, *mark;
    } marks[] = {
        {"In-Reply-To", "*MI"}, {"References", "*MI"}, {"Message-ID", "*MI"}, {"From", "*Ad"},
        {"To", "*Ad"},          {"Cc", "*Ad"},         {"X-Mailer", "*UA"},   {"User-Agent", "*UA"},
    };
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (span_ieq(name, span_str(marks[i].name)))
            return span_str(marks[i].mark);
    return SPAN_NONE;
}

struct values {
    struct collector *c;
    struct map joined; /* name in tokens -> struct buf * */
};

static void join(struct values *v, struct span name, struct span value)
{
    void **slot = map_at(&v->joined, name);
    if (*slot)
        buf_char(*slot, ' ');
    else
        *slot = ARENA_NEW(v->c->a, struct buf);
    buf_add(*slot, value);
}

static void take(struct values *v, const struct learn_field *f)
{
    struct collector *c = v->c;
    const struct learn_rules *r = c->rules;
    if (r->ignored && r->ignored(r->ctx, arena_lower(c->a, f->name)))
        return;
    struct span value = value_of(c, f->name, f->value), shared = shared_name(f->name);
    if (shared.p)
        join(v, shared, value);
    join(v, short_name(f->name), value);
}

static bool is_received(const struct learn_field *f)
{
    return span_ieq(f->name, SPAN("Received"));
}

/* The two oldest: what the sender's own machines said. */
static void take_received(struct values *v, const struct learn_text *t)
{
    unsigned taken = 0;
    for (size_t i = t->nfields; i-- > 0 && taken < 2;)
        if (is_received(&t->fields[i])) {
            take(v, &t->fields[i]);
            taken++;
        }
}

void collect_header(struct collector *c, const struct learn_text *t)
{
    struct values v = {c, map_in(c->a)};
    c->match = pcre2_match_data_create(GROUPS, NULL);
    if (!c->match)
        return;
    for (size_t i = 0; i < t->nfields; i++)
        if (!is_received(&t->fields[i]) && !is(c, P_IGNORED, t->fields[i].name))
            take(&v, &t->fields[i]);
    for (size_t i = 0; i < t->nmetadata; i++)
        take(&v, &t->metadata[i]);
    take_received(&v, t);
    pcre2_match_data_free(c->match);
    c->match = NULL;
    c->found = 0;
    for (size_t i = 0; i < v.joined.n; i++) {
        const struct map_entry *e = &v.joined.entries[i];
        struct span prefix = arena_printf(c->a, "H%.*s:", SPAN_ARG(e->key));
        if (c->found < LEARN_SHORT_MAX)
            collect_line(c, buf_span(e->value), prefix, REGION_HEADER);
    }
    for (size_t i = 0; i < v.joined.n; i++)
        buf_free(v.joined.entries[i].value);
}
