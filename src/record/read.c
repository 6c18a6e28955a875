#include "record/record.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "record/db_private.h"
#include "store/db.h"
#include "verdict/verdict.h"

enum { BINDS_MAX = 16, CELL_MAX = 1024 };

struct record_reader {
    struct db *db;
    struct packer *packer;
    struct buf unpacked;
};

/* --- functions for filters --- */

static struct span argument(sqlite3_value *v)
{
    const char *p = sqlite3_value_blob(v);
    return span_of(p ? p : "", (size_t)sqlite3_value_bytes(v));
}

/* gh_addr(address, pattern) */
static void match_address(sqlite3_context *c, int n, sqlite3_value **v)
{
    (void)n;
    const char *pattern = (const char *)sqlite3_value_text(v[1]);
    sqlite3_result_int(c, pattern && address_matches(pattern, argument(v[0])));
}

/* gh_glob(text, glob) */
static void match_glob(sqlite3_context *c, int n, sqlite3_value **v)
{
    (void)n;
    bool present = sqlite3_value_type(v[0]) != SQLITE_NULL;
    sqlite3_result_int(c, present && glob_matches(argument(v[1]), argument(v[0])));
}

/* gh_holds(text, part) */
static void match_part(sqlite3_context *c, int n, sqlite3_value **v)
{
    (void)n;
    sqlite3_result_int(c, span_isearch(argument(v[0]), argument(v[1])) != SIZE_MAX);
}

/* gh_net(address, network) */
static void match_network(sqlite3_context *c, int n, sqlite3_value **v)
{
    (void)n;
    struct ip ip;
    struct cidr net;
    sqlite3_result_int(c, ip_parse(argument(v[0]), &ip) && cidr_parse(argument(v[1]), &net) &&
                              cidr_has(&net, &ip));
}

/* gh_rule(receipt, rule): names stand in quotes in the receipt, as "name" of a hit or as subrule;
 * a quote in evidence is escaped there, so that it can't look like one. */
static void match_rule(sqlite3_context *c, int n, sqlite3_value **v)
{
    (void)n;
    struct record_reader *r = sqlite3_user_data(c);
    buf_clear(&r->unpacked);
    struct buf needle = {0};
    struct span rule = argument(v[1]);
    buf_printf(&needle, "\"%.*s\"", SPAN_ARG(rule));
    sqlite3_result_int(c, receipt_unpack(r->packer, argument(v[0]), &r->unpacked) &&
                              span_search(buf_span(&r->unpacked), buf_span(&needle)) != SIZE_MAX);
    buf_free(&needle);
}

