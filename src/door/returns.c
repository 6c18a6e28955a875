/* Recipients that are reverse-paths of mail that left here: what SRS or BATV made of an address is
 * taken back before anything else is asked about it, so that access map, validation, greylisting,
 * quarantine and record see the address itself. And: bounces to users of batv.domains, who never
 * sent a message without a tag. By SMTP and by milter. */
#include "base/log.h"
#include "door/door_private.h"
#include "policy/address.h"
#include "policy/returns.h"

static bool exempt(const struct door *d, struct span addr)
{
    const struct strings *l = &d->set->batv.exempt_recipients;
    for (size_t i = 0; i < l->n; i++)
        if (address_matches(l->v[i], addr))
            return true;
    return false;
}

/* What is worse is told. */
static void note_tag(struct txn *t, enum batv_tag tag)
{
    if (tag > t->tag)
        t->tag = tag;
}

/* What the settings say about a bounce whose tag is not good. */
static bool bad_tag(struct txn *t, struct span address, enum batv_tag tag, struct span *refusal)
{
    static const char *const texts[] = {
        [TAG_EXPIRED] = "550 5.7.1 this return address (BATV) has expired: its mail is too old to "
                        "bounce",
        [TAG_MISSING] = "550 5.7.1 this bounce is about mail that was not sent from here: return "
                        "addresses of this domain are signed (BATV)",
        [TAG_FORGED] = "550 5.7.1 this return address (BATV) was not made here, or was changed",
    };
    const struct settings *set = t->door->set;
    if (t->req.env.from.n || returns_by_us(set, &t->req.peer) || exempt(t->door, address))
        return true; /* whose replies go there may be anybody; our own hosts know what they do */
    if (set->batv.on_invalid == BATV_REJECT) {
        *refusal = span_str(texts[tag]);
        return false;
    }
    note_tag(t, tag);
    return true;
}

/* The address itself takes the place of what was given. */
static bool take_back(struct txn *t, struct smtp_path *to, struct lookup *l,
                      const struct returnpath_found *f)
{
    struct smtp_path plain;
    if (mailbox_parse(f->address, true, &plain) != PATH_OK || plain.at == plain.n ||
        !lookup_make(&plain, l))
        return false;
    log_event(LOG_NOTE, t->req.id, "return-address", F_SPAN("given", path_addr(to)),
              F_SPAN("to", path_addr(&plain)), F_STR("by", f->kind == RETURN_SRS ? "srs" : "batv"));
    *to = plain;
    return true;
}

/* Why what was found is not taken back; absent: it is. */
static struct span refusal_of(const struct returnpath_found *f)
{
    if (f->unknown)
        return SPAN("451 4.3.5 this return address can't be verified now");
    if (f->kind == RETURN_SRS && f->result == SRS_FORGED)
        return SPAN("550 5.7.1 this return address (SRS) was not made here, or was changed");
    if (f->kind == RETURN_SRS && f->result == SRS_EXPIRED)
        return SPAN("550 5.7.1 this return address (SRS) has expired: its mail is too old to "
                    "bounce");
    return SPAN_NONE;
}

bool returns_rcpt(struct txn *t, struct smtp_path *to, struct lookup *l, struct span *refusal)
{
    const struct returnpath *r = t->door->returns;
    struct returnpath_found f;
    t->returns = RETURN_NOT;
    t->proven = false;
    *refusal = SPAN_NONE;
    if (!r)
        return true;
    returnpath_read(r, t->arena, path_addr(to), clock_wall(), &f);
    if (f.kind == RETURN_NOT)
        return !returnpath_wants_tag(r, lookup_domain(l)) ||
               bad_tag(t, lookup_addr(l), TAG_MISSING, refusal);
    *refusal = refusal_of(&f);
    if (refusal->p)
        return false;
    if (f.result != SRS_OK &&
        !bad_tag(t, f.address, f.result == SRS_EXPIRED ? TAG_EXPIRED : TAG_FORGED, refusal))
        return false;
    if (!take_back(t, to, l, &f))
        return false;
    t->returns = f.kind;
    t->proven = f.result == SRS_OK;
    if (t->proven && f.kind == RETURN_BATV)
        note_tag(t, TAG_VALID);
    t->by_srs |= f.kind == RETURN_SRS;
    return true;
}

static void add_fact(struct txn *t, const char *name, const char *value)
{
    struct scan_request *r = &t->req;
    struct fact *f = ARENA_PUSH(t->arena, r->facts, r->nfacts, r->facts_cap);
    f->name = name;
    f->value = span_str(value);
}

void returns_facts(struct txn *t)
{
    static const char *const names[] = {NULL, "valid", "expired", "missing", "forged"};
    if (t->tag != TAG_UNSEEN)
        add_fact(t, "batv", names[t->tag]);
    if (t->by_srs)
        add_fact(t, "srs", "valid");
}
