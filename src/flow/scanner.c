#include "flow/scanner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "flow/answer.h"
#include "flow/flow.h"
#include "flow/signing.h"
#include "flow/teaching.h"
#include "ipc/link.h"
#include "kv/kv.h"

enum { PEERS_MAX = 16, IDLE_MESSAGES = 8 };

struct scanner {
    uv_loop_t loop;
    const struct settings *set;
    const struct ruleset *rs;
    struct flow *flow;
    struct signing *signing; /* NULL: nothing is signed */
    struct virus_pool *virus;
    struct kv *memory;
    struct learn_store *learned; /* what Bayes knows; NULL: nothing yet */
    struct teaching *teaching;
    uv_timer_t tick;
    struct link *control;
    struct {
        struct link *link; /* a door or the spool; NULL: free */
        uint64_t serial;   /* of the link, so that an answer never goes to a successor */
        bool undrained;    /* requests may still wait in it */
    } peers[PEERS_MAX];
    uint64_t serial;
    struct message *idle[IDLE_MESSAGES];
    size_t nidle, working;
    bool draining, told_unreadable;
};

/* One request in work. The peer may die meanwhile: then the answer is dropped. */
struct work {
    struct scanner *sc;
    uint64_t from; /* serial of the link */
    uint64_t tag;
    int fd;
    unsigned want, teach;
    struct message *m;
    struct scan_result *result;
};

static void maybe_finish(struct scanner *sc);
static void drain(struct scanner *sc);

static struct message *take_message(struct scanner *sc)
{
    return sc->nidle ? sc->idle[--sc->nidle] : message_new(sc->set->limits.message_memory);
}

static void give_message(struct scanner *sc, struct message *m)
{
    if (sc->nidle == IDLE_MESSAGES) {
        message_free(m);
        return;
    }
    message_reset(m);
    arena_limit(m->arena, sc->set->limits.message_memory);
    sc->idle[sc->nidle++] = m;
}

static struct link *peer_by_serial(const struct scanner *sc, uint64_t serial)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (sc->peers[i].link && sc->peers[i].serial == serial)
            return sc->peers[i].link;
    return NULL;
}

static uint64_t serial_of(const struct scanner *sc, const struct link *l)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (sc->peers[i].link == l)
            return sc->peers[i].serial;
    return 0;
}

static void answer(void *ctx)
{
    struct work *w = ctx;
    struct scanner *sc = w->sc;
    struct link *to = peer_by_serial(sc, w->from);
    if (to) {
        struct buf b = {0};
        scan_result_encode(&b, w->result);
        link_send(to, FRAME_SCAN_RESULT, w->tag, buf_span(&b), -1);
        buf_free(&b);
    }
    close(w->fd);
    give_message(sc, w->m);
    free(w);
    sc->working--;
    maybe_finish(sc);
}

/* What the judgement has taught; nobody waits for it. */
static void send_lessons(struct scanner *sc, const struct message *m)
{
    if (m->lesson.n)
        teaching_tell(sc->teaching, m->lesson);
    if (m->touched.n)
        teaching_tell(sc->teaching, m->touched);
}

static void on_judged(void *ctx, struct message *m, const struct verdict *v, uint64_t micros)
{
    struct work *w = ctx;
    w->result = ARENA_NEW(m->arena, struct scan_result);
    send_lessons(w->sc, m);
    flow_result(w->sc->flow, m, v, micros, w->result);
    if (w->want & WANT_ANY)
        answer_make(w->sc->set, w->sc->rs ? ruleset_conf(w->sc->rs) : NULL, m, v, w->want,
                    &w->result->answer);
    signing_for_release(w->want & WANT_ANY ? NULL : w->sc->signing, m, w->result,
                        w->want & SCAN_HELD);
    /* Who asked delivers it himself, as he likes. */
    signing_run(w->want & WANT_ANY ? NULL : w->sc->signing, m, w->result, answer, w);
}

/* Whose part of what was learned counts. */
static struct span learned_by(const struct scanner *sc, const struct message *m)
{
    struct span user = m->user;
    if (!sc->set->learn.users)
        return SPAN("");
    if (!user.n && m->env.nrcpts == 1)
        user = m->env.rcpts[0].addr;
    return user.n && user.n <= LEARN_USER_MAX ? arena_lower(m->arena, user) : SPAN("");
}

