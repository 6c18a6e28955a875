/* A whole message: header access in every form, and every local eval function. */
#include "rules/eval.h"
#include "rules/eval_state.h"

static const char rules[] =
    "loadplugin Mail::SpamAssassin::Plugin::FreeMail\n"
    "loadplugin Mail::SpamAssassin::Plugin::VBounce\n"
    "loadplugin Mail::SpamAssassin::Plugin::WelcomeListSubject\n"
    "util_rb_tld com net org example uk\nutil_rb_2tld co.uk\n"
    "freemail_domains free.com *.wild.com\nwelcomelist_bounce_relays *.ours.com\n"
    "welcomelist_from_rcvd *@rcvd.com rcvd.com\nwelcomelist_from_rcvd *@net.com [198.51.100]\n"
    "enlist_addrlist (L) *@listed.com\nenlist_uri_host (L) host.com\nblocklist_subject bad?word\n";

static const char *const requests[] = {
    "Subject",
    "Subject:raw",
    "From:addr",
    "From:name",
    "From:name:raw",
    "From:addr:domain",
    "From:host",
    "ToCc:addr",
    "ToCc:raw",
    "MESSAGEID",
    "EnvelopeFrom",
    "ALL",
    "ALL:raw",
    "ALL-TRUSTED",
    "ALL-EXTERNAL:raw",
    "Received:ip",
    "Received:revip",
    "Received:host",
    "X-Spam-Relays-Untrusted",
    "X-SenderDomain",
    "X-AuthorDomain",
    "Message-Id:last:domain",
};

/* Arguments that fit most functions of a kind. */
static const struct {
    const char *name;
    const char *args[3];
} arguments[] = {
    {"html_test", {"html"}},
    {"html_range", {"length", "0", "inf"}},
    {"html_eval", {"length", "< 512"}},
    {"html_tag_exists", {"body"}},
    {"html_tag_balance", {"body", "!= 0"}},
    {"html_image_only", {"0", "400"}},
    {"html_image_ratio", {"0", "0.1"}},
    {"html_text_match", {"anchor", "<img>"}},
    {"html_text_not_match", {"title", "x"}},
    {"html_title_subject_ratio", {"3.5"}},
    {"check_for_mime", {"mime_qp_count"}},
    {"check_mime_multipart_ratio", {"0", "0.01"}},
    {"check_abundant_unicode_ratio", {"0.02"}},
    {"check_qp_ratio", {"0.1"}},
    {"check_for_uppercase", {"25", "50"}},
    {"check_base64_length", {"78", "79"}},
    {"check_msg_parse_flags", {"truncated_header"}},
    {"check_body_length", {"1024"}},
    {"check_blank_line_ratio", {"80", "90", "4"}},
    {"tvd_vertical_words", {"0", "10"}},
    {"check_stock_info", {"2"}},
    {"multipart_alternative_difference", {"99", "100"}},
    {"multipart_alternative_difference_count", {"3", "1"}},
    {"image_count", {"all", "1"}},
    {"pixel_coverage", {"all", "1", "100"}},
    {"image_to_text_ratio", {"all", "0", "1"}},
    {"image_name_regex", {"x"}},
    {"check_https_http_mismatch", {"1", "10"}},
    {"check_for_from_domain_in_received_headers", {"free.com", "true"}},
    {"check_illegal_chars", {"ALL", "0.01", "2"}},
    {"similar_recipients", {"0.65", "undef"}},
    {"check_for_to_in_subject", {"user"}},
    {"check_header_count_range", {"Subject", "2", "999"}},
    {"check_for_shifted_date", {"3", "6"}},
    {"received_within_months", {"1", "6"}},
    {"check_from_in_list", {"L"}},
    {"check_replyto_in_list", {"L"}},
    {"check_uri_host_listed", {"L"}},
    {"check_freemail_header", {"Reply-To", "\\d@"}},
    {"check_freemail_replyto", {"reply"}},
};

static const struct conf *conf(struct arena **arena)
{
    static struct conf *made;
    static struct arena *a;
    if (!made) {
        static const struct conf_options options = {.local_only = true};
        a = arena_new(0);
        made = conf_new(a, &options);
        conf_text(made, "fuzz.cf", span_str(rules));
        conf_finish(made);
    }
    *arena = a;
    return made;
}

/* Prepared calls of one table; kept for all inputs. */
static size_t prepare(const struct eval_fn_def *table, struct eval_call *out,
                      struct span (*args)[3])
{
    struct arena *a;
    const struct conf *c = conf(&a);
    size_t n = 0;
    for (const struct eval_fn_def *d = table; d->name; d++) {
        struct err e;
        struct eval_call *call = &out[n];
        *call = (struct eval_call){.def = d,
                                   .rule = "FUZZ",
                                   .args = args[n],
                                   .type = d->types & EVAL_HEAD ? EVAL_HEADER : EVAL_BODY};
        for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
            for (size_t k = 0; k < 3 && strcmp(arguments[i].name, d->name) == 0; k++)
                if (arguments[i].args[k])
                    args[n][call->nargs++] = span_str(arguments[i].args[k]);
        if (!d->prepare || d->prepare(a, c, call, &e) == 0)
            n++;
    }
    return n;
}

static struct eval_call *calls(size_t *n)
{
    static const struct eval_fn_def *const tables[] = {
        eval_header, eval_date, eval_forged, eval_relay, eval_list,  eval_freemail,
        eval_bounce, eval_html, eval_mime,   eval_body,  eval_image, eval_uri,
    };
    static struct eval_call made[256];
    static struct span args[256][3];
    static size_t count;
    bool first = count == 0;
    for (size_t i = 0; first && i < sizeof tables / sizeof *tables; i++)
        count += prepare(tables[i], made + count, args + count);
    *n = count;
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *conf_arena, *a = arena_new(0);
    struct message m = {.arena = a};
    struct rules_ctx c = {.conf = conf(&conf_arena), .m = &m, .a = a};
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    static const struct text_limits text = {50000, 500000, true};
    c.mime = mime_parse(a, span_of((const char *)data, size), &limits);
    c.relays = relays_parse(c.mime, &c.conf->relays, NULL);
    c.text = text_make(c.mime, &c.conf->uri, &text);
    size_t n;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        header_list(&c, requests[i], &n);
    header_all_to(&c, &n);
    struct eval_call *v = calls(&n);
    for (size_t i = 0; i < n; i++)
        v[i].def->fn(&c, &v[i]);
    arena_free(a);
    return 0;
}
