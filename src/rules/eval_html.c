/* HTMLEval (semantics 8.1): each looks at every HTML part; without one nothing hits. */
#include "rules/eval.h"

#include "rules/html_bytes.h"

#include <math.h>
#include <stddef.h>

#define EACH_HTML(c, h)                                                                            \
    for (size_t i_ = 0; i_ < (c)->text->nhtml; i_++)                                               \
        for (const struct html *h = (c)->text->html[i_].html; h; h = NULL)

static const struct {
    const char *key;
    size_t at;
} numbers[] =
    {
        {"length", offsetof(struct html, length)},
        {"html_length", offsetof(struct html, html_length)},
        {"non_space_len", offsetof(struct html, non_space_len)},
        {"ratio", offsetof(struct html, ratio)},
        {"image_area", offsetof(struct html, image_area)},
        {"min_size", offsetof(struct html, min_size)},
        {"max_size", offsetof(struct html, max_size)},
        {"closed_extra_ratio", offsetof(struct html, closed_extra_ratio)},
        {"bad_tag_ratio", offsetof(struct html, bad_tag_ratio)},
        {"non_element_ratio", offsetof(struct html, non_element_ratio)},
        {"obfuscation_ratio", offsetof(struct html, obfuscation_ratio)},
        {"backhair_count", offsetof(struct html, backhair_count)},
},
  flags[] = {
      {"font_low_contrast", offsetof(struct html, font_low_contrast)},
      {"font_invalid_color", offsetof(struct html, font_invalid_color)},
      {"font_face_bad", offsetof(struct html, font_face_bad)},
      {"form_action_mailto", offsetof(struct html, form_action_mailto)},
      {"embeds", offsetof(struct html, embeds)},
};

/* A value of the html hash; NAN when it is not defined. */
static double value(const struct html *h, struct span key)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (span_eq(key, span_str(numbers[i].key)))
            return *(const double *)((const char *)h + numbers[i].at);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (span_eq(key, span_str(flags[i].key)))
            return *(const bool *)((const char *)h + flags[i].at) ? 1 : NAN;
    return span_eq(key, SPAN("html")) ? 1 : NAN;
}

static const struct html_texts *texts(const struct html *h, struct span key)
{
    if (span_eq(key, SPAN("anchor")))
        return &h->anchor;
    if (span_eq(key, SPAN("title")))
        return &h->title;
    if (span_eq(key, SPAN("comment")))
        return &h->comment;
    return span_eq(key, SPAN("script")) ? &h->script : NULL;
}

/* "!= 0", "< 384": one comparison with a number. */
static bool compare(double v, struct span expr)
{
    struct span rest = expr, op = span_word(&rest, " ");
    struct eval_call number = {.args = &rest, .nargs = 1};
    rest = span_trim(rest);
    if (!rest.n) { /* "<384" */
        size_t n = 0;
        while (n < op.n && strchr("<>=!", op.p[n]))
            n++;
        rest = span_from(op, n);
        op = span_sub(op, 0, n);
    }
    double w = eval_number(&number, 0, 0);
    return span_eq(op, SPAN("<"))    ? v < w
           : span_eq(op, SPAN("<=")) ? v <= w
           : span_eq(op, SPAN(">"))  ? v > w
           : span_eq(op, SPAN(">=")) ? v >= w
           : span_eq(op, SPAN("==")) ? v == w
           : span_eq(op, SPAN("!=")) ? v != w
                                     : false;
}

static double html_test(struct rules_ctx *c, const struct eval_call *call)
{
    EACH_HTML(c, h)
    {
        double v = value(h, eval_arg(call, 0));
        if (!isnan(v) && v != 0)
            return 1;
    }
    return 0;
}

static double html_range(struct rules_ctx *c, const struct eval_call *call)
{
    double min = eval_number(call, 1, 0), max = eval_number(call, 2, 0);
    EACH_HTML(c, h)
    {
        double v = value(h, eval_arg(call, 0));
        if (!isnan(v) && v > min && (eval_open(call, 2) || v <= max))
            return 1;
    }
    return 0;
}

static double html_eval(struct rules_ctx *c, const struct eval_call *call)
{
    EACH_HTML(c, h)
    {
        double v = value(h, eval_arg(call, 0));
        if (!isnan(v) && compare(v, eval_arg(call, 1)))
            return 1;
    }
    return 0;
}