static bool load(struct scanner *sc, struct message *m, struct span payload, int fd, unsigned *want,
                 unsigned *teach)
{
    struct scan_request req;
    if (!scan_request_decode(payload, m->arena, &req))
        return false;
    *teach = req.teach;
    memcpy(m->id, req.id, sizeof m->id);
    m->received = req.received;
    m->peer = req.peer;
    m->env = req.env;
    m->user = req.user;
    struct said *said = ARENA_NEW(m->arena, struct said);
    *said = req.said;
    m->said = said;
    for (size_t i = 0; i < req.nfacts; i++)
        facts_add(&m->facts, m->arena, req.facts[i].name, req.facts[i].value);
    m->has_envelope = !(req.want & SCAN_A_FILE);
    m->body_fixed = (req.want & WANT_ANY) && !(req.want & SCAN_WHOLE);
    *want = req.want;
    m->learned = sc->learned;
    m->learned_by = learned_by(sc, m);
    m->teaches = sc->set->learn.automatic;
    if (message_map(m, fd) != 0)
        return false;
    if (req.want & SCAN_STAMPED)
        m->peer.stamped = answer_stamped(m);
    return true;
}

/* --- lessons of clients --- */

static void on_reported(void *ctx, size_t took)
{
    struct work *w = ctx;
    w->result->taught |= took ? TAUGHT_REMOTE : 0;
    answer(w);
}

/* Then the services that count spam, when the client wants that. */
static void report_it(struct work *w)
{
    if (w->teach & (TEACH_REPORT | TEACH_REVOKE))
        flow_report(w->sc->flow, w->m, w->teach & TEACH_REVOKE, on_reported, w);
    else
        answer(w);
}

static void not_learned(struct work *w, struct span why)
{
    w->result->taught |= TAUGHT_FAILED;
    w->result->taught_why = arena_dup(w->m->arena, why);
}

static void on_taught(void *ctx, const struct teaching_answer *a)
{
    struct work *w = ctx;
    if (a->result == LEARN_DONE)
        w->result->taught |= TAUGHT_LOCAL;
    else if (a->result == LEARN_KNOWN)
        w->result->taught |= TAUGHT_KNOWN;
    else
        not_learned(w, a->why);
    report_it(w);
}

static void learn_it(struct work *w, unsigned teach)
{
    struct message *m = w->m;
    const char *why = NULL;
    enum scan_teach local = teach & (TEACH_SPAM | TEACH_HAM | TEACH_FORGET);
    w->teach = teach;
    w->result = ARENA_NEW(m->arena, struct scan_result);
    memcpy(w->result->id, m->id, sizeof w->result->id);
    w->result->taught = TAUGHT;
    struct span lesson = local ? flow_lesson(w->sc->flow, m, local, &why) : SPAN_NONE;
    if (lesson.p) {
        teaching_ask(w->sc->teaching, lesson, on_taught, w);
        return;
    }
    if (local && why)
        not_learned(w, span_str(why));
    report_it(w);
}

static void on_request(struct scanner *sc, struct link *from, uint64_t tag, struct span payload,
                       int fd)
{
    struct message *m = take_message(sc);
    unsigned want = 0, teach = 0;
    m->memory = sc->memory;
    if (!load(sc, m, payload, fd, &want, &teach)) {
        log_event(LOG_FAULT, NULL, "scan-request-unreadable",
                  F_STR("from", role_name(link_peer(from))));
        close(fd);
        give_message(sc, m);
        return; /* without an answer the sender's deadline passes: a temporary failure */
    }
    struct work *w = xcalloc(1, sizeof *w);
    *w = (struct work){
        .sc = sc, .from = serial_of(sc, from), .tag = tag, .fd = fd, .want = want, .m = m};
    sc->working++;
    if (teach)
        learn_it(w, teach);
    else
        flow_run(sc->flow, m, fd, on_judged, w);
}

/* --- the script at the commands before a message --- */

