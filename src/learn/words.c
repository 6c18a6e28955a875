/* Lines into words, words into tokens. All on bytes: a character beyond ASCII is a run of bytes
 * that has the form of UTF-8. */
#include "learn/tokens_private.h"

enum { WORD_MIN = 3, SKIP_KEEPS = 7, SKIP_LEAVES = 2 };

static unsigned char at(struct span s, size_t i)
{
    return i < s.n ? (unsigned char)s.p[i] : 0;
}

static bool follows(struct span s, size_t i)
{
    return at(s, i) >= 0x80 && at(s, i) <= 0xbf;
}

static bool is_word(char c)
{
    return ascii_isalnum(c) || c == '_';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* Bytes of the UTF-8 form at i, 0: none. Only the form counts. */
static size_t sequence(struct span s, size_t i)
{
    unsigned char c = at(s, i);
    if (c >= 0xc0 && c <= 0xdf)
        return follows(s, i + 1) ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef)
        return follows(s, i + 1) && follows(s, i + 2) ? 3 : 0;
    if (c >= 0xf0 && c <= 0xf4)
        return follows(s, i + 1) && follows(s, i + 2) && follows(s, i + 3) ? 4 : 0;
    return 0;
}

/* --- lines --- */

/* Letters, digits, and ,@*!_'"$. - as bits. */
static bool is_plain(char c)
{
    static const uint64_t plain[4] = {0x03ff749700000000, 0x07fffffe87ffffff};
    return plain[(unsigned char)c >> 6] >> (c & 63) & 1;
}

/* Blanks for everything that is neither a plain byte, UTF-8, nor one of Latin-1's upper half. */
static void clean(struct buf *out, struct span line)
{
    char *to = buf_room(out, line.n);
    size_t n = 0;
    for (size_t i = 0; i < line.n;) {
        size_t k = is_plain(line.p[i]) ? 1 : sequence(line, i);
        if (k == 0 && at(line, i) < 0xa1) {
            to[n++] = ' ';
            i++;
            continue;
        }
        for (k = k ? k : 1; k > 0; k--)
            to[n++] = line.p[i++];
    }
    out->n += n;
}

/* "one...two" and "one--two" fall apart, the run between them stays a word. */
static bool splits(struct span s, size_t i, char c, size_t min, size_t *end)
{
    size_t k = i;
    while (k < s.n && s.p[k] == c && k - i < 6)
        k++;
    *end = k;
    return k - i >= min && i > 0 && is_word(s.p[i - 1]) && k < s.n && is_word(s.p[k]);
}

static void split_runs(struct buf *b, struct buf *scratch, char c, size_t min)
{
    struct span s = buf_span(b);
    size_t end, from = 0, barred = 0;
    buf_clear(scratch);
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] != c || i - 1 < barred || !splits(s, i, c, min, &end))
            continue;
        buf_add(scratch, span_sub(s, from, i));
        buf_char(scratch, ' ');
        buf_add(scratch, span_sub(s, i, end));
        buf_char(scratch, ' ');
        from = end;
        barred = end + 1; /* the letter behind belongs to this match */
        i = end;
    }
    if (from == 0)
        return;
    buf_add(scratch, span_from(s, from));
    struct buf swap = *b;
    *b = *scratch;
    *scratch = swap;
}

/* Where a sentence that starts at i (a capital) ends: the last blank before the next capital, or
 * the end of the line. 0: it is no sentence. */
static size_t sentence_end(struct span s, size_t i)
{
    size_t end = i + 1;
    while (end < s.n && !is_upper(s.p[end]))
        end++;
    if (end == s.n)
        return end > i + 1 ? end : 0;
    while (end > i + 2)
        if (s.p[--end] == ' ')
            return end;
    return 0;
}

/* The capital at the start of a sentence says nothing about the word. */
static void lower_sentences(struct buf *b, struct buf *scratch)
{
    struct span s = buf_span(b);
    size_t from = 0, i = 0;
    buf_clear(scratch);
    while (i < s.n) {
        size_t start = i;
        if (s.p[i] == '.') {
            start = i + 1;
            while (start < s.n && s.p[start] == ' ')
                start++;
        }
        bool may = i == 0 && s.p[0] != '.' ? true : s.p[i] == '.' && start > i + 1;
        size_t end = may && start < s.n && is_upper(s.p[start]) ? sentence_end(s, start) : 0;
        if (end == 0) {
            i++;
            continue;
        }
        buf_add(scratch, span_sub(s, from, i));
        buf_char(scratch, ' ');
        buf_char(scratch, ascii_lower(s.p[start]));
        buf_add(scratch, span_sub(s, start + 1, end));
        buf_char(scratch, ' ');
        from = i = end < s.n ? end + 1 : end;
    }
    if (from == 0)
        return;
    buf_add(scratch, span_from(s, from));
    struct buf swap = *b;
    *b = *scratch;
    *scratch = swap;
}

/* --- tokens --- */

/* A word of thousands of dots makes thousands of long tokens: there is an end. */
static bool affordable(const struct collector *c, size_t n)
{
    return c->bytes + n <= LEARN_BYTES_MAX;
}

void collect_token(struct collector *c, struct span prefix, struct span text)
{
    c->found++;
    if (prefix.n + text.n == 0 || !affordable(c, prefix.n + text.n))
        return;
    buf_clear(&c->scratch);
    buf_add(&c->scratch, prefix);
    buf_add(&c->scratch, text);
    if (map_get(&c->unique, buf_span(&c->scratch)))
        return;
    *map_at(&c->unique, arena_dup(c->a, buf_span(&c->scratch))) = c;
    c->bytes += c->scratch.n;
}

