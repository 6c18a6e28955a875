/* Lists and single items, in any process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "quarantine/quarantine_private.h"
#include "verdict/verdict.h"

struct quarantine_reader {
    struct db *index;
    int root;
};

struct quarantine_reader *quarantine_read_open(const char *state, struct err *e)
{
    struct db *index = quarantine_index_open_read(state, e);
    if (!index)
        return NULL;
    char *path = xasprintf("%s/quarantine", state);
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        err_sys(e, "%s", path);
        db_close(index);
    }
    free(path);
    if (root < 0)
        return NULL;
    struct quarantine_reader *r = xcalloc(1, sizeof *r);
    *r = (struct quarantine_reader){index, root};
    return r;
}

void quarantine_read_close(struct quarantine_reader *r)
{
    if (!r)
        return;
    db_close(r->index);
    close(r->root);
    free(r);
}

static bool address_fits(struct arena *a, struct span pattern, struct span addr)
{
    return !pattern.p || address_matches(arena_cstr(a, pattern), addr);
}

static bool word_fits(struct span want, struct span have)
{
    return !want.p || span_ieq(want, have);
}

static bool rcpts_fit(const struct quarantine_filter *f, struct arena *a,
                      const struct quarantine_item *x)
{
    if (x->nrcpts == 0)
        return !f->recipient.p && !f->reason.p && !f->policy.p;
    for (size_t i = 0; i < x->nrcpts; i++) {
        const struct quarantine_rcpt *r = &x->rcpts[i];
        if ((f->all || r->state == QUARANTINE_HELD) &&
            address_fits(a, f->recipient, r->rcpt.addr) && word_fits(f->reason, r->reason) &&
            word_fits(f->policy, r->policy))
            return true;
    }
    return false;
}

static bool fits(const struct quarantine_filter *f, struct arena *a,
                 const struct quarantine_item *x)
{
    if (f->text.p && span_isearch(x->subject, f->text) == SIZE_MAX &&
        span_isearch(x->header_from, f->text) == SIZE_MAX)
        return false;
    return address_fits(a, f->sender, x->env.from) && rcpts_fit(f, a, x);
}

/* Newest first from the index, so that a limit ends the work early; told oldest first. */
int quarantine_read_list(struct quarantine_reader *r, const struct quarantine_filter *f,
                         quarantine_row *row, void *ctx, struct err *e)
{
    struct arena *a = arena_new(0);
    struct quarantine_item *items = NULL;
    size_t n = 0, cap = 0;
    int got = 0;
    db_sql(r->index, "SELECT sidecar FROM item WHERE received >= ? AND received < ? AND held >= ?"
                     " AND id BETWEEN ? AND ? ORDER BY received DESC, id DESC");
    db_put_int(r->index, f->from);
    db_put_int(r->index, f->to ? f->to : INT64_MAX);
    db_put_int(r->index, f->all ? 0 : 1);
    db_put_text(r->index, f->id.p ? f->id : SPAN(""));
    db_put_text(r->index, f->id.p ? f->id : SPAN("~"));
    while ((!f->limit || n < f->limit) && (got = db_row(r->index, e)) == 1) {
        struct quarantine_item x;
        if (sidecar_decode(db_text(r->index, 0), a, &x, e) == 0 && fits(f, a, &x))
            *ARENA_PUSH(a, items, n, cap) = x;
    }
    db_end(r->index);
    while (got >= 0 && n > 0)
        if (!row(ctx, &items[--n]))
            break;
    arena_free(a);
    return got < 0 ? -1 : 0;
}

int quarantine_read_item(struct quarantine_reader *r, struct span id, struct arena *a,
                         struct quarantine_item *item, int *fd, struct err *e)
{
    char text[ID_SIZE] = {0}, day[DAY_SIZE], name[ID_SIZE + 4];
    if (!id_valid(id))
        return err_set(e, "'%.*s' is no id of a message", SPAN_ARG(span_sub(id, 0, 100)));
    memcpy(text, id.p, ID_LEN);
    int dir = quarantine_index_day(r->index, text, day) ? day_open(r->root, day, false) : -1;
    if (dir < 0 && day_search(r->root, text, day))
        dir = day_open(r->root, day, false);
    if (dir < 0)
        return err_set(e, "%s is not in the quarantine", text);
    int result = sidecar_read(dir, text, a, item, e);
    if (fd) {
        snprintf(name, sizeof name, "%s.eml", text);
        *fd = result ? -1 : openat(dir, name, O_RDONLY | O_CLOEXEC);
        if (!result && *fd < 0 && errno != ENOENT)
            result = err_sys(e, "quarantine: %s", name);
    }
    close(dir);
    return result;
}
