/* What two readers may read differently in the header of a part. */
#include "mime/mime_private.h"

static size_t count_fields(const struct mime_fields *f, struct span name)
{
    size_t count = 0;
    for (size_t i = 0; (i = mime_find(f, name, i)) < f->n; i++)
        count++;
    return count;
}

static void note_duplicates(struct mime *m, struct mime_part *p)
{
    static const struct {
        const char *name;
        enum mime_anomaly_kind kind;
    } singles[] = {
        {"Content-Type", MIME_A_TYPE_DUPLICATE},
        {"Content-Transfer-Encoding", MIME_A_ENCODING_DUPLICATE},
        {"Content-Disposition", MIME_A_DISPOSITION_DUPLICATE},
        {"From", MIME_A_FROM_DUPLICATE},
        {"Subject", MIME_A_SUBJECT_DUPLICATE},
    };
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++)
        if (count_fields(&p->fields, span_str(singles[i].name)) > 1)
            mime_note(m, singles[i].kind, p->at);
}

static void note_encoding(struct mime *m, struct mime_part *p)
{
    static const char *const known[] = {"7bit", "8bit", "binary", "base64", "quoted-printable"};
    struct mime_field *f = mime_last(&p->fields, SPAN("Content-Transfer-Encoding"));
    if (!f)
        return;
    struct span v = mime_decoded(m, f);
    size_t i = 0;
    while (i < sizeof known / sizeof *known && !span_ieq(v, span_str(known[i])))
        i++;
    if (i == sizeof known / sizeof *known)
        mime_note(m, MIME_A_ENCODING_UNKNOWN, f->at);
    if (i >= 3 && span_starts(p->type, SPAN("multipart/")))
        mime_note(m, MIME_A_ENCODING_OF_MULTIPART, f->at);
}

/* How often a parameter name stands in front of '=' (plain) or '*' (pieces) in the value. */
struct param_count {
    size_t plain, pieces;
};

static struct param_count count_param(struct span v, struct span name)
{
    struct param_count c = {0};
    for (size_t i = 0; i + name.n < v.n; i++) {
        if ((i > 0 && (ascii_isalnum(v.p[i - 1]) || v.p[i - 1] == '_')) ||
            !span_istarts(span_from(v, i), name))
            continue;
        size_t to = i + name.n;
        while (to < v.n && ascii_isspace(v.p[to]))
            to++;
        c.plain += to < v.n && v.p[to] == '=';
        c.pieces += to < v.n && v.p[to] == '*';
        i = to - 1;
    }
    return c;
}

/* The value as it is written, cut at a length that keeps this cheap. */
static void note_params(struct mime *m, const struct mime_field *f)
{
    static const char *const names[] = {"name", "filename", "charset"};
    struct span v = span_sub(f->raw, 0, MIME_VALUE_MAX);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct param_count c = count_param(v, span_str(names[i]));
        if (c.plain > 1)
            mime_note(m, MIME_A_PARAM_DUPLICATE, f->at);
        if (c.plain && c.pieces)
            mime_note(m, MIME_A_PARAM_MIXED, f->at);
    }
    if (count_param(v, SPAN("boundary")).plain > 1)
        mime_note(m, MIME_A_BOUNDARY_DUPLICATE, f->at);
    if (span_search(v, SPAN("=?")) != SIZE_MAX)
        mime_note(m, MIME_A_PARAM_ENCODED_WORD, f->at);
}

static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("()<>@,;:\\\"/[]?=", s.p[i]))
            return false;
    return s.n > 0;
}

/* type "/" subtype, and nothing else before the first ';' (RFC 2045 section 5.1). */
static void note_type(struct mime *m, struct mime_field *f)
{
    struct span v = mime_decoded(m, f);
    v = span_trim(span_sub(v, 0, span_find(v, ';')));
    size_t slash = span_find(v, '/');
    if (slash == SIZE_MAX || !is_token(span_sub(v, 0, slash)) || !is_token(span_from(v, slash + 1)))
        mime_note(m, MIME_A_TYPE_BROKEN, f->at);
}

void mime_note_fields(struct mime *m, struct mime_part *p, struct span boundary)
{
    if (p->fields.n == 0)
        return;
    note_duplicates(m, p);
    note_encoding(m, p);
    struct mime_field *type = mime_last(&p->fields, SPAN("Content-Type"));
    struct mime_field *disposition = mime_last(&p->fields, SPAN("Content-Disposition"));
    if (type) {
        note_type(m, type);
        note_params(m, type);
    }
    if (disposition)
        note_params(m, disposition);
    if (!span_starts(p->type, SPAN("multipart/")))
        return;
    if (p->boundary.n > 70)
        mime_note(m, MIME_A_BOUNDARY_LONG, p->at);
    if (!boundary.p)
        mime_note(m, MIME_A_BOUNDARY_MISSING, p->at);
    else if (is_false(p->boundary))
        mime_note(m, MIME_A_BOUNDARY_INHERITED, p->at);
}