static bool inside(struct rules_ctx *c, const struct html *h, struct span tag, long *count)
{
    return html_inside(h, arena_cstr(c->a, tag), count);
}

static double html_tag_exists(struct rules_ctx *c, const struct eval_call *call)
{
    long count;
    EACH_HTML(c, h)
    if (inside(c, h, eval_arg(call, 0), &count))
        return 1;
    return 0;
}

/* Tags with other characters in their name than letters and digits are never counted. */
static bool plain_name(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]))
            return false;
    return s.n > 0;
}

static double html_tag_balance(struct rules_ctx *c, const struct eval_call *call)
{
    long count;
    if (!plain_name(eval_arg(call, 0)))
        return 0;
    EACH_HTML(c, h)
    if (inside(c, h, eval_arg(call, 0), &count) && compare((double)count, eval_arg(call, 1)))
        return 1;
    return 0;
}

static double html_image_only(struct rules_ctx *c, const struct eval_call *call)
{
    double min = eval_number(call, 0, 0), max = eval_number(call, 1, 0);
    long count;
    EACH_HTML(c, h)
    if (html_inside(h, "img", &count) && h->length > min && h->length <= max)
        return 1;
    return 0;
}

static double html_image_ratio(struct rules_ctx *c, const struct eval_call *call)
{
    double min = eval_number(call, 0, 0), max = eval_number(call, 1, 0);
    EACH_HTML(c, h)
    {
        if (!(h->image_area > 0))
            continue;
        double ratio = h->non_space_len / h->image_area;
        if (ratio > min && ratio <= max)
            return 1;
    }
    return 0;
}

/* The charsets it would look at are never in SpamAssassin's html hash: it never hits, whatever
 * ok_locales says. */
static double html_charset_faraway(struct rules_ctx *c, const struct eval_call *call)
{
    (void)c;
    (void)call;
    return 0;
}

static int prepare_match(struct arena *a, const struct conf *conf, struct eval_call *call,
                         struct err *e)
{
    (void)conf;
    call->prepared = regex_new(a, eval_arg(call, 1), SPAN_NONE, e);
    return call->prepared ? 0 : -1;
}

static bool any_text(struct rules_ctx *c, const struct eval_call *call, bool want)
{
    EACH_HTML(c, h)
    {
        const struct html_texts *t = texts(h, eval_arg(call, 0));
        for (size_t i = 0; t && i < t->n; i++)
            if (regex_hit(call->prepared, html_bytes(c->a, &t->v[i])) == want)
                return true;
    }
    return false;
}

static double html_text_match(struct rules_ctx *c, const struct eval_call *call)
{
    return any_text(c, call, true);
}

static double html_text_not_match(struct rules_ctx *c, const struct eval_call *call)
{
    return any_text(c, call, false);
}

static double html_title_subject_ratio(struct rules_ctx *c, const struct eval_call *call)
{
    struct span subject = header_scalar(c, "Subject");
    double limit = eval_number(call, 0, 0);
    if (!subject.n)
        return 0;
    EACH_HTML(c, h)
    for (size_t i = 0; i < h->title.n; i++) {
        struct span title = html_bytes(c->a, &h->title.v[i]);
        if (!span_eq(title, SPAN("0")) && (double)title.n / (double)subject.n > limit)
            return 1;
    }
    return 0;
}

static double check_iframe_src(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    EACH_HTML(c, h)
    for (size_t i = 0; i < h->links.n; i++)
        for (size_t k = 0; k < h->links.v[i].ntypes; k++)
            if (strcmp(h->links.v[i].types[k], "iframe") == 0)
                return 1;
    return 0;
}

#define ROW(fn)                                                                                    \
    {                                                                                              \
#fn, "HTMLEval", fn, .types = EVAL_BODIES, .html = true                                    \
    }
#define PREPARED(fn, how)                                                                          \
    {                                                                                              \
#fn, "HTMLEval", fn, .types = EVAL_BODIES, .prepare = how, .html = true                    \
    }
const struct eval_fn_def eval_html[] = {
    ROW(html_test),
    ROW(html_range),
    ROW(html_eval),
    ROW(html_tag_exists),
    ROW(html_tag_balance),
    ROW(html_image_only),
    ROW(html_image_ratio),
    ROW(html_charset_faraway),
    PREPARED(html_text_match, prepare_match),
    PREPARED(html_text_not_match, prepare_match),
    ROW(html_title_subject_ratio),
    ROW(check_iframe_src),
    {NULL},
};
