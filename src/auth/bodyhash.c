/* The body's way through the canonical forms into the hashes. */
#include "auth/canon.h"

#include <stddef.h>

/* A piece stays in the first-level cache while every form reads it; small runs of bytes are
 * gathered, because a call of the hash costs as much as hashing a hundred bytes. */
enum { PIECE = 16 * 1024, STAGE = 2048, DIRECT = 256 };

struct hash_run {
    EVP_MD_CTX *ctx;
    struct body_hash *want;
};

/* One canonical form of one body. */
struct form {
    enum canon canon;
    struct hash_run *hashes;
    size_t n;
    struct span run; /* canonical bytes that stand together in the body and were not hashed yet */
    uint64_t length;
    /* Empty lines are kept back: they count only when something follows. */
    uint64_t blank;
    struct span blanks; /* them, as long as each is just CRLF; absent otherwise */
    size_t staged;
    char stage[STAGE];
};

static void hash_bytes(struct form *f, struct span s)
{
    for (size_t i = 0; i < f->n; i++) {
        uint64_t limit = f->hashes[i].want->limit;
        uint64_t left = limit > f->length ? limit - f->length : 0;
        if (left)
            EVP_DigestUpdate(f->hashes[i].ctx, s.p, left < s.n ? (size_t)left : s.n);
    }
    f->length += s.n;
}

static void flush_stage(struct form *f)
{
    size_t n = f->staged;
    f->staged = 0;
    if (n)
        hash_bytes(f, span_of(f->stage, n));
}

static void flush_run(struct form *f)
{
    struct span run = f->run;
    f->run = SPAN_NONE;
    if (run.n >= DIRECT) {
        flush_stage(f);
        hash_bytes(f, run);
        return;
    }
    if (f->staged + run.n > STAGE)
        flush_stage(f);
    if (run.n)
        memcpy(f->stage + f->staged, run.p, run.n);
    f->staged += run.n;
}

static void emit(struct form *f, struct span s)
{
    if (f->run.p && f->run.p + f->run.n == s.p) {
        f->run.n += s.n;
        return;
    }
    flush_run(f);
    f->run = s;
}

static void emit_blank_lines(struct form *f)
{
    if (f->blanks.p)
        emit(f, f->blanks);
    else
        for (; f->blank; f->blank--) {
            flush_run(f);
            f->run = SPAN("\r\n");
        }
    f->blank = 0;
    f->blanks = SPAN_NONE;
}

static void keep_blank_line(struct form *f, struct span line)
{
    bool exact = span_eq(line, SPAN("\r\n"));
    if (f->blank == 0)
        f->blanks = exact ? line : SPAN_NONE;
    else if (f->blanks.p && exact)
        f->blanks.n += line.n;
    else
        f->blanks = SPAN_NONE;
    f->blank++;
}

/* White space inside as one space (section 3.4.4); none is left at the end of `text`. */
static void emit_relaxed(struct form *f, struct span text)
{
    bool tabs = span_find(text, '\t') != SIZE_MAX;
    size_t from = 0, at = 0;
    while (at < text.n) {
        struct span rest = span_from(text, at);
        size_t blank = span_find(rest, ' ');
        if (tabs) {
            size_t tab = span_find(rest, '\t');
            blank = tab < blank ? tab : blank;
        }
        if (blank == SIZE_MAX)
            break;
        at += blank;
        size_t end = at;
        while (end < text.n && is_wsp(text.p[end]))
            end++;
        if (end - at > 1 || text.p[at] == '\t') {
            emit(f, span_sub(text, from, at));
            emit(f, SPAN(" "));
            from = end;
        }
        at = end;
    }
    emit(f, span_from(text, from));
}

static void emit_nofws(struct form *f, struct span text)
{
    size_t from = 0;
    for (size_t i = 0; i <= text.n; i++) {
        if (i < text.n && !is_wsp(text.p[i]) && text.p[i] != '\r')
            continue;
        if (i > from)
            emit(f, span_sub(text, from, i));
        from = i + 1;
    }
}

static bool nothing_but_space(struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!is_wsp(text.p[i]) && text.p[i] != '\r')
            return false;
    return true;
}