static void add_functions(struct record_reader *r)
{
    static const struct {
        const char *name;
        void (*fn)(sqlite3_context *, int, sqlite3_value **);
    } all[] = {
        {"gh_addr", match_address}, {"gh_glob", match_glob}, {"gh_holds", match_part},
        {"gh_net", match_network},  {"gh_rule", match_rule},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sqlite3_create_function_v2(db_handle(r->db), all[i].name, 2,
                                   SQLITE_UTF8 | SQLITE_DETERMINISTIC, r, all[i].fn, NULL, NULL,
                                   NULL);
}

struct record_reader *record_read_open(const char *state, struct err *e)
{
    char *path = xasprintf("%s/record.db", state);
    struct db *db = db_open_read(path, RECORD_FORM, e);
    free(path);
    if (!db)
        return NULL;
    struct record_reader *r = xcalloc(1, sizeof *r);
    r->db = db;
    r->packer = packer_new();
    add_functions(r);
    return r;
}

void record_read_close(struct record_reader *r)
{
    if (!r)
        return;
    db_close(r->db);
    packer_free(r->packer);
    buf_free(&r->unpacked);
    free(r);
}

/* --- the question --- */

struct query {
    struct buf sql;
    struct arena *a;
    struct bind {
        struct span text;
        int64_t number;
    } binds[BINDS_MAX];
    size_t n;
};

static void condition(struct query *q, const char *sql)
{
    buf_printf(&q->sql, " AND %s", sql);
}

static void bind_text(struct query *q, struct span s)
{
    q->binds[q->n++] = (struct bind){.text = arena_dup(q->a, s)};
}

static void bind_number(struct query *q, int64_t v)
{
    q->binds[q->n++] = (struct bind){.number = v};
}

static void with_text(struct query *q, struct span s, const char *sql)
{
    if (!s.p)
        return;
    condition(q, sql);
    bind_text(q, s);
}

/* An address or a whole domain is asked of the index; anything else compares every row. */
static void with_address(struct query *q, struct span pattern, const char *exact,
                         const char *domain, const char *any)
{
    if (!pattern.p)
        return;
    size_t at = span_rfind(pattern, '@');
    bool globs = span_find(pattern, '*') != SIZE_MAX || span_find(pattern, '?') != SIZE_MAX;
    struct buf key = {0};
    if (globs || at == SIZE_MAX || at + 1 == pattern.n || pattern.p[0] == '.') {
        with_text(q, pattern, any);
        return;
    }
    record_key(&key, pattern);
    if (at > 0) {
        with_text(q, buf_span(&key), exact);
    } else {
        with_text(q, buf_span(&key), domain);
        key.p[key.n - 1]++; /* "example.org@" up to "example.orgA" */
        bind_text(q, buf_span(&key));
    }
    buf_free(&key);
}

static void conditions(struct query *q, const struct record_filter *f)
{
    with_text(q, f->id, "id = ?");
    with_address(q, f->sender, "sender_key = ?", "sender_key >= ? AND sender_key < ?",
                 "gh_addr(sender, ?)");
    with_address(
        q, f->recipient, "serial IN (SELECT serial FROM rcpt WHERE key = ?)",
        "serial IN (SELECT serial FROM rcpt WHERE key >= ? AND key < ?)",
        "EXISTS (SELECT 1 FROM rcpt WHERE rcpt.serial = message.serial AND gh_addr(addr, ?))");
    with_text(q, f->outcome, "instr(',' || outcomes || ',', ',' || ? || ',')");
    with_text(q, f->virus, "gh_glob(virus, ?)");
    with_text(q, f->subject, "gh_holds(subject, ?)");
    with_text(q, f->peer, "gh_net(peer_ip, ?)");
    with_text(q, f->rule, "gh_rule(receipt, ?)");
    if (f->from) {
        condition(q, "received >= ?");
        bind_number(q, f->from);
    }
    if (f->to) {
        condition(q, "received < ?");
        bind_number(q, f->to);
    }
    if (f->after) {
        condition(q, "serial > ?");
        bind_number(q, f->after);
    }
}

/* Addresses can't hold a line feed; group_concat keeps the order of the primary key. */
#define COLUMNS                                                                                    \
    "SELECT serial, id, received, size, peer_ip, peer_name, helo, listener, auth_user, sender,"    \
    " outcomes, score, required, virus, subject, header_from, message_id, micros,"                 \
    " (SELECT group_concat(addr, char(10)) FROM (SELECT addr FROM rcpt"                            \
    "   WHERE rcpt.serial = message.serial ORDER BY n)), receipt FROM message WHERE 1"

static struct span column(struct db *db, int i, struct arena *a)
{
    struct span s = db_text(db, i);
    return s.p ? arena_dup(a, s) : SPAN_NONE;
}

static void split(struct arena *a, struct span list, struct record_row *row)
{
    size_t cap = 0;
    while (list.p) {
        size_t lf = span_find(list, '\n');
        *ARENA_PUSH(a, row->rcpts, row->nrcpts, cap) = span_sub(list, 0, lf);
        list = lf == SIZE_MAX ? SPAN_NONE : span_from(list, lf + 1);
    }
}

static void get_row(struct db *db, struct arena *a, struct record_row *row)
{
    *row = (struct record_row){.serial = db_int(db, 0),
                               .received = db_int(db, 2),
                               .size = (uint64_t)db_int(db, 3),
                               .peer_ip = column(db, 4, a),
                               .peer_name = column(db, 5, a),
                               .helo = column(db, 6, a),
                               .listener = column(db, 7, a),
                               .auth_user = column(db, 8, a),
                               .sender = column(db, 9, a),
                               .outcomes = column(db, 10, a),
                               .score = db_real(db, 11),
                               .required = db_real(db, 12),
                               .virus = column(db, 13, a),
                               .subject = column(db, 14, a),
                               .header_from = column(db, 15, a),
                               .message_id = column(db, 16, a),
                               .micros = (uint64_t)db_int(db, 17)};
    struct span id = db_text(db, 1);
    memcpy(row->id, id.p ? id.p : "", id.n < ID_LEN ? id.n : ID_LEN);
    split(a, column(db, 18, a), row);
}

static void begin(struct record_reader *r, const struct query *q)
{
    db_sql_once(r->db, q->sql.p);
    for (size_t i = 0; i < q->n; i++) {
        if (q->binds[i].text.p)
            db_put_text(r->db, q->binds[i].text);
        else
            db_put_int(r->db, q->binds[i].number);
    }
}

/* The newest rows come first from the database, and are told oldest first. */
static int newest(struct record_reader *r, record_row_fn *row, void *ctx, struct arena *a,
                  struct err *e)
{
    struct record_row *rows = NULL;
    size_t n = 0, cap = 0;
    int got;
    while ((got = db_row(r->db, e)) == 1)
        get_row(r->db, a, ARENA_PUSH(a, rows, n, cap));
    while (got == 0 && n > 0)
        if (!row(ctx, &rows[--n]))
            break;
    return got;
}

static int stream(struct record_reader *r, record_row_fn *row, void *ctx, struct err *e)
{
    struct arena *a = arena_new(0);
    int got;
    while ((got = db_row(r->db, e)) == 1) {
        struct record_row x;
        arena_reset(a);
        get_row(r->db, a, &x);
        if (!row(ctx, &x)) {
            db_end(r->db);
            got = 0;
            break;
        }
    }
    arena_free(a);
    return got;
}

int record_read_list(struct record_reader *r, const struct record_filter *f, record_row_fn *row,
                     void *ctx, struct err *e)
{
    struct query q = {.a = arena_new(0)};
    buf_str(&q.sql, COLUMNS);
    conditions(&q, f);
    if (f->limit)
        buf_printf(&q.sql, " ORDER BY serial DESC LIMIT %zu", f->limit);
    else
        buf_str(&q.sql, " ORDER BY serial");
    begin(r, &q);
    int result = f->limit ? newest(r, row, ctx, q.a, e) : stream(r, row, ctx, e);
    buf_free(&q.sql);
    arena_free(q.a);
    return result;
}

/* --- one message --- */

static int get_groups(struct record_reader *r, struct arena *a, struct record_told *out,
                      struct err *e)
{
    size_t cap = 0;
    int got;
    db_sql(r->db, "SELECT outcome, policy, reason, detail, reply, unscanned FROM grp"
                  " WHERE serial = ? ORDER BY n");
    db_put_int(r->db, out->row.serial);
    while ((got = db_row(r->db, e)) == 1) {
        *ARENA_PUSH(a, out->groups, out->ngroups, cap) =
            (struct record_group){.outcome = arena_cstr(a, db_text(r->db, 0)),
                                  .policy = column(r->db, 1, a),
                                  .reason = column(r->db, 2, a),
                                  .detail = column(r->db, 3, a),
                                  .reply = column(r->db, 4, a),
                                  .unscanned = db_int(r->db, 5) != 0};
    }
    return got;
}

static int get_members(struct record_reader *r, struct arena *a, struct record_told *out,
                       struct err *e)
{
    int got;
    db_sql(r->db, "SELECT n, grp FROM rcpt WHERE serial = ? AND grp IS NOT NULL ORDER BY n");
    db_put_int(r->db, out->row.serial);
    while ((got = db_row(r->db, e)) == 1) {
        int64_t n = db_int(r->db, 0), g = db_int(r->db, 1);
        if (n < 0 || n >= (int64_t)out->row.nrcpts || g < 0 || g >= (int64_t)out->ngroups)
            continue;
        struct record_group *group = &out->groups[g];
        if (!group->rcpts)
            group->rcpts = arena_array(a, out->row.nrcpts, sizeof *group->rcpts);
        ((uint32_t *)(uintptr_t)group->rcpts)[group->nrcpts++] = (uint32_t)n;
    }
    return got;
}

static int get_events(struct record_reader *r, struct span id, struct arena *a,
                      struct record_told *out, struct err *e)
{
    size_t cap = 0;
    int got;
    db_sql(r->db, "SELECT at, kind, rcpt, place, text FROM event WHERE id = ? ORDER BY at, serial");
    db_put_text(r->db, id);
    while ((got = db_row(r->db, e)) == 1) {
        *ARENA_PUSH(a, out->events, out->nevents, cap) =
            (struct record_told_event){.when = db_int(r->db, 0),
                                       .kind = arena_cstr(a, db_text(r->db, 1)),
                                       .rcpt = column(r->db, 2, a),
                                       .where = column(r->db, 3, a),
                                       .text = column(r->db, 4, a)};
    }
    return got;
}

int record_read_one(struct record_reader *r, struct span id, struct arena *a,
                    struct record_told *out, struct err *e)
{
    *out = (struct record_told){0};
    db_sql(r->db, COLUMNS " AND id = ?");
    db_put_text(r->db, id);
    int got = db_row(r->db, e);
    if (got != 1)
        return got < 0 ? -1 : err_set(e, "no record of %.*s", SPAN_ARG(span_sub(id, 0, CELL_MAX)));
    get_row(r->db, a, &out->row);
    struct span packed = db_text(r->db, 19);
    buf_clear(&r->unpacked);
    if (packed.p && receipt_unpack(r->packer, packed, &r->unpacked))
        out->receipt = arena_dup(a, buf_span(&r->unpacked));
    db_end(r->db);
    return get_groups(r, a, out, e) || get_members(r, a, out, e) || get_events(r, id, a, out, e)
               ? -1
               : 0;
}
