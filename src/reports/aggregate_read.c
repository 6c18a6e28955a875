/* Aggregate reports read from XML (libexpat): one pass, no tree. Elements are known by their path;
 * what is not in the table below is passed over, so that extensions and other versions of the form
 * can be read. */
#include "reports/aggregate.h"

#include <expat.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/ip.h"

enum { PATH_MAX_BYTES = 128, COUNT_MAX = 1000000000 };

/* Where a text belongs. */
enum place { IN_REPORT, IN_ROW, IN_AUTH };

enum kind {
    TEXT,
    DOMAIN,      /* lower case */
    WORD,        /* lower case, letters alone */
    DISPOSITION, /* none, quarantine, reject; "pass" is none */
    VERDICT,     /* pass or fail */
    NUMBER,      /* int64_t */
    COUNT,       /* uint64_t */
    ADDRESS
};

struct slot {
    const char *path; /* behind "feedback" */
    enum place place;
    enum kind kind;
    size_t offset;
};

#define R(path, kind, field)                                                                       \
    {                                                                                              \
        path, IN_REPORT, kind, offsetof(struct agg_report, field)                                  \
    }
#define W(path, kind, field)                                                                       \
    {                                                                                              \
        path, IN_ROW, kind, offsetof(struct agg_row, field)                                        \
    }
#define A(path, kind, field)                                                                       \
    {                                                                                              \
        path, IN_AUTH, kind, offsetof(struct agg_auth, field)                                      \
    }
static const struct slot slots[] = {
    R("/report_metadata/org_name", TEXT, org),
    R("/report_metadata/email", TEXT, email),
    R("/report_metadata/extra_contact_info", TEXT, contact),
    R("/report_metadata/report_id", TEXT, id),
    R("/report_metadata/error", TEXT, error),
    R("/report_metadata/date_range/begin", NUMBER, begin),
    R("/report_metadata/date_range/end", NUMBER, end),
    R("/policy_published/domain", DOMAIN, policy.domain),
    R("/policy_published/discovery_method", WORD, policy.method),
    R("/policy_published/adkim", WORD, policy.adkim),
    R("/policy_published/aspf", WORD, policy.aspf),
    R("/policy_published/p", WORD, policy.p),
    R("/policy_published/sp", WORD, policy.sp),
    R("/policy_published/np", WORD, policy.np),
    R("/policy_published/pct", TEXT, policy.pct),
    R("/policy_published/fo", TEXT, policy.fo),
    R("/policy_published/testing", WORD, policy.testing),
    W("/record/row/source_ip", ADDRESS, ip),
    W("/record/row/count", COUNT, count),
    W("/record/row/policy_evaluated/disposition", DISPOSITION, disposition),
    W("/record/row/policy_evaluated/dkim", VERDICT, dkim),
    W("/record/row/policy_evaluated/spf", VERDICT, spf),
    W("/record/row/policy_evaluated/reason/type", WORD, reason),
    W("/record/row/policy_evaluated/reason/comment", TEXT, comment),
    W("/record/identifiers/header_from", DOMAIN, header_from),
    W("/record/identifiers/envelope_from", DOMAIN, envelope_from),
    W("/record/identifiers/envelope_to", DOMAIN, envelope_to),
    A("/record/auth_results/dkim/domain", DOMAIN, domain),
    A("/record/auth_results/dkim/selector", TEXT, selector),
    A("/record/auth_results/dkim/result", WORD, result),
    A("/record/auth_results/dkim/human_result", TEXT, human),
    A("/record/auth_results/spf/domain", DOMAIN, domain),
    A("/record/auth_results/spf/scope", WORD, scope),
    A("/record/auth_results/spf/result", WORD, result),
    A("/record/auth_results/spf/human_result", TEXT, human),
};
#undef R
#undef W
#undef A

struct reader {
    XML_Parser xml;
    struct arena *a;
    struct agg_report *out;
    struct err *e;
    bool refused;
    unsigned depth;
    char path[PATH_MAX_BYTES]; /* of the elements that are open, behind the root */
    size_t ends[AGG_DEPTH_MAX];
    const struct slot *slot; /* the text that is being read goes there */
    struct buf text;
    struct agg_row row;
    bool in_row;
    struct agg_auth *auth;
    size_t auths;
};

