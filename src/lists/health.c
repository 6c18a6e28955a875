/* Whether a list can be believed. */
#include "lists/lists_private.h"

#include <stdio.h>

#include "base/log.h"

static void again_soon(struct zone *z)
{
    z->test.next = clock_mono() + LIST_RETEST_S * USEC_PER_SEC;
}

void zone_break(struct zone *z, const char *why)
{
    if (!z->broken)
        log_event(LOG_WARN, NULL, "list-disabled", F_SPAN("list", z->specs[0]->name),
                  F_STR("why", why), F_INT("tested-again-in-s", LIST_RETEST_S));
    z->broken = why;
    again_soon(z);
}

static void mend(struct zone *z)
{
    if (z->broken)
        log_event(LOG_NOTE, NULL, "list-usable", F_SPAN("list", z->specs[0]->name));
    z->broken = NULL;
    z->silent_in_row = 0;
}

bool zone_answer_sound(struct zone *z, const struct dns_answer *a)
{
    if (a->status == DNS_TEMPFAIL) {
        z->silent++;
        if (++z->silent_in_row >= LIST_SILENT_AFTER)
            zone_break(z, "it does not answer");
        return false;
    }
    z->silent_in_row = 0;
    for (size_t i = 0; i < a->n; i++) {
        struct ip ip;
        if (!dns_rdata_ip(a->rdata[i], DNS_A, &ip))
            continue;
        if (ip.b[12] != 127) {
            zone_break(z, "it answers outside 127/8: a resolver or a new owner that answers all");
            return false;
        }
        if (ip.b[13] == 255 && ip.b[14] == 255) {
            zone_break(z, ip.b[15] == 254   ? "it says 127.255.255.254: ask from a resolver of "
                                              "your own, not through a public one"
                          : ip.b[15] == 255 ? "it says 127.255.255.255: too many questions"
                          : ip.b[15] == 252 ? "it says 127.255.255.252: no such zone"
                                            : "it says 127.255.255.x: an error");
            return false;
        }
    }
    return true;
}

/* ---- the test ---- */

static void tested(struct zone *z)
{
    if (z->test.listed || z->test.clean)
        return;
    usec pause = z->lists->set->list_test;
    if (z->test.unanswered) {
        if (++z->silent_in_row >= LIST_SILENT_AFTER || z->broken)
            zone_break(z, "it does not answer");
        else
            again_soon(z);
        return;
    }
    if (z->test.failed)
        return;
    mend(z);
    z->test.next = clock_mono() + (pause ? pause : 365 * 86400 * USEC_PER_SEC);
}

static void on_listed(void *ctx, const struct dns_answer *a)
{
    struct zone *z = ctx;
    z->test.listed = NULL;
    if (a->status == DNS_TEMPFAIL) {
        z->test.unanswered = true;
    } else if (!zone_answer_sound(z, a)) {
        z->test.failed = true;
    } else if (a->status == DNS_NONE) {
        z->test.failed = true;
        zone_break(z, "it does not list its test entry: nothing is listed there any more");
    }
    tested(z);
}

static void on_clean(void *ctx, const struct dns_answer *a)
{
    struct zone *z = ctx;
    z->test.clean = NULL;
    if (a->status == DNS_TEMPFAIL) {
        z->test.unanswered = true;
    } else if (!zone_answer_sound(z, a)) {
        z->test.failed = true;
    } else if (a->status == DNS_OK) {
        z->test.failed = true;
        zone_break(z, "it lists what can't be listed: it would refuse everybody");
    }
    tested(z);
}

/* The question may be answered from inside dns_ask; the marks tell that one is under way. */
static void test_ask(struct zone *z, struct span what, struct dns_question **mark,
                     dns_answer_fn *done)
{
    char name[DNS_NAME_MAX];
    int n = snprintf(name, sizeof name, "%.*s.%.*s", SPAN_ARG(what), SPAN_ARG(z->name));
    if (n > 0 && (size_t)n < sizeof name)
        *mark = dns_ask(z->lists->dns, span_of(name, (size_t)n), DNS_A, done, z);
}

void zone_test(struct zone *z, usec now)
{
    if (now < z->test.next || z->test.listed || z->test.clean)
        return;
    z->test.failed = z->test.unanswered = false;
    z->test.next = now + LIST_RETEST_S * USEC_PER_SEC;
    bool clients = z->kind == LIST_CLIENTS;
    test_ask(z, clients ? SPAN("1.0.0.127") : SPAN("invalid"), &z->test.clean, on_clean);
    if (clients || z->specs[0]->test.n)
        test_ask(z, clients ? SPAN("2.0.0.127") : z->specs[0]->test, &z->test.listed, on_listed);
}

void zone_stop_test(struct zone *z)
{
    if (z->test.listed)
        dns_cancel(z->test.listed);
    if (z->test.clean)
        dns_cancel(z->test.clean);
    z->test.listed = z->test.clean = NULL;
}
