#include "reports/made.h"

#include <openssl/evp.h>

#include "mime/compose.h"
#include "reports/pack.h"

enum { KEY_BYTES = 8, BASE64_LINE = 76 };

static struct span submitter(const struct settings *set)
{
    struct span from = span_str(set->reports.from);
    return span_from(from, span_rfind(from, '@') + 1);
}

/* 16 hexadecimal digits that stand for the report: a report that is made again, because nobody
 * knows whether it went out, is the same to who gets it. */
static struct span unique(enum reports_kind kind, const struct report_item *item, struct arena *a)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    struct span key =
        arena_printf(a, "%d %lld %.*s %.*s %.*s", (int)kind, (long long)item->begin,
                     SPAN_ARG(item->domain), SPAN_ARG(item->method), SPAN_ARG(item->policy));
    EVP_Digest(key.p, key.n, digest, NULL, EVP_sha256(), NULL);
    char *out = arena_raw(a, KEY_BYTES * 2 + 1);
    for (int i = 0; i < KEY_BYTES; i++)
        snprintf(out + i * 2, 3, "%02x", digest[i]);
    return span_of(out, KEY_BYTES * 2);
}

/* A name as it goes into headers and file names: what no domain should have becomes '_'. */
static struct span plain(struct arena *a, struct span domain)
{
    char *out = arena_raw(a, domain.n + 1);
    for (size_t i = 0; i < domain.n; i++) {
        char c = domain.p[i];
        out[i] = ascii_isalnum(c) || c == '.' || c == '-' ? c : '_';
    }
    return span_of(out, domain.n);
}

static void name_it(const struct settings *set, const struct report_item *item, struct arena *a,
                    struct report_made *r)
{
    struct span key = unique(r->kind, item, a);
    time_t day = (time_t)item->begin;
    struct tm tm;
    char date[16];
    gmtime_r(&day, &tm);
    strftime(date, sizeof date, "%Y%m%d", &tm);
    r->domain = plain(a, item->domain);
    r->submitter = submitter(set);
    r->begin = item->begin;
    r->end = item->begin + REPORTS_DAY - 1;
    r->id = arena_printf(a, "%s.%.*s@%.*s", date, SPAN_ARG(key), SPAN_ARG(r->submitter));
    r->name = arena_printf(a, "%.*s!%.*s!%lld!%lld!%.*s.%s.gz", SPAN_ARG(r->submitter),
                           SPAN_ARG(r->domain), (long long)r->begin, (long long)r->end,
                           SPAN_ARG(key), r->kind == REPORTS_TLS ? "json" : "xml");
}

static int make_dmarc(const struct settings *set, struct report_store *s,
                      const struct report_item *item, struct arena *a, struct report_made *out,
                      struct buf *text, struct err *e)
{
    struct agg_report r;
    if (report_store_load(s, item->serial, a, &r, e))
        return -1;
    struct agg_sum sum = agg_sum(&r);
    r.org = span_str(set->reports.organisation);
    r.email = span_str(set->reports.from);
    r.contact = set->reports.contact ? span_str(set->reports.contact) : SPAN("");
    r.id = out->id;
    if (r.left_out)
        r.error = arena_printf(a, "%zu more messages came from too many sources", r.left_out);
    agg_policy_fill(a, &r.policy);
    agg_write(text, &r);
    out->rows = r.n;
    out->good = sum.aligned;
    out->bad = sum.messages - sum.aligned;
    return 0;
}

static int make_tls(const struct settings *set, struct report_store *s,
                    const struct report_item *item, struct arena *a, struct report_made *out,
                    struct buf *text, struct err *e)
{
    struct tls_report r;
    if (report_store_load_tls(s, item->serial, a, &r, e))
        return -1;
    r.org = span_str(set->reports.organisation);
    r.contact = span_str(set->reports.from);
    r.id = out->id;
    tls_write(text, &r);
    out->rows = r.n;
    for (size_t i = 0; i < r.n; i++) {
        out->good += r.policies[i].successes;
        out->bad += r.policies[i].failures;
    }
    return 0;
}