static void refuse(struct reader *r, const char *why)
{
    if (!r->refused)
        err_set(r->e, "line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(r->xml), why);
    r->refused = true;
    XML_StopParser(r->xml, XML_FALSE);
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *sysid,
                               const XML_Char *pubid, int internal)
{
    (void)name, (void)sysid, (void)pubid, (void)internal;
    refuse(ctx, "a document type declaration has no place in a report");
}

static struct span path_of(const struct reader *r)
{
    return span_of(r->path, r->depth > 1 ? r->ends[r->depth - 1] : 0);
}

/* --- elements begin --- */

static void begin_row(struct reader *r)
{
    r->row = (struct agg_row){.ip = SPAN(""),
                              .disposition = SPAN("none"),
                              .dkim = SPAN("fail"),
                              .spf = SPAN("fail"),
                              .reason = SPAN(""),
                              .comment = SPAN(""),
                              .header_from = SPAN(""),
                              .envelope_from = SPAN(""),
                              .envelope_to = SPAN("")};
    r->in_row = true;
}

static void begin_auth(struct reader *r, bool spf)
{
    r->auth = NULL;
    if (!r->in_row || r->row.nauth == AGG_AUTHS_MAX || r->auths == AGG_AUTHS_ALL)
        return;
    r->auths++;
    r->auth = ARENA_PUSH(r->a, r->row.auth, r->row.nauth, r->row.auth_cap);
    *r->auth = (struct agg_auth){.spf = spf,
                                 .domain = SPAN(""),
                                 .selector = SPAN(""),
                                 .scope = SPAN(""),
                                 .result = SPAN("none"),
                                 .human = SPAN("")};
}

static const struct slot *slot_of(const struct reader *r, struct span path)
{
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        if (span_eq(path, span_str(slots[i].path)))
            return slots[i].place == IN_REPORT             ? &slots[i]
                   : slots[i].place == IN_ROW && r->in_row ? &slots[i]
                   : slots[i].place == IN_AUTH && r->auth  ? &slots[i]
                                                           : NULL;
    return NULL;
}

/* false: it is too long to be one that is known. */
static bool push(struct reader *r, struct span name)
{
    size_t at = r->depth > 1 ? r->ends[r->depth - 1] : 0;
    r->depth++;
    if (r->depth == 1)
        return true;
    r->ends[r->depth - 1] = at;
    if (at == SIZE_MAX || at + 1 + name.n > sizeof r->path) {
        r->ends[r->depth - 1] = SIZE_MAX;
        return false;
    }
    r->path[at] = '/';
    memcpy(r->path + at + 1, name.p, name.n);
    r->ends[r->depth - 1] = at + 1 + name.n;
    return true;
}

static void XMLCALL on_begin(void *ctx, const XML_Char *tag, const XML_Char **attributes)
{
    struct reader *r = ctx;
    struct span name = span_str(tag);
    (void)attributes;
    if (r->refused)
        return;
    name = span_from(name, span_rfind(name, ':') + 1); /* SIZE_MAX + 1 is 0: no prefix */
    if (r->depth == AGG_DEPTH_MAX) {
        refuse(r, "elements are nested too deeply");
        return;
    }
    if (r->depth == 0 && !span_eq(name, SPAN("feedback"))) {
        refuse(r, "this is no aggregate report: the root is not 'feedback'");
        return;
    }
    r->slot = NULL;
    buf_clear(&r->text);
    if (!push(r, name) || r->depth == 1)
        return;
    struct span path = path_of(r);
    if (span_eq(path, SPAN("/record")))
        begin_row(r);
    else if (span_eq(path, SPAN("/record/auth_results/dkim")))
        begin_auth(r, false);
    else if (span_eq(path, SPAN("/record/auth_results/spf")))
        begin_auth(r, true);
    else
        r->slot = slot_of(r, path);
}

static void XMLCALL on_text(void *ctx, const XML_Char *p, int n)
{
    struct reader *r = ctx;
    /* Room for white space around it; what is too long is cut in the end. */
    if (r->slot && r->text.n < AGG_TEXT_MAX * 2)
        buf_add(&r->text, span_of(p, (size_t)n));
}

/* --- elements end --- */

static struct span word_of(struct reader *r, struct span s)
{
    s = arena_lower(r->a, span_trim(s));
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalpha(s.p[i]) && s.p[i] != '_')
            return SPAN("unknown");
    return span_sub(s, 0, 32);
}

static struct span disposition_of(struct span s)
{
    return span_ieq(s, SPAN("reject"))       ? SPAN("reject")
           : span_ieq(s, SPAN("quarantine")) ? SPAN("quarantine")
                                             : SPAN("none");
}

