#include "cli/story.h"

#include "cli/print.h"

enum { EVIDENCE_MAX = 100, WHEN = CLOCK_ISO_SIZE };

static struct span text_of(const json_t *o, const char *key)
{
    const json_t *j = json_object_get(o, key);
    return json_is_string(j) ? span_of(json_string_value(j), json_string_length(j)) : SPAN_NONE;
}

static double number_of(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

/* "  label      text\n", when there is a text. */
static void line(FILE *out, const char *label, struct span text)
{
    if (!text.n)
        return;
    fprintf(out, "  %-11s ", label);
    print_text(out, text, SIZE_MAX);
    fputc('\n', out);
}

static void angle(FILE *out, struct span addr)
{
    fputc('<', out);
    print_text(out, addr, SIZE_MAX);
    fputc('>', out);
}

/* --- arrival --- */

static void peer(FILE *out, const struct record_row *r, const json_t *receipt)
{
    const json_t *p = json_object_get(receipt, "peer");
    if (!r->peer_ip.p && !r->helo.p)
        return;
    fprintf(out, "  %-11s ", "from host");
    print_text(out, r->peer_name.p ? r->peer_name : SPAN("(name unknown)"), SIZE_MAX);
    if (r->peer_ip.p)
        fprintf(out, " [%.*s]", SPAN_ARG(r->peer_ip));
    if (r->helo.p) {
        fputs(", which said ", out);
        print_text(out, r->helo, SIZE_MAX);
    }
    static const struct {
        const char *key, *intro;
    } more[] = {{"protocol", ", "},
                {"tls", " "},
                {"cipher", " "},
                {"listener", ", listener "},
                {"user", ", authenticated as "}};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        struct span s = text_of(p, more[i].key);
        if (!s.p)
            continue;
        fputs(more[i].intro, out);
        print_text(out, s, SIZE_MAX);
    }
    fputc('\n', out);
}

static void arrival(FILE *out, const struct record_told *t, const json_t *receipt)
{
    char when[WHEN];
    const struct record_row *r = &t->row;
    fprintf(out, "%s\n", r->id);
    fprintf(out, "  %-11s %s, %llu bytes\n", "arrived", clock_iso(r->received, when),
            (unsigned long long)r->size);
    peer(out, r, receipt);
    fprintf(out, "  %-11s ", "sender");
    angle(out, r->sender);
    for (size_t i = 0; i < r->nrcpts; i++) {
        fprintf(out, "\n  %-11s ", i ? "" : "recipients");
        angle(out, r->rcpts[i]);
    }
    fputc('\n', out);
    line(out, "From:", r->header_from);
    line(out, "Subject:", r->subject);
    line(out, "Message-ID:", r->message_id);
}

/* --- decision --- */

static void group(FILE *out, const struct record_told *t, const struct record_group *g)
{
    fprintf(out, "  %s", g->outcome);
    for (size_t i = 0; i < g->nrcpts && t->ngroups > 1; i++) {
        fputs(i ? ", " : " for ", out);
        angle(out, t->row.rcpts[g->rcpts[i]]);
    }
    fputs(": ", out);
    print_text(out, g->reason, SIZE_MAX);
    if (g->detail.n) {
        fputs(" (", out);
        print_text(out, g->detail, SIZE_MAX);
        fputs(")", out);
    }
    if (g->policy.n) {
        fputs(", policy ", out);
        print_text(out, g->policy, SIZE_MAX);
    }
    fprintf(out, "%s\n", g->unscanned ? ", passed without a full check" : "");
    if (g->reply.n) {
        fputs("    the sender was told: ", out);
        print_text(out, g->reply, SIZE_MAX);
        fputc('\n', out);
    }
}

static void decision(FILE *out, const struct record_told *t)
{
    fprintf(out, "\ndecided in %.1f ms\n", (double)t->row.micros / 1000);
    for (size_t i = 0; i < t->ngroups; i++)
        group(out, t, &t->groups[i]);
    if (t->ngroups == 0)
        fputs("  not judged yet\n", out);
}

/* --- what the checks said --- */

static void hit(FILE *out, const json_t *h)
{
    struct span area = text_of(h, "area"), evidence = text_of(h, "evidence");
    fprintf(out, "  %6.*f %-24s ", 3, number_of(h, "score"),
            json_string_value(json_object_get(h, "name")));
    if (area.n)
        fprintf(out, "%.*s: ", SPAN_ARG(area));
    print_text(out, text_of(h, "description"), SIZE_MAX);
    fputc('\n', out);
    if (evidence.n) {
        fprintf(out, "  %6s %-24s matched \"", "", "");
        print_text(out, evidence, EVIDENCE_MAX);
        fputs("\"\n", out);
    }
}