static void canon_line(struct form *f, struct span line)
{
    struct span text = line;
    if (text.n && text.p[text.n - 1] == '\n')
        text.n--;
    if (text.n < line.n && text.n && text.p[text.n - 1] == '\r')
        text.n--;
    struct span end = span_from(line, text.n);
    if (f->canon == CANON_RELAXED)
        while (text.n && is_wsp(text.p[text.n - 1]))
            text.n--;
    if (text.n == 0 || (f->canon == CANON_DK_NOFWS && nothing_but_space(text))) {
        keep_blank_line(f, line);
        return;
    }
    emit_blank_lines(f);
    if (f->canon == CANON_RELAXED)
        emit_relaxed(f, text);
    else if (f->canon == CANON_DK_NOFWS)
        emit_nofws(f, text);
    else
        emit(f, text);
    emit(f, end.n == 2 ? end : SPAN("\r\n"));
}

static void canon_piece(struct form *f, struct span piece)
{
    while (piece.n) {
        const char *lf = memchr(piece.p, '\n', piece.n);
        size_t n = lf ? (size_t)(lf - piece.p) + 1 : piece.n;
        canon_line(f, span_sub(piece, 0, n));
        piece = span_from(piece, n);
    }
}

/* An empty body is one CRLF in simple form (section 3.4.3), nothing in the others. */
static void canon_end(struct form *f)
{
    if (f->canon == CANON_SIMPLE && f->length == 0 && f->staged == 0 && f->run.n == 0)
        emit(f, SPAN("\r\n"));
    flush_run(f);
    flush_stage(f);
}

static void form_begin(struct form *f, enum canon canon, const struct auth_digests *d,
                       struct body_hashes *set, struct hash_run *runs)
{
    memset(f, 0, offsetof(struct form, stage)); /* what is staged need not be zero */
    f->canon = canon;
    f->hashes = runs;
    for (size_t i = 0; i < set->n; i++) {
        if (set->v[i].form != f->canon)
            continue;
        struct hash_run *r = &runs[f->n++];
        *r = (struct hash_run){EVP_MD_CTX_new(), &set->v[i]};
        EVP_DigestInit_ex2(r->ctx, d->md[r->want->hash], NULL);
        if (r->want->head.n)
            EVP_DigestUpdate(r->ctx, r->want->head.p, r->want->head.n);
    }
    if (f->canon == CANON_DK_SIMPLE || f->canon == CANON_DK_NOFWS)
        f->blank = 1;
}

static void form_finish(struct form *f)
{
    canon_end(f);
    for (size_t i = 0; i < f->n; i++) {
        struct hash_run *r = &f->hashes[i];
        r->want->length = f->length;
        EVP_DigestFinal_ex(r->ctx, r->want->value, NULL);
        EVP_MD_CTX_free(r->ctx);
    }
}

size_t body_hash_want(struct body_hashes *set, enum canon form, enum auth_hash hash, uint64_t limit)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->v[i].form == form && set->v[i].hash == hash && set->v[i].limit == limit)
            return i;
    if (set->n == BODY_HASHES_MAX)
        return SIZE_MAX;
    set->v[set->n] = (struct body_hash){.form = form, .hash = hash, .limit = limit};
    return set->n++;
}

void body_hashes_run(const struct auth_digests *d, struct span body, struct body_hashes *set)
{
    struct hash_run runs[BODY_HASHES_MAX];
    struct form forms[CANON_FORMS];
    size_t used = 0;
    for (size_t i = 0; i < CANON_FORMS; i++) {
        form_begin(&forms[i], (enum canon)i, d, set, &runs[used]);
        used += forms[i].n;
    }
    while (body.n) {
        size_t n = body.n;
        if (n > PIECE) {
            const char *lf = memchr(body.p + PIECE, '\n', n - PIECE);
            n = lf ? (size_t)(lf - body.p) + 1 : n;
        }
        for (size_t i = 0; i < CANON_FORMS; i++)
            if (forms[i].n)
                canon_piece(&forms[i], span_sub(body, 0, n));
        body = span_from(body, n);
    }
    for (size_t i = 0; i < CANON_FORMS; i++)
        if (forms[i].n)
            form_finish(&forms[i]);
}
