#include "cli/format.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "action/action.h"
#include "cli/print.h"
#include "rules/report.h"

char *score_text(double score, char out[SCORE_TEXT_SIZE])
{
    int n = snprintf(out, SCORE_TEXT_SIZE, "%.3f", score);
    while (n > 1 && out[n - 1] == '0')
        out[--n] = '\0';
    if (n > 1 && out[n - 1] == '.')
        out[--n] = '\0';
    if (strcmp(out, "-0") == 0)
        memcpy(out, "0", 2);
    return out;
}

static const struct decision *first(const struct judged *j)
{
    return j->verdict->n ? &j->verdict->v[0] : NULL;
}

static double required(const struct judged *j)
{
    return first(j) ? first(j)->required : j->set->rules.required_score;
}

/* --- tsv --- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names are separated by commas, sorted, each once. */
static void names(struct buf *out, const char **v, size_t n)
{
    bool ready = true;
    for (size_t i = 1; i < n && ready; i++)
        ready = strcmp(v[i - 1], v[i]) < 0;
    if (!ready)
        qsort(v, n, sizeof *v, by_text);
    for (size_t i = 0; i < n; i++) {
        if (!ready && i > 0 && strcmp(v[i], v[i - 1]) == 0)
            continue;
        if (i > 0)
            buf_char(out, ',');
        buf_str(out, v[i]);
    }
}

/* A name with a tab or a line end in it would break the line. */
static void tsv_name(struct buf *out, const char *name)
{
    for (; *name; name++) {
        if (*name == '\t' || *name == '\n' || *name == '\\')
            buf_printf(out, "\\%c", *name == '\t' ? 't' : *name == '\n' ? 'n' : '\\');
        else
            buf_char(out, *name);
    }
}

static void tsv(struct buf *out, const struct judged *j)
{
    const struct rules_facts *r = &j->m->facts.rules;
    const char **v = arena_array(j->m->arena, r->nhits + r->nsubrules + 1, sizeof *v);
    char score[SCORE_TEXT_SIZE];
    tsv_name(out, j->item->name);
    buf_printf(out, "\t%s\t", score_text(r->score, score));
    for (size_t i = 0; i < r->nhits; i++)
        v[i] = r->hits[i].name;
    names(out, v, r->nhits);
    buf_char(out, '\t');
    for (size_t i = 0; i < r->nsubrules; i++)
        v[i] = r->subrules[i];
    names(out, v, r->nsubrules);
    buf_char(out, '\n');
}

/* --- json --- */

/* Three decimals, without the noise of binary fractions. */
static json_t *number(double v)
{
    char s[SCORE_TEXT_SIZE];
    return json_real(strtod(score_text(v, s), NULL));
}

static json_t *hits(const struct rules_facts *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->nhits; i++) {
        const struct rule_hit *h = &r->hits[i];
        json_t *o = json_object();
        json_object_set_new(o, "name", json_string(h->name));
        json_object_set_new(o, "score", number(h->score));
        json_object_set_new(o, "description", json_of(span_str(h->describe)));
        json_object_set_new(o, "evidence", json_of(h->evidence));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *viruses(const struct virus_facts *v)
{
    json_t *list = json_array();
    if (v->state == VIRUS_FOUND) {
        json_t *o = json_object();
        json_object_set_new(o, "name", json_of(v->name));
        json_object_set_new(o, "engine", json_of(v->engine));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *skipped(const struct facts *f)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->nskipped; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "check", json_string(f->skipped[i].check));
        json_object_set_new(o, "why", json_of(f->skipped[i].why));
        json_array_append_new(list, o);
    }
    const char *why = virus_why_unscanned(f->virus.state);
    if (why) {
        json_t *o = json_object();
        json_object_set_new(o, "check", json_string("virus"));
        json_object_set_new(o, "why",
                            f->virus.detail.n ? json_of(f->virus.detail) : json_string(why));
        json_array_append_new(list, o);
    }
    return list;
}

static void dump(struct buf *out, json_t *o)
{
    char *line = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(12));
    buf_str(out, line);
    buf_char(out, '\n');
    free(line);
    json_decref(o);
}

static void json(struct buf *out, const struct judged *j)
{
    const struct facts *f = &j->m->facts;
    json_t *o = json_object(), *subrules = json_array(), *facts = json_object();
    json_object_set_new(o, "file", json_of(span_str(j->item->name)));
    json_object_set_new(o, "score", number(f->rules.score));
    json_object_set_new(o, "required", number(required(j)));
    json_object_set_new(o, "outcome",
                        json_string(first(j) ? outcome_name(first(j)->outcome) : "accept"));
    json_object_set_new(o, "rules", hits(&f->rules));
    for (size_t i = 0; i < f->rules.nsubrules; i++)
        json_array_append_new(subrules, json_string(f->rules.subrules[i]));
    json_object_set_new(o, "subrules", subrules);
    json_object_set_new(o, "virus", viruses(&f->virus));
    for (size_t i = 0; i < f->nfacts; i++)
        json_object_set_new(facts, f->facts[i].name, json_of(f->facts[i].value));
    json_object_set_new(o, "facts", facts);
    json_object_set_new(o, "skipped", skipped(f));
    json_object_set_new(o, "micros", json_integer((json_int_t)j->micros));
    dump(out, o);
}

/* --- text: the report of `spamassassin -t` --- */

/* What a stranger wrote goes to a terminal: control characters are shown as '?'. */
static void printable(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        buf_char(out, c == '\n' || (c >= ' ' && c != 0x7f) ? (char)c : '?');
    }
}