static int64_t number_of(struct span s)
{
    uint64_t v;
    /* Some write seconds with a fraction. */
    s = span_sub(s, 0, span_find(s, '.'));
    return span_u64(s, &v) && v <= INT64_MAX / 2 ? (int64_t)v : 0;
}

static void keep(struct reader *r, const struct slot *slot, struct span raw)
{
    char *base = slot->place == IN_REPORT ? (char *)r->out
                 : slot->place == IN_ROW  ? (char *)&r->row
                                          : (char *)r->auth;
    void *to = base + slot->offset;
    struct span s = span_trim(raw);
    char ip[IP_TEXT_SIZE];
    struct ip address;
    uint64_t count = 0;
    switch (slot->kind) {
    case NUMBER:
        *(int64_t *)to = number_of(s);
        break;
    case COUNT:
        if (span_u64(s, &count) && count <= COUNT_MAX)
            *(uint64_t *)to = count;
        break;
    case TEXT:
        *(struct span *)to = agg_clean(r->a, s);
        break;
    case DOMAIN:
        *(struct span *)to = arena_lower(r->a, agg_clean(r->a, s));
        break;
    case WORD:
        *(struct span *)to = word_of(r, s);
        break;
    case DISPOSITION:
        *(struct span *)to = disposition_of(s);
        break;
    case VERDICT:
        *(struct span *)to = span_ieq(s, SPAN("pass")) ? SPAN("pass") : SPAN("fail");
        break;
    case ADDRESS:
        if (ip_parse(s, &address))
            *(struct span *)to = arena_dup(r->a, span_str(ip_text(&address, ip)));
        break;
    }
}

static void end_row(struct reader *r)
{
    struct agg_report *out = r->out;
    r->in_row = false;
    r->auth = NULL;
    if (!r->row.ip.n || !r->row.count || out->n == AGG_ROWS_MAX)
        out->left_out++;
    else
        *ARENA_PUSH(r->a, out->rows, out->n, out->cap) = r->row;
}

static void XMLCALL on_end(void *ctx, const XML_Char *tag)
{
    struct reader *r = ctx;
    (void)tag;
    if (r->refused)
        return;
    if (r->slot)
        keep(r, r->slot, buf_span(&r->text));
    else if (r->depth > 1 && r->ends[r->depth - 1] != SIZE_MAX &&
             span_eq(path_of(r), SPAN("/record")))
        end_row(r);
    r->slot = NULL;
    r->depth--;
}

/* --- all of it --- */

static int judge(const struct agg_report *r, struct err *e)
{
    if (!r->org.n || !r->id.n)
        return err_set(e, "the report has no %s", r->org.n ? "report_id" : "org_name");
    if (!r->policy.domain.n)
        return err_set(e, "the report does not say about which domain it is");
    if (r->begin <= 0 || r->end < r->begin)
        return err_set(e, "the report does not say about which time it is");
    return 0;
}

static void blank(struct agg_report *r)
{
    *r = (struct agg_report){0};
    struct span *texts[] = {
        &r->org,         &r->email,         &r->contact,       &r->id,
        &r->error,       &r->policy.domain, &r->policy.record, &r->policy.method,
        &r->policy.p,    &r->policy.sp,     &r->policy.np,     &r->policy.adkim,
        &r->policy.aspf, &r->policy.pct,    &r->policy.fo,     &r->policy.testing};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = SPAN("");
}

int agg_read(struct span xml, struct arena *a, struct agg_report *out, struct err *e)
{
    struct err unused;
    struct reader r = {.a = a, .out = out, .e = e ? e : &unused};
    blank(out);
    if (xml.n > AGG_XML_MAX)
        return err_set(r.e, "the report is larger than %d MiB", AGG_XML_MAX >> 20);
    r.xml = XML_ParserCreate(NULL);
    if (!r.xml)
        return err_set(r.e, "out of memory");
    XML_SetUserData(r.xml, &r);
    XML_SetElementHandler(r.xml, on_begin, on_end);
    XML_SetCharacterDataHandler(r.xml, on_text);
    XML_SetStartDoctypeDeclHandler(r.xml, on_doctype);
    int result = 0;
    if (XML_Parse(r.xml, xml.p, (int)xml.n, 1) != XML_STATUS_OK && !r.refused)
        result = err_set(r.e, "line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(r.xml),
                         XML_ErrorString(XML_GetErrorCode(r.xml)));
    XML_ParserFree(r.xml);
    buf_free(&r.text);
    return result == 0 && !r.refused ? judge(out, r.e) : -1;
}