bool domain_above(struct span *name)
{
    size_t dot = span_find(*name, '.');
    if (dot == SIZE_MAX || dot == 0 || dot + 1 == name->n)
        return false;
    *name = span_from(*name, dot + 1);
    return true;
}

size_t address_middle(struct span s)
{
    for (size_t i = s.n; i-- > 0;)
        if (s.p[i] == '@' && i > 0 && i + 1 < s.n)
            return i;
    return SIZE_MAX;
}

/* The name, then each name above it: "a.b.c", "b.c", "c". */
static void collect_domains(struct collector *c, struct span prefix, struct span name)
{
    do
        collect_token(c, prefix, name);
    while (domain_above(&name));
}

static bool looks_like_host(struct span s)
{
    for (size_t i = 1; i + 1 < s.n; i++)
        if (s.p[i] == '.' && ascii_isalpha(s.p[i + 1]))
            return true;
    return false;
}

static void collect_places(struct collector *c, struct span word)
{
    size_t mid = address_middle(word);
    if (mid != SIZE_MAX) {
        collect_token(c, SPAN("U*"), span_sub(word, 0, mid));
        collect_domains(c, SPAN("D*"), span_from(word, mid + 1));
    } else if (looks_like_host(word)) {
        collect_domains(c, SPAN("UD:"), word);
    }
}

/* Words of scripts that write without blanks: their characters of three and four bytes. */
static bool collect_characters(struct collector *c, struct span prefix, struct span word)
{
    bool any = false, dense = false;
    for (size_t i = 0; i + 1 < word.n && !dense; i++)
        dense = follows(word, i) && follows(word, i + 1);
    if (!dense)
        return false;
    struct span head = arena_printf(c->a, "%.*su8:", SPAN_ARG(prefix));
    for (size_t i = 0; i < word.n;) {
        size_t k = sequence(word, i);
        if (k >= 3) {
            collect_token(c, head, span_sub(word, i, i + k));
            any = true;
            i += k;
        } else {
            i++;
        }
    }
    return any;
}

/* The end of `left` more characters from i on; where whole characters do not come out, bytes do.
 * SIZE_MAX: the word is too short. */
static size_t skip_characters(struct span s, size_t i, unsigned left)
{
    if (left == 0)
        return i;
    if (i >= s.n)
        return SIZE_MAX;
    size_t k = sequence(s, i);
    size_t end = k ? skip_characters(s, i + k, left - 1) : SIZE_MAX;
    return end != SIZE_MAX ? end : skip_characters(s, i + 1, left - 1);
}

/* The word without the bytes that are no part of words (bare), without capitals (lower); until the
 * next form. */
static struct span form_of(struct collector *c, struct span word, bool bare, bool lower)
{
    buf_clear(&c->form);
    char *p = buf_room(&c->form, word.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < word.n; i++)
        if (!bare || is_word(word.p[i]) || word.p[i] == ':' || word.p[i] == '*')
            p[n++] = lower ? ascii_lower(word.p[i]) : word.p[i];
    return span_of(p, n);
}

static void collect_forms(struct collector *c, struct span prefix, struct span word)
{
    bool capitals = false;
    struct span bare = form_of(c, word, true, false);
    bool differs = bare.n < word.n;
    for (size_t i = 0; i < word.n && !capitals; i++)
        capitals = is_upper(word.p[i]);
    if (differs)
        collect_token(c, prefix, bare);
    if (!capitals)
        return;
    collect_token(c, prefix, form_of(c, word, false, true));
    if (differs)
        collect_token(c, prefix, form_of(c, word, true, true));
}

static bool is_stopped(struct collector *c, struct span word)
{
    static const char yes, no;
    if (!c->rules->stop)
        return false;
    const void *known = map_get(&c->stopped, word);
    if (!known) {
        known = c->rules->stop(c->rules->ctx, word) ? &yes : &no;
        if (!affordable(c, word.n))
            return known == &yes;
        *map_at(&c->stopped, arena_dup(c->a, word)) = (void *)known;
        c->bytes += word.n;
    }
    return known == &yes;
}

static bool is_edge(char c)
{
    return c == '-' || c == '\'' || c == '"' || c == '.' || c == ',';
}

static struct span trimmed(struct span word)
{
    while (word.n && is_edge(word.p[0]))
        word = span_from(word, 1);
    while (word.n && is_edge(word.p[word.n - 1]))
        word.n--;
    return word;
}

static void collect_word(struct collector *c, struct span word, struct span prefix,
                         enum learn_region region)
{
    bool in_body = region == REGION_BODY || region == REGION_URI;
    word = trimmed(word);
    if (word.n < WORD_MIN || is_stopped(c, word))
        return;
    if (in_body)
        collect_places(c, word);
    if (word.n > c->rules->max_length && span_find(word, '*') == SIZE_MAX) {
        if (collect_characters(c, prefix, word))
            return;
        size_t end = region == REGION_URI ? SIZE_MAX : skip_characters(word, 0, SKIP_KEEPS);
        if (end != SIZE_MAX && end + SKIP_LEAVES <= word.n)
            word = arena_printf(c->a, "sk:%.*s", SPAN_ARG(span_sub(word, 0, end)));
    }
    if (in_body)
        collect_forms(c, prefix, word);
    collect_token(c, prefix, word);
}

void collect_line(struct collector *c, struct span line, struct span prefix,
                  enum learn_region region)
{
    buf_clear(&c->line);
    clean(&c->line, line);
    split_runs(&c->line, &c->scratch, '.', 3);
    split_runs(&c->line, &c->scratch, '-', 2);
    if (region != REGION_HEADER)
        lower_sentences(&c->line, &c->scratch);
    struct span rest = buf_span(&c->line), word;
    while ((word = span_word(&rest, " ")).p)
        collect_word(c, word, prefix, region);
}
