#include "virus/clamd_private.h"

static bool prefix_fits(struct span prefix, bool stream)
{
    if (stream)
        return span_eq(prefix, SPAN("stream"));
    if (!span_starts(prefix, SPAN("fd[")) || !span_ends(prefix, SPAN("]")))
        return false;
    uint64_t number;
    return span_u64(span_sub(prefix, 3, prefix.n - 1), &number);
}

static bool printable(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' || s.p[i] > '~')
            return false;
    return true;
}

static enum clamd_verdict found_kind(struct span name)
{
    if (span_starts(name, SPAN("Heuristics.Encrypted")))
        return CLAMD_ENCRYPTED;
    if (span_starts(name, SPAN("Heuristics.Limits.Exceeded")))
        return CLAMD_LIMIT;
    return CLAMD_FOUND;
}

struct clamd_answer clamd_answer_parse(struct span answer, bool stream)
{
    struct clamd_answer odd = {CLAMD_ERROR, answer};
    if (!printable(answer))
        return (struct clamd_answer){CLAMD_ERROR, SPAN("an answer with unprintable bytes")};
    if (span_ends(answer, SPAN(" ERROR"))) {
        odd.text = span_sub(answer, 0, answer.n - 6);
        if (span_isearch(answer, SPAN("size limit exceeded")) != SIZE_MAX)
            odd.verdict = CLAMD_LIMIT;
        else if (span_isearch(answer, SPAN("file descriptor")) != SIZE_MAX)
            odd.verdict = CLAMD_NO_FD;
        return odd;
    }
    size_t colon = span_find(answer, ':');
    struct span rest = colon == SIZE_MAX ? SPAN_NONE : span_from(answer, colon + 1);
    if (!rest.p || !prefix_fits(span_sub(answer, 0, colon), stream) ||
        !span_starts(rest, SPAN(" ")))
        return odd;
    rest = span_from(rest, 1);
    if (span_eq(rest, SPAN("OK")))
        return (struct clamd_answer){CLAMD_OK, rest};
    struct span name = span_sub(rest, 0, rest.n - 6);
    if (!span_ends(rest, SPAN(" FOUND")) || rest.n <= 6)
        return odd;
    return (struct clamd_answer){found_kind(name), span_sub(name, 0, SIGNATURE_NAME_MAX)};
}

struct span clamd_version_parse(struct span answer)
{
    if (!span_starts(answer, SPAN("ClamAV ")) || !printable(answer))
        return SPAN_NONE;
    struct span v = span_from(answer, 7);
    size_t first = span_find(v, '/');
    if (first == SIZE_MAX)
        return v.n ? span_sub(v, 0, 64) : SPAN_NONE;
    size_t second = span_find(span_from(v, first + 1), '/');
    size_t end = second == SIZE_MAX ? v.n : first + 1 + second;
    return span_sub(v, 0, end < 64 ? end : 64);
}
