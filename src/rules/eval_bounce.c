/* VBounce (semantics 8.3): was the bounced mail ours? Only where welcomelist_bounce_relays says who
 * we are. */
#include "rules/eval.h"

static double have_any_bounce_relays(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return c->conf->lists.bounce_relays.n > 0;
}

/* "> > Received: ..." */
static bool is_received(struct span line)
{
    size_t n = 0;
    while (n < line.n && (line.p[n] == '>' || line.p[n] == ' '))
        n++;
    return span_istarts(span_from(line, n), SPAN("Received:"));
}

/* A word with a dot inside, between white space. */
static bool names_us(struct rules_ctx *c, struct span line)
{
    bool first = line.n == 0 || !ascii_isspace(line.p[0]);
    struct span rest = line, word;
    while ((word = span_word(&rest, " \t\r\n\v\f")).p) {
        bool last = rest.n == 0;
        size_t dot = span_find(span_from(word, 1), '.');
        if (!first && !last && dot != SIZE_MAX && dot + 2 < word.n &&
            globs_match(&c->conf->lists.bounce_relays, arena_lower(c->a, word)))
            return true;
        first = false;
    }
    return false;
}

static bool in_pristine_body(struct rules_ctx *c)
{
    struct span body = c->mime->body_bytes;
    if (span_isearch(body, SPAN("Received:")) == SIZE_MAX)
        return false;
    /* a header with its folded lines is one piece of the body without the line ends */
    bool found = false;
    for (size_t at = 0; at < body.n;) {
        size_t end = at;
        bool received = false;
        do {
            size_t lf = span_find(span_from(body, end), '\n');
            if (end == at)
                received = is_received(span_sub(body, at, lf == SIZE_MAX ? body.n : at + lf));
            end = lf == SIZE_MAX ? body.n : end + lf + 1;
        } while (end < body.n && ascii_isspace(body.p[end]) && body.p[end] != '\n');
        found = found || received;
        if (received &&
            names_us(c, span_sub(body, at, end - (end > at && body.p[end - 1] == '\n'))))
            return true;
        at = end;
    }
    return false;
}

static double check_welcomelist_bounce_relays(struct rules_ctx *c, const struct eval_call *call)
{
    if (have_any_bounce_relays(c, call) == 0)
        return 0;
    for (size_t i = 0; i < c->text->body.n; i++)
        if (is_received(c->text->body.v[i]) && names_us(c, c->text->body.v[i]))
            return 1;
    return in_pristine_body(c);
}

const struct eval_fn_def eval_bounce[] = {
    {"have_any_bounce_relays", "VBounce", have_any_bounce_relays},
    {"check_welcomelist_bounce_relays", "VBounce", check_welcomelist_bounce_relays},
    {NULL},
};
