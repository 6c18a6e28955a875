/* The text of `sa-learn --backup`: v (variables), t (tokens), s (messages), one a line, with
 * tabulators. */
#include "learn/store_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"

enum { FORM = 3, LINE_WORDS = 5, LINE_MAX_BYTES = 64 * 1024 };

/* --- out --- */

typedef void line_fn(FILE *out, const MDB_val *k, const MDB_val *v);

static void token_line(FILE *out, const MDB_val *k, const MDB_val *v)
{
    struct learn_seen_token t = token_value(v);
    unsigned char id[LEARN_TOKEN_SIZE];
    token_id(k, id);
    fprintf(out, "t\t%u\t%u\t%u\t", t.spam, t.ham, t.atime);
    for (size_t i = 0; i < LEARN_TOKEN_SIZE; i++)
        fprintf(out, "%02x", id[i]);
    fputc('\n', out);
}

static void seen_line(FILE *out, const MDB_val *k, const MDB_val *v)
{
    const char *id = (const char *)k->mv_data + USER_PREFIX;
    struct span s = span_of(id, k->mv_size - USER_PREFIX);
    if (span_find(s, '\n') == SIZE_MAX && v->mv_size == SEEN_VALUE)
        fprintf(out, "s\t%c\t%.*s\n", *(const char *)v->mv_data, SPAN_ARG(s));
}

static int lines(MDB_txn *t, MDB_dbi dbi, bool tokens, uint32_t number, line_fn *fn, FILE *out)
{
    struct range range;
    MDB_cursor *c;
    int rc = mdb_cursor_open(t, dbi, &c);
    if (rc != 0)
        return rc;
    MDB_val k = range_start(&range, tokens, number), v;
    for (rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE); rc == 0 && range_has(&range, &k);
         rc = mdb_cursor_get(c, &k, &v, MDB_NEXT))
        fn(out, &k, &v);
    mdb_cursor_close(c);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int learn_backup(struct learn_store *s, struct span user, FILE *out, struct err *e)
{
    struct user_row row;
    MDB_txn *t = store_reading(s);
    if (!t)
        return err_set(e, "%s: can't be read", s->path);
    int rc = user_get(s, t, user, &row);
    fprintf(out, "v\t%d\tdb_version # this must be the first line!!!\n", FORM);
    fprintf(out, "v\t%u\tnum_spam\nv\t%u\tnum_nonspam\n", row.counts.spam, row.counts.ham);
    if (rc == 0 && row.number)
        rc = lines(t, s->tokens, true, row.number, token_line, out);
    if (rc == 0 && row.number)
        rc = lines(t, s->seen, false, row.number, seen_line, out);
    mdb_txn_reset(t);
    if (rc != 0)
        return store_fail(s, rc, e);
    return fflush(out) == 0 && !ferror(out) ? 0 : err_sys(e, "the backup can't be written");
}

/* --- in --- */

struct restoring {
    struct learn_store *s;
    struct user_row row;
    uint32_t now;
    bool has_version, has_spam, has_ham;
};

static bool number(struct span s, uint32_t *out)
{
    uint64_t v;
    if (!span_u64(s, &v) || v > UINT32_MAX)
        return false;
    *out = (uint32_t)v;
    return true;
}

static bool variable(struct restoring *r, const struct span *w, size_t n)
{
    uint32_t v;
    if (n < 3 || !number(w[1], &v))
        return false;
    if (span_starts(w[2], SPAN("db_version"))) {
        r->has_version = true;
        return v == FORM || v == FORM - 1;
    }
    if (span_eq(w[2], SPAN("num_spam"))) {
        r->row.counts.spam = v;
        r->has_spam = true;
    } else if (span_eq(w[2], SPAN("num_nonspam"))) {
        r->row.counts.ham = v;
        r->has_ham = true;
    }
    return true;
}

