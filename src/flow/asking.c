#include "flow/asking.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "flow/guarded.h"

enum { SHRINK_TO = 5 }; /* the shortest wait is that part of the longest */

/* One open question. */
struct pending {
    struct asking *asking;
    struct pending *prev, *next;
    struct dns_question *question;
    dns_answer_fn *done; /* of authentication; NULL: of the rules */
    void *done_ctx;
    size_t index; /* of the rules' question */
    const struct dns_answer *answer;
};

struct asking {
    uv_loop_t *loop;
    struct dns *dns;
    const struct settings *set;
    struct message *m;
    struct rules_work *work; /* NULL: no rules (yet), or out of memory */
    struct resolver resolver;
    struct pending *open;
    size_t planned; /* questions of the rules that were asked */
    size_t asked, answered, refused;
    unsigned holds;
    bool gone, ended, exhausted, late, replan;
    usec started;
    uv_timer_t timer;
    asking_done *done;
    void *ctx;
};

static const struct dns_answer no_answer = {.status = DNS_TEMPFAIL, .rcode = DNS_RCODE_NO_ANSWER};

/* --- end --- */

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

static void tell_refused(void *ctx)
{
    struct asking *a = ctx;
    facts_skip(&a->m->facts, a->m->arena, "auth/questions",
               arena_printf(a->m->arena,
                            "%zu questions more than dns.message_questions were not asked",
                            a->refused));
}

static void maybe_end(struct asking *a)
{
    if (!a->gone || a->ended || a->open || a->holds)
        return;
    a->ended = true;
    if (a->refused && !a->exhausted)
        a->exhausted = !guarded(a->m, 0, tell_refused, a);
    uv_close((uv_handle_t *)&a->timer, on_closed);
    a->done(a->ctx);
}

/* --- answers --- */

static void unlink_pending(struct pending *p)
{
    if (p->prev)
        p->prev->next = p->next;
    else
        p->asking->open = p->next;
    if (p->next)
        p->next->prev = p->prev;
}

/* Rules and authentication were left in the middle of their work: nothing more goes to them. */
void asking_lose(struct asking *a)
{
    a->exhausted = true;
    a->work = NULL;
    a->holds = 0;
    while (a->open) {
        struct pending *p = a->open;
        dns_cancel(p->question);
        unlink_pending(p);
        free(p);
    }
}

static void plan(void *ctx)
{
    rules_plan(((struct asking *)ctx)->work);
}

static void ask_planned(struct asking *a);

static void plan_and_ask(struct asking *a)
{
    a->replan = false;
    if (!a->work || a->late)
        return;
    if (guarded(a->m, a->set->limits.scan_time, plan, a))
        ask_planned(a);
    else
        asking_lose(a);
}

static void take(void *ctx)
{
    struct pending *p = ctx;
    struct asking *a = p->asking;
    if (p->done)
        p->done(p->done_ctx, p->answer);
    else if (a->work)
        a->replan |= rules_answer(a->work, p->index, p->answer);
}

static void set_deadline(struct asking *a);

/* Does not end the asking: an answer may be given from inside. */
static void give(struct pending *p, const struct dns_answer *answer)
{
    struct asking *a = p->asking;
    unlink_pending(p);
    a->answered++;
    p->answer = answer;
    if (!guarded(a->m, 0, take, p))
        asking_lose(a);
    else if (a->replan)
        plan_and_ask(a);
    free(p);
}

static void on_answer(void *ctx, const struct dns_answer *answer)
{
    struct pending *p = ctx;
    struct asking *a = p->asking;
    give(p, answer);
    if (!a->late)
        set_deadline(a);
    maybe_end(a);
}

/* --- time --- */

static void on_deadline(uv_timer_t *t)
{
    struct asking *a = t->data;
    a->late = true;
    while (a->open) {
        dns_cancel(a->open->question);
        give(a->open, &no_answer);
    }
    maybe_end(a);
}

static void set_deadline(struct asking *a)
{
    double most = (double)a->set->dns.message_time, least = most / SHRINK_TO;
    double share = a->asked ? (double)a->answered / (double)a->asked : 0;
    double wait = least + (most - least) * (1 - share * share);
    double left = wait - (double)(clock_mono() - a->started);
    if (a->open && !a->ended)
        uv_timer_start(&a->timer, on_deadline, left > 0 ? (uint64_t)(left / 1000) : 0, 0);
}

/* --- questions --- */

static struct pending *add(struct asking *a)
{
    struct pending *p = xcalloc(1, sizeof *p);
    p->asking = a;
    p->next = a->open;
    if (p->next)
        p->next->prev = p;
    a->open = p;
    a->asked++;
    return p;
}

static void ask_planned(struct asking *a)
{
    while (a->work && !a->late && a->planned < rules_questions(a->work)) {
        struct rules_question q = rules_question(a->work, a->planned);
        struct pending *p = add(a);
        p->index = a->planned++;
        p->question = dns_ask(a->dns, q.name, q.type, on_answer, p);
    }
}

/* Authentication's questions: said at once when there is nothing left to spend. */
static void resolver_wants(void *ctx, struct span name, enum dns_type type, dns_answer_fn *done,
                           void *done_ctx)
{
    struct asking *a = ctx;
    if (a->late || a->asked >= a->set->dns.message_questions) {
        a->refused += !a->late;
        done(done_ctx, &no_answer);
        return;
    }
    struct pending *p = add(a);
    p->done = done;
    p->done_ctx = done_ctx;
    p->question = dns_ask(a->dns, name, type, on_answer, p);
}

struct asking *asking_new(uv_loop_t *loop, struct dns *dns, const struct settings *set,
                          struct message *m, asking_done *done, void *ctx)
{
    struct asking *a = xcalloc(1, sizeof *a);
    *a = (struct asking){.loop = loop, .dns = dns, .set = set, .m = m, .done = done, .ctx = ctx};
    a->resolver = (struct resolver){resolver_wants, a};
    a->started = clock_mono();
    uv_timer_init(loop, &a->timer);
    a->timer.data = a;
    return a;
}

const struct resolver *asking_resolver(struct asking *a)
{
    return &a->resolver;
}

void asking_hold(struct asking *a)
{
    a->holds++;
}

void asking_release(struct asking *a)
{
    a->replan = true;
    a->holds--;
}

void asking_rules(struct asking *a, struct rules_work *w)
{
    a->work = w;
    plan_and_ask(a);
}

void asking_go(struct asking *a)
{
    a->gone = true;
    if (a->replan)
        plan_and_ask(a);
    set_deadline(a);
    maybe_end(a);
}

bool asking_exhausted(const struct asking *a)
{
    return a->exhausted;
}