int report_make(const struct settings *set, struct report_store *s, enum reports_kind kind,
                const struct report_item *item, bool with_text, struct arena *a,
                struct report_made *out, struct err *e)
{
    struct buf text = {0}, packed = {0};
    struct arena *rows = arena_new(0);
    *out = (struct report_made){.kind = kind};
    name_it(set, item, a, out);
    int result = kind == REPORTS_TLS ? make_tls(set, s, item, rows, out, &text, e)
                                     : make_dmarc(set, s, item, rows, out, &text, e);
    arena_free(rows);
    if (result == 0) {
        pack_gzip(&packed, buf_span(&text));
        out->text = with_text ? arena_dup(a, buf_span(&text)) : SPAN_NONE;
        out->packed = arena_dup(a, buf_span(&packed));
    }
    buf_free(&text);
    buf_free(&packed);
    return result;
}

uint64_t report_mailed_size(const struct report_made *r)
{
    uint64_t chars = (r->packed.n + 2) / 3 * 4;
    return chars + (chars + BASE64_LINE - 1) / BASE64_LINE * 2;
}

/* --- the mail --- */

static void header(const struct settings *set, const struct report_made *r, struct span to,
                   usec now, const char *boundary, struct buf *out)
{
    bool tls = r->kind == REPORTS_TLS;
    char date[CLOCK_RFC5322_SIZE];
    buf_printf(out, "From: %s\r\nTo: %.*s\r\n", set->reports.from, SPAN_ARG(to));
    buf_printf(out, "Subject: Report Domain: %.*s\r\n Submitter: %.*s\r\n Report-ID: <%.*s>\r\n",
               SPAN_ARG(r->domain), SPAN_ARG(r->submitter), SPAN_ARG(r->id));
    buf_printf(out, "Date: %s\r\nMessage-ID: <%.*s>\r\n", clock_rfc5322(now, date),
               SPAN_ARG(r->id));
    if (tls)
        buf_printf(out,
                   "TLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %.*s\r\nTLS-Required: No\r\n",
                   SPAN_ARG(r->domain), SPAN_ARG(r->submitter));
    buf_str(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
    buf_printf(out, "Content-Type: multipart/%s;\r\n boundary=\"%s\"\r\n\r\n",
               tls ? "report; report-type=tlsrpt" : "mixed", boundary);
}

static void explanation(const struct report_made *r, struct buf *out)
{
    char begin[CLOCK_ISO_SIZE];
    clock_iso(r->begin * USEC_PER_SEC, begin);
    if (r->kind == REPORTS_TLS)
        buf_printf(out,
                   "This is a report about the TLS of mail to %.*s (RFC 8460),\r\n"
                   "sent by %.*s. It covers %.10s (UTC): %llu sessions with TLS as\r\n"
                   "demanded, %llu without.\r\n",
                   SPAN_ARG(r->domain), SPAN_ARG(r->submitter), begin, (unsigned long long)r->good,
                   (unsigned long long)r->bad);
    else
        buf_printf(out,
                   "This is a DMARC aggregate report about mail from %.*s (RFC 9990),\r\n"
                   "sent by %.*s. It covers %.10s (UTC): %llu messages, of which\r\n"
                   "%llu passed DMARC.\r\n",
                   SPAN_ARG(r->domain), SPAN_ARG(r->submitter), begin,
                   (unsigned long long)(r->good + r->bad), (unsigned long long)r->good);
}

void report_mail(const struct settings *set, const struct report_made *r, struct span to, usec now,
                 struct buf *out)
{
    char boundary[COMPOSE_BOUNDARY_SIZE];
    compose_boundary(boundary);
    header(set, r, to, now, boundary, out);
    buf_printf(out, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary);
    explanation(r, out);
    buf_printf(out,
               "\r\n--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: base64\r\n"
               "Content-Disposition: attachment;\r\n filename=\"%.*s\"\r\n\r\n",
               boundary, r->kind == REPORTS_TLS ? "application/tlsrpt+gzip" : "application/gzip",
               SPAN_ARG(r->name));
    compose_base64(out, r->packed);
    buf_printf(out, "--%s--\r\n", boundary);
}
