#include "door/judge.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

bool judge_allows(const struct gate *g, int fd)
{
    struct sockaddr_storage from = {0};
    socklen_t n = sizeof from;
    struct ip ip = {0};
    char text[IP_TEXT_SIZE];
    if (getpeername(fd, (struct sockaddr *)&from, &n) != 0)
        return false;
    if (from.ss_family == AF_UNIX)
        return true;
    if (from.ss_family == AF_INET6) {
        memcpy(ip.b, &((const struct sockaddr_in6 *)(const void *)&from)->sin6_addr, sizeof ip.b);
    } else {
        ip.b[10] = ip.b[11] = 0xff;
        memcpy(ip.b + 12, &((const struct sockaddr_in *)(const void *)&from)->sin_addr, 4);
    }
    const struct cidrs *allowed = &g->set->allow_from;
    if (allowed->n == 0 && ip_is_loopback(&ip))
        return true;
    for (size_t i = 0; i < allowed->n; i++)
        if (cidr_has(&allowed->v[i], &ip))
            return true;
    log_event(LOG_WARN, NULL, "client-not-allowed", F_STR("client", ip_text(&ip, text)),
              F_STR("listener", g->set->name));
    return false;
}

void judge_envelope(struct txn *t, const struct rspamd_request *r)
{
    struct peer *p = &t->req.peer;
    struct envelope *env = &t->req.env;
    size_t most = t->door->set->limits.recipients;
    if (!r->has_ip && !r->has_from && !r->nrcpts && !r->helo.n) {
        t->req.want |= SCAN_A_FILE;
        t->req.want &= (uint8_t)~SCAN_STAMPED;
    }
    p->has_ip = r->has_ip;
    p->ip = r->ip;
    p->helo = r->helo;
    p->auth_user = r->user.n ? r->user : SPAN_NONE;
    if (r->hostname.n && !span_ieq(r->hostname, SPAN("unknown")))
        p->name = r->hostname;
    env->from = r->has_from ? r->from : SPAN("");
    t->req.user = r->deliver_to.n ? r->deliver_to : SPAN_NONE;
    for (size_t i = 0; i < r->nrcpts && env->nrcpts < most; i++)
        ARENA_PUSH(t->arena, env->rcpts, env->nrcpts, env->cap)->addr = r->rcpts[i];
}

bool judge_open(struct judge *j, struct gate *g, unsigned want, const char *protocol)
{
    j->gate = g;
    if (g->door->full)
        return false;
    struct txn *t = txn_new(g->door);
    j->txn = t;
    t->judge = j;
    t->req.want = (uint8_t)want;
    t->req.env.from = SPAN("");
    t->req.peer.behind_mta = true;
    t->req.peer.listener = arena_dup(t->arena, span_str(g->set->name));
    t->req.peer.protocol = arena_dup(t->arena, span_str(protocol));
    return txn_begin_content(t) == R_DATA_GO;
}

void judge_content(struct judge *j, struct span bytes)
{
    txn_content(j->txn, bytes);
}

void judge_teaches(struct judge *j, unsigned teach)
{
    j->txn->req.teach = (uint8_t)teach;
}

unsigned judge_taught(const struct judge *j)
{
    return j->txn->result.taught;
}

static void log_lesson(const struct txn *t)
{
    static const char *const words[] = {"spam", "ham", "forget", "report", "revoke"};
    const struct scan_result *r = &t->result;
    const char *word = "";
    for (size_t i = sizeof words / sizeof *words; i-- > 0;)
        if (t->req.teach & 1u << i)
            word = words[i];
    log_event(r->taught & TAUGHT_FAILED ? LOG_WARN : LOG_NOTE, t->req.id, "lesson",
              F_STR("session", t->judge->session), F_STR("as", word), F_SPAN("user", t->req.user),
              F_INT("size", t->size),
              F_STR("learned", r->taught & TAUGHT_LOCAL    ? "yes"
                               : r->taught & TAUGHT_KNOWN  ? "known"
                               : r->taught & TAUGHT_FAILED ? "failed"
                                                           : "no"),
              F_STR("reported", r->taught & TAUGHT_REMOTE ? "yes" : "no"),
              F_SPAN("why", r->taught_why));
}

/* A lesson is no mail: it is in the log, not on record. */
void judge_learned(struct txn *t, enum reply_id id)
{
    struct judge *j = t->judge;
    bool fine = id == R_STORED && t->result.taught;
    if (fine)
        log_lesson(t);
    j->answered(j, fine ? NULL : reply_row(id)->text);
}

void judge_run(struct judge *j)
{
    passage_begin(j->txn);
}

void judge_close(struct judge *j)
{
    struct txn *t = j->txn;
    j->txn = NULL;
    txn_end(t);
}

enum outcome judge_outcome(const struct judge *j)
{
    const struct scan_result *r = &j->txn->result;
    return r->groups[r->answer.group].outcome;
}

/* rspamd knows a word for each. */
const char *judge_action(const struct judge *j)
{
    switch (judge_outcome(j)) {
    case OUT_ACCEPT:
        return "no action";
    case OUT_TAG:
    case OUT_CLEAN:
        return "add header";
    case OUT_HOLD:
        return "quarantine";
    case OUT_REJECT:
        return "reject";
    case OUT_DEFER:
        return "soft reject";
    case OUT_DISCARD:
        return "discard";
    }
    return "soft reject";
}

/* "451 4.7.1 ..." without the codes. */
static const char *reason(const struct txn *t, const struct group *g)
{
    struct span text = g->reason.n ? g->reason : SPAN("the message could not be judged");
    return arena_cstr(t->arena, text);
}

void judge_finish(struct txn *t, enum reply_id id)
{
    struct judge *j = t->judge;
    struct judge_counts *n = &t->door->judged;
    const char *why_not = reply_row(id)->text;
    if (id == R_STORED && t->scanned && t->result.ngroups) {
        const struct scan_answer *a = &t->result.answer;
        const struct group *g = &t->result.groups[a->judged ? a->group : 0];
        why_not = a->judged && g->outcome != OUT_DEFER ? NULL : reason(t, g);
        n->actions[g->outcome]++;
    }
    n->scanned++;
    n->failed += why_not != NULL;
    n->spam += !why_not && t->result.answer.spam;
    passage_log(t, why_not ? 451 : 250);
    j->answered(j, why_not);
}

struct span judge_map(const struct judge *j)
{
    const struct txn *t = j->txn;
    if (t->size == 0)
        return SPAN("");
    void *p = mmap(NULL, t->size, PROT_READ, MAP_PRIVATE, t->fd, 0);
    return p == MAP_FAILED ? SPAN_NONE : span_of(p, t->size);
}

void judge_unmap(struct span raw)
{
    if (raw.n)
        munmap((void *)(uintptr_t)raw.p, raw.n);
}