/* The template of the rule files; own rules without one get its main part. */
static struct span report_of(const struct judged *j)
{
    const struct decision *d = first(j);
    struct report_on on = d && d->opinion ? report_on_opinion(d->opinion, j->m, j->m->arena)
                                          : report_on(ruleset_conf(j->rules), j->m, j->m->arena);
    on.hostname = j->set->hostname;
    on.required = required(j);
    on.spam = first(j) && first(j)->spam;
    struct span text = report_text(&on);
    if (!span_starts(text, SPAN("(no report template")))
        return text;
    return report_expand(&on,
                         SPAN("Content analysis details:   (_SCORE_ points, _REQD_ required)\n\n"
                              " pts rule name              description\n"
                              "---- ---------------------- "
                              "--------------------------------------------------\n"
                              "_SUMMARY_\n"));
}

/* Line ends and the like as \\xHH. */
static void visible(struct buf *out, struct span s)
{
    for (size_t k = 0; k < s.n; k++) {
        unsigned char c = (unsigned char)s.p[k];
        if (c < ' ' || c >= 0x7f)
            buf_printf(out, "\\x%02x", c);
        else
            buf_char(out, (char)c);
    }
}

static void reason(void *ctx, const struct rule_reason *r)
{
    struct buf *out = ctx;
    int indent = (int)r->level * 2, width = 22 - indent;
    buf_printf(out, "%*s%-*s ", indent, "", width > 0 ? width : 0, r->name);
    if (r->again)
        buf_str(out, "META: see above");
    else if (r->expression.n)
        buf_printf(out, "META: %.*s", SPAN_ARG(r->expression));
    else if (r->definition.n)
        buf_printf(out, "(%.*s)", SPAN_ARG(r->definition));
    visible(out, r->bytes);
    buf_char(out, '\n');
}

/* What each rule saw, and what of its conditions held. */
static void matched(struct buf *out, const struct message *m)
{
    if (m->facts.rules.nhits)
        buf_str(out, "What matched:\n");
    rules_why(m, reason, out);
}

static void text_report(struct buf *out, const struct judged *j)
{
    const struct rules_facts *r = &j->m->facts.rules;
    const struct virus_facts *v = &j->m->facts.virus;
    const struct decision *d = first(j);
    buf_str(out, "== ");
    printable(out, span_str(j->item->name));
    buf_printf(out, ": %s", v->state == VIRUS_FOUND ? "infected" : d && d->spam ? "spam" : "ham");
    if (d)
        buf_printf(out, ", %s", outcome_name(d->outcome));
    buf_str(out, "\n");
    if (v->state == VIRUS_FOUND) {
        buf_str(out, "Virus:            ");
        printable(out, v->name);
        buf_str(out, "\n");
    }
    if (r->ran && j->rules) {
        printable(out, report_of(j));
        matched(out, j->m);
    }
    for (size_t i = 0; i < j->m->facts.nskipped; i++) {
        const struct skipped *s = &j->m->facts.skipped[i];
        buf_printf(out, "Not checked: %s: %.*s\n", s->check, SPAN_ARG(s->why));
    }
    if (j->set->virus.enabled && virus_why_unscanned(v->state))
        buf_printf(out, "Not checked: virus: %s\n", virus_why_unscanned(v->state));
    buf_char(out, '\n');
}

/* --- the message with its edits --- */

/* Lines that look like separators are quoted as mboxrd wants: one '>' more. */
static void add_quoted(struct buf *out, struct span message)
{
    while (message.n) {
        const char *lf = memchr(message.p, '\n', message.n);
        struct span line = lf ? span_sub(message, 0, (size_t)(lf - message.p) + 1) : message;
        size_t quotes = 0;
        while (quotes < line.n && line.p[quotes] == '>')
            quotes++;
        if (span_starts(span_from(line, quotes), SPAN("From ")))
            buf_char(out, '>');
        buf_add(out, line);
        message = span_from(message, line.n);
    }
}

static void message(struct buf *out, const struct judged *j, bool mailbox)
{
    struct splices edits = {0};
    struct buf edited = {0};
    char when[32];
    time_t now = (time_t)(j->m->received / USEC_PER_SEC);
    struct tm tm;
    if (first(j))
        action_edits(j->set, j->rules ? ruleset_conf(j->rules) : NULL, j->m, first(j), j->m->arena,
                     &edits);
    if (!mailbox) {
        splices_apply(&edits, j->m->raw, out);
        return;
    }
    splices_apply(&edits, j->m->raw, &edited);
    if (j->item->separator)
        buf_printf(out, "%s\n", j->item->separator);
    else
        buf_printf(out, "From MAILER-DAEMON %s", asctime_r(gmtime_r(&now, &tm), when));
    if (j->item->separator)
        buf_add(out, buf_span(&edited));
    else
        add_quoted(out, buf_span(&edited));
    if (edited.n == 0 || edited.p[edited.n - 1] != '\n')
        buf_char(out, '\n');
    buf_char(out, '\n');
    buf_free(&edited);
}

void format_judged(struct buf *out, enum scan_format f, const struct judged *j, bool mailbox)
{
    switch (f) {
    case FORMAT_TEXT:
        text_report(out, j);
        break;
    case FORMAT_JSON:
        json(out, j);
        break;
    case FORMAT_TSV:
        tsv(out, j);
        break;
    case FORMAT_MESSAGE:
        message(out, j, mailbox);
        break;
    }
}

void format_failure(struct buf *out, enum scan_format f, const char *name, const char *why)
{
    if (f != FORMAT_JSON)
        return;
    json_t *o = json_object();
    json_object_set_new(o, "file", json_of(span_str(name)));
    json_object_set_new(o, "error", json_of(span_str(why)));
    dump(out, o);
}