static bool hex_id(struct span s, unsigned char *out)
{
    if (s.n != 2 * LEARN_TOKEN_SIZE)
        return false;
    for (size_t i = 0; i < LEARN_TOKEN_SIZE; i++) {
        int high = ascii_hex(s.p[2 * i]), low = ascii_hex(s.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

/* 0, MDB's code, or -1: the line makes no sense. */
static int token(struct restoring *r, const struct span *w, size_t n)
{
    unsigned char id[LEARN_TOKEN_SIZE], bytes[TOKEN_VALUE];
    struct learn_seen_token t;
    uint64_t key;
    MDB_val k = {sizeof key, &key}, v = {sizeof bytes, bytes};
    if (n != 5 || !number(w[1], &t.spam) || !number(w[2], &t.ham) || !number(w[3], &t.atime) ||
        !hex_id(w[4], id))
        return -1;
    if (t.spam + (uint64_t)t.ham == 0)
        return 0;
    if (t.atime > r->now)
        t.atime = r->now; /* as SpamAssassin: the future is a mistake */
    key = key_token(r->row.number, id);
    token_bytes(bytes, &t);
    int rc = mdb_put(r->s->writer, r->s->tokens, &k, &v, MDB_NOOVERWRITE);
    r->row.counts.tokens += rc == 0;
    if (t.atime > r->row.counts.newest)
        r->row.counts.newest = t.atime;
    return rc == MDB_KEYEXIST ? 0 : rc;
}

static int seen(struct restoring *r, const struct span *w, size_t n)
{
    struct seen_key key;
    unsigned char bytes[SEEN_VALUE];
    if (n < 3 || w[1].n != 1 || (w[1].p[0] != 's' && w[1].p[0] != 'h') || !w[2].n)
        return -1;
    bytes[0] = (unsigned char)w[1].p[0];
    number_to(bytes + 1, r->now);
    key_seen(&key, r->row.number, w[2]);
    MDB_val k = {key.n, key.b}, v = {sizeof bytes, bytes};
    int rc = mdb_put(r->s->writer, r->s->seen, &k, &v, MDB_NOOVERWRITE);
    r->row.counts.seen += rc == 0;
    return rc == MDB_KEYEXIST ? 0 : rc;
}

static int one_line(struct restoring *r, struct span line)
{
    struct span w[LINE_WORDS];
    size_t n = 0;
    if (!line.n)
        return 0;
    bool is_seen = line.p[0] == 's';
    while (n < (is_seen ? 2 : LINE_WORDS - 1)) {
        size_t tab = span_find(line, '\t');
        if (tab == SIZE_MAX)
            break;
        w[n++] = span_sub(line, 0, tab);
        line = span_from(line, tab + 1);
    }
    w[n++] = line;
    if (w[0].n != 1)
        return -1;
    if (w[0].p[0] != 'v' && !r->has_version)
        return -1;
    switch (w[0].p[0]) {
    case 'v':
        return variable(r, w, n) ? 0 : -1;
    case 't':
        return token(r, w, n);
    case 's':
        return seen(r, w, n);
    default:
        return -1;
    }
}

static int read_lines(struct restoring *r, FILE *in, struct err *e)
{
    char *text = NULL;
    size_t cap = 0, at = 0;
    ssize_t n;
    int rc = 0;
    while (rc == 0 && (n = getline(&text, &cap, in)) >= 0) {
        struct span line = span_of(text, (size_t)n);
        at++;
        while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
            line.n--;
        rc = line.n > LINE_MAX_BYTES ? -1 : one_line(r, line);
        if (rc == -1)
            err_set(e, "line %zu is none of a backup of sa-learn or gatehouse", at);
        else if (rc != 0)
            store_fail(r->s, rc, e);
    }
    free(text);
    if (rc == 0 && ferror(in))
        return err_sys(e, "the backup can't be read");
    if (rc == 0 && !(r->has_version && r->has_spam && r->has_ham))
        return err_set(e, "no backup: db_version, num_spam or num_nonspam is missing");
    return rc == 0 ? 0 : -1;
}

int learn_restore(struct learn_store *s, struct span user, FILE *in, struct err *e)
{
    struct restoring r = {.s = s, .now = (uint32_t)(clock_wall() / USEC_PER_SEC)};
    if (learn_begin(s, e) != 0)
        return -1;
    int rc = user_need(s, s->writer, user, &r.row);
    r.row.counts = (struct learn_counts){0};
    if (rc == 0)
        rc = clear_range(s->writer, s->tokens, true, r.row.number);
    if (rc == 0)
        rc = clear_range(s->writer, s->seen, false, r.row.number);
    if (rc != 0)
        store_fail(s, rc, e);
    else if (read_lines(&r, in, e) != 0)
        rc = -1;
    else if ((rc = user_put(s, s->writer, user, &r.row)) != 0)
        store_fail(s, rc, e);
    if (rc == 0)
        return learn_commit(s, e);
    learn_abort(s);
    return -1;
}
