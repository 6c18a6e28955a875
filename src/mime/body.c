#include "mime/mime_private.h"

size_t crlf_to_lf(char *p, size_t n)
{
    char *cr = n ? memchr(p, '\r', n) : NULL;
    if (!cr)
        return n;
    size_t out = (size_t)(cr - p);
    for (size_t i = out; i < n; i++) {
        if (p[i] == '\n' && out && p[out - 1] == '\r')
            out--;
        p[out++] = p[i];
    }
    return out;
}

static struct span decode_base64(struct mime *m, struct mime_part *p)
{
    struct base64_result r = base64_decode(m->arena, p->body);
    if (r.junk)
        mime_note(m, MIME_A_BASE64_JUNK, p->body_at);
    if (r.padding)
        mime_note(m, MIME_A_BASE64_PADDING, p->body_at);
    if (r.truncated)
        mime_note(m, MIME_A_BASE64_TRUNCATED, p->body_at);
    if (span_starts(p->type, SPAN("text/")) || span_starts(p->type, SPAN("message/")))
        r.bytes.n = crlf_to_lf((char *)(uintptr_t)r.bytes.p, r.bytes.n);
    return r.bytes;
}

static struct span decode_qp(struct mime *m, struct mime_part *p)
{
    bool broken = false;
    struct span s = qp_decode(m->arena, p->body, true, &broken);
    if (broken)
        mime_note(m, MIME_A_QP_BROKEN, p->body_at);
    return s;
}

struct span mime_body(struct mime *m, struct mime_part *p)
{
    if (p->decoded_body.p)
        return p->decoded_body;
    struct mime_field *f = mime_last(&p->fields, SPAN("Content-Transfer-Encoding"));
    struct span encoding = f ? mime_decoded(m, f) : SPAN_NONE;
    bool multipart = p->child && !p->child->embedded;
    if (!multipart && span_ieq(encoding, SPAN("base64")))
        p->decoded_body = decode_base64(m, p);
    else if (!multipart && span_ieq(encoding, SPAN("quoted-printable")))
        p->decoded_body = decode_qp(m, p);
    else
        p->decoded_body = p->body.p ? p->body : SPAN("");
    return p->decoded_body;
}