static void on_script(struct scanner *sc, struct link *from, uint64_t tag, struct span payload)
{
    struct message *m = take_message(sc);
    struct script_request q;
    struct script_result r;
    struct buf b = {0};
    m->memory = sc->memory;
    if (script_request_decode(payload, m->arena, &q)) {
        struct rcpt rcpt = {.addr = q.to};
        memcpy(m->id, q.id, sizeof m->id);
        m->received = clock_wall();
        m->peer = q.peer;
        m->has_envelope = q.call == CALL_SENDER || q.call == CALL_RECIPIENT;
        m->env.from = q.from;
        m->env.rcpts = &rcpt;
        m->env.nrcpts = q.call == CALL_RECIPIENT;
        flow_script_stage(sc->flow, m, &q, &r);
    } else {
        r = (struct script_result){.code = SCRIPT_FAILED, .text = SPAN("unreadable question")};
    }
    script_result_encode(&b, &r);
    if (b.n > frame_rule(FRAME_SCRIPT_RESULT)->max) {
        buf_clear(&b);
        r = (struct script_result){.code = SCRIPT_FAILED, .text = SPAN("it says too much")};
        script_result_encode(&b, &r);
    }
    link_send(from, FRAME_SCRIPT_RESULT, tag, buf_span(&b), -1);
    buf_free(&b);
    give_message(sc, m);
}

static void tell_calls(struct scanner *sc, struct link *door)
{
    char calls = (char)flow_script_calls(sc->flow);
    link_send(door, FRAME_SCRIPT_CALLS, 0, span_of(&calls, 1), -1);
}

/* --- links --- */

static void on_peer_frame(void *ctx, struct link *l, enum frame_type type, uint64_t tag,
                          struct span payload, int fd)
{
    if (type == FRAME_SCAN_REQUEST)
        on_request(ctx, l, tag, payload, fd);
    else if (type == FRAME_SCRIPT_REQUEST)
        on_script(ctx, l, tag, payload);
    else if (type == FRAME_SIGN_RESULT)
        signing_answer(((struct scanner *)ctx)->signing, tag, payload);
    else if (type == FRAME_LEARN_RESULT)
        teaching_answered(((struct scanner *)ctx)->teaching, tag, payload);
}

static bool to_spool(const struct scanner *sc, enum frame_type type, uint64_t tag,
                     struct span payload)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (sc->peers[i].link && link_peer(sc->peers[i].link) == ROLE_SPOOL &&
            link_send(sc->peers[i].link, type, tag, payload, -1) == 0)
            return true;
    return false;
}

static bool send_to_sign(void *ctx, uint64_t tag, struct span payload)
{
    return to_spool(ctx, FRAME_SIGN_REQUEST, tag, payload);
}

static bool send_to_learn(void *ctx, uint64_t tag, struct span payload)
{
    return to_spool(ctx, FRAME_LEARN_REQUEST, tag, payload);
}

static bool has_door(const struct scanner *sc)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (sc->peers[i].link && link_peer(sc->peers[i].link) == ROLE_DOOR)
            return true;
    return false;
}

static void on_peer_drained(void *ctx, struct link *l)
{
    struct scanner *sc = ctx;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (sc->peers[i].link == l)
            sc->peers[i].undrained = false;
    maybe_finish(sc);
}

static void on_peer_closed(void *ctx, struct link *l)
{
    struct scanner *sc = ctx;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (sc->peers[i].link == l)
            memset(&sc->peers[i], 0, sizeof sc->peers[i]);
    if (link_peer(l) == ROLE_SPOOL) {
        signing_spool_gone(sc->signing);
        teaching_spool_gone(sc->teaching);
    }
    if (link_peer(l) == ROLE_DOOR && !has_door(sc))
        drain(sc); /* it died, or found us too slow: the supervisor starts and connects another */
    maybe_finish(sc);
}

static const struct link_events peer_events = {on_peer_frame, on_peer_closed, on_peer_drained};

static void add_peer(struct scanner *sc, struct span payload, int fd)
{
    for (size_t i = 0; i < PEERS_MAX; i++) {
        if (sc->peers[i].link)
            continue;
        sc->peers[i].serial = ++sc->serial;
        sc->peers[i].link = link_open(&sc->loop, fd, ROLE_SCAN,
                                      (enum role)(unsigned char)payload.p[0], &peer_events, sc);
        if (link_peer(sc->peers[i].link) == ROLE_SPOOL)
            signing_spool_here(sc->signing);
        else
            tell_calls(sc, sc->peers[i].link);
        return;
    }
    close(fd);
}

/* Draining: what is in work is finished and answered, then every handle closes and the loop ends.
 */