static void rules(FILE *out, const json_t *r)
{
    const json_t *hits = json_object_get(r, "hits"), *subrules = json_object_get(r, "subrules");
    if (!json_is_true(json_object_get(r, "ran"))) {
        fputs("\nrules: did not run\n", out);
        return;
    }
    fprintf(out, "\nrules: score %.3g of %.3g\n", number_of(r, "score"), number_of(r, "required"));
    for (size_t i = 0; i < json_array_size(hits); i++)
        hit(out, json_array_get(hits, i));
    if (json_array_size(hits) == 0)
        fputs("  none hit\n", out);
    if (json_array_size(subrules))
        fprintf(out, "  and %zu sub-rules (--json lists them)\n", json_array_size(subrules));
}

static void virus(FILE *out, const json_t *v)
{
    fputs("\nvirus check: ", out);
    print_text(out, text_of(v, "state"), SIZE_MAX);
    static const struct {
        const char *key, *intro;
    } more[] = {{"name", " "}, {"engine", ", by "}, {"detail", ": "}};
    for (size_t i = 0; i < 3; i++) {
        struct span s = text_of(v, more[i].key);
        if (!s.n)
            continue;
        fputs(more[i].intro, out);
        print_text(out, s, SIZE_MAX);
    }
    fputc('\n', out);
}

static void skipped(FILE *out, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *s = json_array_get(list, i);
        fputs(i ? "  " : "\nnot checked:\n  ", out);
        print_text(out, text_of(s, "check"), SIZE_MAX);
        fputs(": ", out);
        print_text(out, text_of(s, "why"), SIZE_MAX);
        fputc('\n', out);
    }
}

static void facts(FILE *out, json_t *o)
{
    const char *key;
    json_t *value;
    bool any = false;
    json_object_foreach(o, key, value)
    {
        fprintf(out, "%s  %s = ", any ? "" : "\nalso noted:\n", key);
        any = true;
        print_text(out, span_str(json_string_value(value)), SIZE_MAX);
        fputc('\n', out);
    }
}

/* --- afterwards --- */

static void events(FILE *out, const struct record_told *t)
{
    char when[WHEN];
    for (size_t i = 0; i < t->nevents; i++) {
        const struct record_told_event *e = &t->events[i];
        fprintf(out, "%s  %s %s", i ? "" : "\nafterwards:\n", clock_iso(e->when, when), e->kind);
        if (e->rcpt.p) {
            fputc(' ', out);
            angle(out, e->rcpt);
        }
        if (e->where.p) {
            fputs(" at ", out);
            print_text(out, e->where, SIZE_MAX);
        }
        if (e->text.p) {
            fputs(": ", out);
            print_text(out, e->text, SIZE_MAX);
        }
        fputc('\n', out);
    }
}

void story_print(FILE *out, const struct record_told *t)
{
    json_t *receipt = t->receipt.p ? json_loadb(t->receipt.p, t->receipt.n, 0, NULL) : NULL;
    arrival(out, t, receipt);
    decision(out, t);
    if (receipt) {
        rules(out, json_object_get(receipt, "rules"));
        virus(out, json_object_get(receipt, "virus"));
        skipped(out, json_object_get(receipt, "skipped"));
        facts(out, json_object_get(receipt, "facts"));
    } else if (t->ngroups) {
        fputs("\nthe receipt was not kept\n", out);
    }
    events(out, t);
    if (receipt) {
        fputs("\njudged by ", out);
        print_text(out, text_of(receipt, "software"), SIZE_MAX);
        fputs(" on ", out);
        print_text(out, text_of(receipt, "gateway"), SIZE_MAX);
        fputs(", configuration ", out);
        print_text(out, text_of(receipt, "configuration"), SIZE_MAX);
        fputc('\n', out);
    }
    json_decref(receipt);
}

void story_json(FILE *out, const struct record_told *t)
{
    json_t *o = t->receipt.p ? json_loadb(t->receipt.p, t->receipt.n, 0, NULL) : NULL;
    if (!o)
        o = json_pack("{s:s,s:o}", "id", t->row.id, "time", json_time(t->row.received));
    json_t *groups = json_array(), *list = json_array();
    for (size_t i = 0; i < t->ngroups; i++) {
        const struct record_group *g = &t->groups[i];
        json_t *to = json_array();
        for (size_t k = 0; k < g->nrcpts; k++)
            json_array_append_new(to, json_of(t->row.rcpts[g->rcpts[k]]));
        json_array_append_new(groups,
                              json_pack("{s:s,s:o,s:o,s:o,s:o,s:b,s:o}", "outcome", g->outcome,
                                        "policy", json_of(g->policy), "reason", json_of(g->reason),
                                        "detail", json_of(g->detail), "reply", json_of(g->reply),
                                        "unscanned", g->unscanned, "recipients", to));
    }
    for (size_t i = 0; i < t->nevents; i++) {
        const struct record_told_event *e = &t->events[i];
        json_array_append_new(list,
                              json_pack("{s:o,s:s,s:o,s:o,s:o}", "time", json_time(e->when),
                                        "event", e->kind, "recipient", json_of(e->rcpt), "where",
                                        json_of(e->where), "text", json_of(e->text)));
    }
    json_object_set_new(o, "subject", json_of(t->row.subject));
    json_object_set_new(o, "groups", groups);
    json_object_set_new(o, "events", list);
    print_json(out, o);
}