static void maybe_finish(struct scanner *sc)
{
    if (!sc->draining || sc->working)
        return;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (sc->peers[i].undrained)
            return;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (sc->peers[i].link)
            link_close(sc->peers[i].link);
    memset(sc->peers, 0, sizeof sc->peers);
    if (sc->control)
        link_close(sc->control);
    sc->control = NULL;
    uv_stop(&sc->loop);
}

static void drain(struct scanner *sc)
{
    if (sc->draining)
        return;
    sc->draining = true;
    for (size_t i = 0; i < PEERS_MAX; i++) {
        if (!sc->peers[i].link)
            continue;
        sc->peers[i].undrained = true;
        link_drain(sc->peers[i].link);
    }
    maybe_finish(sc);
}

static void on_control_frame(void *ctx, struct link *l, enum frame_type type, uint64_t tag,
                             struct span payload, int fd)
{
    struct scanner *sc = ctx;
    (void)l, (void)tag;
    if (type == FRAME_LINK && payload.n == 1)
        add_peer(sc, payload, fd);
    else if (type == FRAME_REOPEN_LOG)
        log_reopen();
    else if (type == FRAME_DRAIN)
        drain(sc);
}

/* The supervisor is gone: so are we. */
static void on_control_closed(void *ctx, struct link *l)
{
    struct scanner *sc = ctx;
    (void)l;
    sc->control = NULL;
    uv_stop(&sc->loop);
}

static const struct link_events control_events = {on_control_frame, on_control_closed, NULL};

/* What was learned may appear, or be replaced, while we run; never under a message in work. */
static void find_learned(struct scanner *sc)
{
    struct err e = {0};
    if (sc->learned && !sc->working && learn_stale(sc->learned)) {
        learn_close(sc->learned);
        sc->learned = NULL;
    }
    if (sc->learned)
        return;
    char *path = xasprintf("%s/bayes.mdb", sc->set->paths.state);
    sc->learned = learn_open(path, sc->set->learn.size, LEARN_READ, &e);
    if (!sc->learned && e.sys != ENOENT && !sc->told_unreadable) {
        log_event(LOG_FAULT, NULL, "learned-unreadable", F_STR("why", e.text));
        sc->told_unreadable = true;
    }
    free(path);
}

static void on_tick(uv_timer_t *t)
{
    struct scanner *sc = t->data;
    kv_tick(sc->memory, clock_wall());
    find_learned(sc);
}

/* A file of the scanners' own: what they remember is not what the door trusts. */
static void open_memory(struct scanner *sc)
{
    char *path = xasprintf("%s/scan.mdb", sc->set->paths.state);
    sc->memory = kv_open(path, sc->set->state.size);
    free(path);
    uv_timer_init(&sc->loop, &sc->tick);
    sc->tick.data = sc;
    uv_timer_start(&sc->tick, on_tick, 1000, 1000);
    uv_unref((uv_handle_t *)&sc->tick);
}

int scan_main(const struct settings *set, int control_fd, const struct ruleset *rs,
              const char *embedded_virus_socket)
{
    struct scanner *sc = xcalloc(1, sizeof *sc);
    sc->set = set;
    sc->rs = rs;
    uv_loop_init(&sc->loop);
    open_memory(sc);
    find_learned(sc);
    if (set->virus.enabled)
        sc->virus = virus_pool_new(&sc->loop, &set->virus, embedded_virus_socket);
    sc->flow = flow_new(&sc->loop, set, rs, sc->virus);
    flow_memory(sc->flow, sc->memory);
    sc->signing = signing_new(&sc->loop, set, send_to_sign, sc);
    sc->teaching = teaching_new(&sc->loop, send_to_learn, sc);
    sc->control = link_open(&sc->loop, control_fd, ROLE_SCAN, ROLE_SUPERVISOR, &control_events, sc);
    link_send(sc->control, FRAME_READY, 0, SPAN(""), -1);
    uv_run(&sc->loop, UV_RUN_DEFAULT);
    while (sc->nidle)
        message_free(sc->idle[--sc->nidle]);
    uv_close((uv_handle_t *)&sc->tick, NULL);
    flow_free(sc->flow);
    kv_close(sc->memory);
    signing_free(sc->signing);
    teaching_free(sc->teaching);
    learn_close(sc->learned);
    virus_pool_free(sc->virus);
    uv_run(&sc->loop, UV_RUN_NOWAIT);
    uv_loop_close(&sc->loop);
    free(sc);
    return EXIT_OK;
}
