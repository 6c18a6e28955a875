/* PDFInfo: what can be told of attached PDF files line by line, without reading their structure:
 * how many, names, pictures, properties, links, fingerprints.
 *
 * Everything is worked out once a message, before the first rule, because links found here are
 * links of the message. */
#include "rules/eval_state.h"

#include <math.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "rules/eval.h"
#include "rules/plugin.h"

enum {
    MAGIC_WITHIN = 1024, /* "%PDF-" starts in that many bytes */
    FUZZY_LINES = 70,    /* lines that count for the first fuzzy fingerprint */
    URIS_OF_A_FILE = 20, /* links of one file that are looked at */
    STRING_MAX = 256,    /* of a property or link */
    TAG_MAX = 2048,      /* a tag grows by one value of each file up to that */
    MD5_HEX = 32
};

enum detail { AUTHOR, CREATOR, CREATED, MODIFIED, PRODUCER, TITLE, DETAILS };

static const char *const detail_names[DETAILS] = {"author",   "creator",  "created",
                                                  "modified", "producer", "title"};

struct texts {
    struct span *v;
    size_t n, cap;
};

struct picture {
    double height, width;
};

struct pdf_facts {
    double count, images, area;
    bool encrypted;
    struct texts names, md5, fuzzy_md5, details[DETAILS];
    struct picture *pictures; /* one each, and the sum for each file */
    size_t npictures, pictures_cap;
    struct map tags; /* NAME -> struct span * */
};

static bool has(const struct texts *t, struct span s)
{
    for (size_t i = 0; i < t->n; i++)
        if (span_eq(t->v[i], s))
            return true;
    return false;
}

static void keep(struct arena *a, struct texts *t, struct span s)
{
    if (!has(t, s))
        *ARENA_PUSH(a, t->v, t->n, t->cap) = s;
}

/* One value more for a tag. */
static void tag(struct rules_ctx *c, struct pdf_facts *f, const char *name, struct span value)
{
    if (!value.n)
        return;
    void **slot = map_at(&f->tags, span_str(name));
    struct span *s = *slot;
    if (!s) {
        *slot = s = ARENA_NEW(c->a, struct span);
        *s = value;
    } else if (s->n < TAG_MAX) {
        *s = arena_printf(c->a, "%.*s %.*s", SPAN_ARG(*s), SPAN_ARG(value));
    }
}

/* --- lexical --- */

static size_t digits(struct span s, size_t at, double *value)
{
    size_t n = 0;
    for (*value = 0; at + n < s.n && ascii_isdigit(s.p[at + n]); n++)
        *value = *value * 10 + (s.p[at + n] - '0');
    return n;
}

static size_t blanks(struct span s, size_t at, size_t most)
{
    size_t n = 0;
    while (n < most && at + n < s.n && ascii_isspace(s.p[at + n]))
        n++;
    return n;
}

/* "NAME", at most two blanks, then (string) or <hex>: the string with its delimiters, or absent.
 * A ')' behind a backslash does not end it. `at`: where to go on. */
static struct span string_at(struct span s, size_t at, size_t *end)
{
    at += blanks(s, at, 2);
    if (at >= s.n || (s.p[at] != '(' && s.p[at] != '<'))
        return SPAN_NONE;
    char close = s.p[at] == '(' ? ')' : '>';
    for (size_t i = at + 1; i < s.n; i++)
        if (s.p[i] == close && !(close == ')' && s.p[i - 1] == '\\')) {
            *end = i + 1;
            return span_sub(s, at, i + 1);
        }
    return SPAN_NONE;
}

/* The first "/Key(string)" or "/Key<hex>" of a line. */
static struct span property(struct span line, struct span key)
{
    for (size_t at = 0;;) {
        size_t found = span_search(span_from(line, at), key), end;
        if (found == SIZE_MAX)
            return SPAN_NONE;
        at += found + key.n;
        struct span s = string_at(line, at, &end);
        if (s.p)
            return s;
    }
}

/* "/Key(D:digits": the digits. */
static struct span date_property(struct span line, struct span key)
{
    for (size_t at = 0;;) {
        size_t found = span_search(span_from(line, at), key);
        if (found == SIZE_MAX)
            return SPAN_NONE;
        at += found + key.n;
        size_t i = at + blanks(line, at, 2);
        double ignored;
        size_t n = span_starts(span_from(line, i), SPAN("(D:")) ? digits(line, i + 3, &ignored) : 0;
        if (n)
            return span_sub(line, i + 3, i + 3 + n);
    }
}

/* A byte order mark in front: every second byte is taken for padding, in either order. */
static void drop_utf16(char *p, size_t *n)
{
    if (*n < 2 || !((p[0] == '\xfe' && p[1] == '\xff') || (p[0] == '\xff' && p[1] == '\xfe')))
        return;
    size_t out = 0;
    for (size_t i = 2; i < *n; i++)
        if (p[i])
            p[out++] = p[i];
    *n = out;
}

static size_t from_hex(struct span s, char *p)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < s.n; i++) {
        int high = ascii_hex(s.p[i]), low = ascii_hex(s.p[i + 1]);
        if (high < 0 || low < 0)
            continue;
        p[n++] = (char)(high << 4 | low);
        i++;
    }
    return n;
}

static bool octal(struct span s, size_t at)
{
    return at + 3 < s.n && s.p[at + 1] >= '0' && s.p[at + 1] <= '3' && s.p[at + 2] >= '0' &&
           s.p[at + 2] <= '7' && s.p[at + 3] >= '0' && s.p[at + 3] <= '7';
}

/* \ddd becomes a byte, unless a backslash stands in front. */
static size_t from_octal(struct span s, char *p)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && (i == 0 || s.p[i - 1] != '\\') && octal(s, i)) {
            p[n++] = (char)((s.p[i + 1] - '0') << 6 | (s.p[i + 2] - '0') << 3 | (s.p[i + 3] - '0'));
            i += 3;
        } else {
            p[n++] = s.p[i];
        }
    }
    return n;
}

/* \( \) and \\ lose their backslash. */
static size_t unescape(char *p, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\\' && i + 1 < n && (p[i + 1] == '(' || p[i + 1] == ')' || p[i + 1] == '\\'))
            i++;
        p[out++] = p[i];
    }
    return out;
}

static struct span decode(struct arena *a, struct span s)
{
    char *p = arena_raw(a, s.n + 1);
    size_t n;
    if (s.n && s.p[0] == '<') {
        n = from_hex(s, p);
        drop_utf16(p, &n);
    } else {
        bool open = s.n && s.p[0] == '(';
        struct span inner = span_from(s, open);
        if (inner.n && inner.p[inner.n - 1] == ')')
            inner.n--;
        n = from_octal(inner, p);
        drop_utf16(p, &n);
        n = unescape(p, n);
    }
    return span_of(p, n < STRING_MAX ? n : STRING_MAX);
}

/* --- one file --- */

struct file {
    struct rules_ctx *c;
    struct pdf_facts *f;
    struct buf fuzzy, keys; /* what the two fuzzy fingerprints are made of */
    unsigned lines;
    bool fuzzy_done, image;
    double width, height, total_width, total_height, area;
    struct texts uris;
};

/* "W n n H n n cm", all of the line. */
static bool is_matrix(struct span line, double *width, double *height)
{
    double v[6];
    size_t at = 0;
    for (int i = 0; i < 6; i++) {
        size_t n = digits(line, at, &v[i]);
        at += n;
        size_t blank = blanks(line, at, SIZE_MAX);
        if (!n || !blank)
            return false;
        at += blank;
    }
    *width = v[0];
    *height = v[3];
    return span_eq(span_from(line, at), SPAN("cm"));
}

/* Returns the line as later looks see it: without its end's blanks when it counted. */
static struct span add_fuzzy(struct file *p, struct span line)
{
    static const char *const boxes[] = {"/Height", "/Width", "/MediaBox", "/CropBox"};
    double ignored;
    if (p->fuzzy_done || ++p->lines >= FUZZY_LINES)
        return line;
    bool counts = !span_starts(line, SPAN("%")) && !is_matrix(line, &ignored, &ignored);
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++)
        counts = counts && !span_starts(line, span_str(boxes[i]));
    while (counts && line.n && ascii_isspace(line.p[line.n - 1]))
        line.n--;
    if (counts)
        buf_add(&p->fuzzy, line);
    p->fuzzy_done = span_search(line, SPAN("stream")) != SIZE_MAX;
    return line;
}

/* "/Width n" at the start, "/Height n" at the start, or "/Width n/Height n" anywhere. */
static void find_size(struct span line, double *width, double *height)
{
    *width = *height = 0;
    if (is_matrix(line, width, height))
        return;
    *width = *height = 0;
    if (span_starts(line, SPAN("/Width")) && blanks(line, 6, 1) && digits(line, 7, width))
        return;
    if (span_starts(line, SPAN("/Height")) && blanks(line, 7, 1) && digits(line, 8, height))
        return;
    for (size_t at = 0, found;
         (found = span_search(span_from(line, at), SPAN("/Width"))) != SIZE_MAX;) {
        at += found + 6;
        size_t n = blanks(line, at, 1) ? digits(line, at + 1, width) : 0;
        size_t next = at + 1 + n;
        if (n && span_starts(span_from(line, next), SPAN("/Height")) && blanks(line, next + 7, 1) &&
            digits(line, next + 8, height))
            return;
        *width = *height = 0;
    }
}

static void add_picture(struct pdf_facts *f, struct arena *a, double height, double width)
{
    *ARENA_PUSH(a, f->pictures, f->npictures, f->pictures_cap) = (struct picture){height, width};
}

static void look_for_picture(struct file *p, struct span line)
{
    double width, height;
    if (!p->image)
        return;
    find_size(line, &width, &height);
    if (width == 0 || height == 0)
        return;
    p->fuzzy_done = true;
    p->total_width += width;
    p->total_height += height;
    p->area += width * height;
    p->f->images++;
    p->image = false;
    add_picture(p->f, p->c->a, height, width);
    tag(p->c, p->f, "PDFIMGDIM", arena_printf(p->c->a, "%.0fx%.0f", height, width));
}

/* "/S /URI" or the start of the line, then /URI and a string. */
static struct span uri_string(struct span line)
{
    size_t end, start = blanks(line, 0, SIZE_MAX);
    for (size_t at = 0, found;
         (found = span_search(span_from(line, at), SPAN("/URI"))) != SIZE_MAX;) {
        at += found;
        struct span s = SPAN_NONE;
        if (at <= start)
            s = string_at(line, at + 4, &end);
        if (!s.p && at >= 2) {
            size_t back = at - 1;
            for (int i = 0; i < 2 && back > 1 && ascii_isspace(line.p[back]); i++)
                back--;
            size_t second = at + 4 + blanks(line, at + 4, 2);
            if (line.p[back] == 'S' && line.p[back - 1] == '/' &&
                span_starts(span_from(line, second), SPAN("/URI")))
                s = string_at(line, second + 4, &end);
        }
        if (s.p)
            return s;
        at += 4;
    }
    return SPAN_NONE;
}

/* "(http://...)>>" in the middle of binary data: at least 8 and at most 256 bytes behind the
 * scheme. The longest one. */
static struct span loose_uri(struct span line)
{
    for (size_t at = 0, found;
         (found = span_search(span_from(line, at), SPAN("(http"))) != SIZE_MAX; at += found + 1) {
        size_t from = at + found + 1, host = from + 4;
        host += host < line.n && line.p[host] == 's';
        if (!span_starts(span_from(line, host), SPAN("://")))
            continue;
        host += 3;
        for (size_t n = line.n - host < STRING_MAX ? line.n - host : STRING_MAX; n >= 8; n--)
            if (span_starts(span_from(line, host + n), SPAN(")>>")))
                return span_sub(line, from, host + n);
    }
    return SPAN_NONE;
}

static bool has_dot(struct span s)
{
    size_t dot = span_find(s, '.');
    return dot != SIZE_MAX && dot > 0;
}

static void look_for_uri(struct file *p, struct span line)
{
    if (p->uris.n >= URIS_OF_A_FILE)
        return;
    struct span s = uri_string(line), loose = s.p ? SPAN_NONE : loose_uri(line);
    struct span uri = SPAN_NONE;
    if (s.p && has_dot(s))
        uri = decode(p->c->a, s);
    if (loose.p)
        uri = decode(p->c->a, loose);
    if (!uri.n || !has_dot(uri) || memchr(uri.p, '\0', uri.n) || has(&p->uris, uri))
        return;
    keep(p->c->a, &p->uris, uri);
    plugin_uri(p->c, uri);
}

static void look_for_properties(struct file *p, struct span line)
{
    static const struct {
        struct span key;
        const char *tag;
        bool date;
    } keys[DETAILS] = {
        [AUTHOR] = {{"/Author", 7}, "PDFAUTHOR", false},
        [CREATOR] = {{"/Creator", 8}, "PDFCREATOR", false},
        [CREATED] = {{"/CreationDate", 13}, NULL, true},
        [MODIFIED] = {{"/ModDate", 8}, NULL, true},
        [PRODUCER] = {{"/Producer", 9}, "PDFPRODUCER", false},
        [TITLE] = {{"/Title", 6}, "PDFTITLE", false},
    };
    for (int i = 0; i < DETAILS; i++) {
        struct span s =
            keys[i].date ? date_property(line, keys[i].key) : property(line, keys[i].key);
        if (!s.p)
            continue;
        s = decode(p->c->a, s);
        keep(p->c->a, &p->f->details[i], s);
        if (keys[i].tag)
            tag(p->c, p->f, keys[i].tag, s);
    }
}

static void read_line(struct file *p, struct span line)
{
    line = add_fuzzy(p, line);
    p->image = p->image || span_search(line, SPAN("/Image")) != SIZE_MAX;
    p->f->encrypted = p->f->encrypted || span_starts(line, SPAN("/Encrypt"));
    look_for_picture(p, line);
    if (span_find(line, '/') == SIZE_MAX)
        return;
    size_t n = 1;
    while (line.n && line.p[0] == '/' && n < line.n && ascii_isalpha(line.p[n]))
        n++;
    buf_add(&p->keys, span_sub(line, 1, n));
    look_for_uri(p, line);
    look_for_properties(p, line);
}

static struct span fingerprint(struct arena *a, struct span s)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char *hex = arena_raw(a, MD5_HEX + 1);
    if (!s.n || EVP_Digest(s.p, s.n, sum, &n, EVP_md5(), NULL) != 1 || n * 2 != MD5_HEX)
        return SPAN_NONE;
    for (unsigned i = 0; i < n; i++) {
        hex[2 * i] = "0123456789ABCDEF"[sum[i] >> 4];
        hex[2 * i + 1] = "0123456789ABCDEF"[sum[i] & 15];
    }
    return span_of(hex, MD5_HEX);
}

static void add_fingerprints(struct file *p, struct span data)
{
    struct arena *a = p->c->a;
    struct span whole = fingerprint(a, data), fuzzy = fingerprint(a, buf_span(&p->fuzzy)),
                keys = fingerprint(a, buf_span(&p->keys));
    if (whole.p) {
        keep(a, &p->f->md5, whole);
        tag(p->c, p->f, "PDFMD5", fuzzy); /* SpamAssassin puts the fuzzy one there */
    }
    if (fuzzy.p) {
        keep(a, &p->f->fuzzy_md5, fuzzy);
        tag(p->c, p->f, "PDFMD5FUZZY1", fuzzy);
    }
    if (keys.p) {
        keep(a, &p->f->fuzzy_md5, keys);
        tag(p->c, p->f, "PDFMD5FUZZY2", keys);
    }
}

/* "%PDF-d.d": the last one that starts within the first bytes; absent: none. */
static struct span version_of(struct span data)
{
    struct span head = span_sub(data, 0, MAGIC_WITHIN + 8), version = SPAN_NONE;
    for (size_t i = 0; i + 8 <= head.n; i++)
        if (head.p[i] == '%' && span_starts(span_from(head, i), SPAN("%PDF-")) &&
            ascii_isdigit(head.p[i + 5]) && head.p[i + 6] == '.' && ascii_isdigit(head.p[i + 7]))
            version = span_sub(head, i + 5, i + 8);
    return version;
}

static void read_file(struct rules_ctx *c, struct pdf_facts *f, struct span data, struct span name)
{
    if (span_starts(data, SPAN("\xef\xbb\xbf")))
        data = span_from(data, 3);
    struct span version = version_of(data), rest = data;
    if (!version.p)
        return;
    struct file p = {.c = c, .f = f};
    tag(c, f, "PDFVERSION", version);
    tag(c, f, "PDFNAME", name);
    if (name.n && !span_eq(name, SPAN("0")))
        keep(c->a, &f->names, name);
    while (rest.n) {
        size_t end = span_find(rest, '\n');
        if (end != 0)
            read_line(&p, span_sub(rest, 0, end));
        rest = end == SIZE_MAX ? SPAN_NONE : span_from(rest, end + 1);
    }
    if (p.total_height != 0 && p.total_width != 0)
        add_picture(f, c->a, p.total_height, p.total_width);
    if (p.area != 0) {
        f->area = p.area;
        tag(c, f, "PDFIMGAREA", arena_printf(c->a, "%.0f", p.area));
    }
    add_fingerprints(&p, data);
    buf_free(&p.fuzzy);
    buf_free(&p.keys);
}

static bool is_pdf_type(struct span type)
{
    return span_ends(type, SPAN("/pdf"));
}

static bool may_be_pdf(struct span type)
{
    return span_eq(type, SPAN("application/pdf")) || span_eq(type, SPAN("image/pdf")) ||
           span_eq(type, SPAN("application/octet-stream")) ||
           span_eq(type, SPAN("image/octet-stream"));
}

void pdf_extract(struct rules_ctx *c)
{
    struct eval_state *s = eval_state(c);
    struct pdf_facts *f = s->pdf = ARENA_NEW(c->a, struct pdf_facts);
    f->tags = map_in(c->a);
    for (struct mime_part *p = c->mime->root; p; p = mime_next(p)) {
        if (!p->leaf || !may_be_pdf(p->type))
            continue;
        if (!is_pdf_type(p->type) && !span_iends(p->name, SPAN(".pdf")) &&
            !span_iends(p->name, SPAN(".fdf")))
            continue;
        read_file(c, f, mime_body(c->mime, p), p->name);
        f->count++;
    }
    tag(c, f, "PDFCOUNT", arena_printf(c->a, "%.0f", f->count));
    tag(c, f, "PDFIMGCOUNT", arena_printf(c->a, "%.0f", f->images));
    for (size_t i = 0; i < f->tags.n; i++)
        plugin_tag(c, f->tags.entries[i].key.p, *(struct span *)f->tags.entries[i].value);
}

/* --- the functions --- */

static const struct pdf_facts *facts(struct rules_ctx *c)
{
    if (!eval_state(c)->pdf)
        pdf_extract(c);
    return eval_state(c)->pdf;
}

static bool between(const struct eval_call *call, double v)
{
    return call->nargs > 0 && v >= eval_number(call, 0, 0) && v <= eval_number(call, 1, INFINITY);
}

static double pdf_count(struct rules_ctx *c, const struct eval_call *call)
{
    return between(call, facts(c)->count);
}

static double pdf_image_count(struct rules_ctx *c, const struct eval_call *call)
{
    return between(call, facts(c)->images);
}

static double pdf_pixel_coverage(struct rules_ctx *c, const struct eval_call *call)
{
    return facts(c)->area != 0 && between(call, facts(c)->area);
}

static const struct lines *text_lines(struct rules_ctx *c, const struct eval_call *call)
{
    return call->type == EVAL_RAWBODY ? &c->text->rawbody : &c->text->body;
}

static double pdf_image_to_text_ratio(struct rules_ctx *c, const struct eval_call *call)
{
    const struct lines *lines = text_lines(c, call);
    double text = 0;
    for (size_t i = 0; i < lines->n; i++)
        text += (double)lines->v[i].n;
    if (call->nargs < 2 || text == 0 || facts(c)->area == 0)
        return 0;
    double ratio = text / facts(c)->area;
    return between(call, ratio) && ratio != eval_number(call, 1, 0);
}

static double pdf_is_empty_body(struct rules_ctx *c, const struct eval_call *call)
{
    const struct lines *lines = text_lines(c, call);
    double bytes = 0;
    if (facts(c)->count == 0)
        return 0;
    for (size_t i = 1; i < lines->n; i++)
        if (span_trim(lines->v[i]).n)
            bytes += (double)lines->v[i].n;
    return bytes <= eval_number(call, 0, 0);
}

static double pdf_image_size_exact(struct rules_ctx *c, const struct eval_call *call)
{
    const struct pdf_facts *f = facts(c);
    for (size_t i = 0; call->nargs > 1 && i < f->npictures; i++)
        if (f->pictures[i].height == eval_number(call, 0, -1) &&
            f->pictures[i].width == eval_number(call, 1, -1))
            return 1;
    return 0;
}

static double pdf_image_size_range(struct rules_ctx *c, const struct eval_call *call)
{
    const struct pdf_facts *f = facts(c);
    for (size_t i = 0; call->nargs > 1 && i < f->npictures; i++)
        if (f->pictures[i].height >= eval_number(call, 0, 0) &&
            f->pictures[i].width >= eval_number(call, 1, 0) &&
            f->pictures[i].height <= eval_number(call, 2, INFINITY) &&
            f->pictures[i].width <= eval_number(call, 3, INFINITY))
            return 1;
    return 0;
}

static double pdf_named(struct rules_ctx *c, const struct eval_call *call)
{
    return call->nargs && has(&facts(c)->names, call->args[0]);
}

static struct span upper(struct arena *a, struct span s)
{
    char *p = arena_raw(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_upper(s.p[i]);
    return span_of(p, s.n);
}

static double pdf_match_md5(struct rules_ctx *c, const struct eval_call *call)
{
    return call->nargs && has(&facts(c)->md5, upper(c->a, call->args[0]));
}

static double pdf_match_fuzzy_md5(struct rules_ctx *c, const struct eval_call *call)
{
    return call->nargs && has(&facts(c)->fuzzy_md5, upper(c->a, call->args[0]));
}

static double pdf_is_encrypted(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return facts(c)->encrypted;
}

static double any_matches(const struct texts *t, const struct regex *re)
{
    for (size_t i = 0; re && i < t->n; i++)
        if (regex_hit(re, t->v[i]))
            return 1;
    return 0;
}

static double pdf_name_regex(struct rules_ctx *c, const struct eval_call *call)
{
    return any_matches(&facts(c)->names, call->prepared);
}

static double pdf_match_details(struct rules_ctx *c, const struct eval_call *call)
{
    for (int i = 0; i < DETAILS; i++)
        if (span_eq(eval_arg(call, 0), span_str(detail_names[i])))
            return any_matches(&facts(c)->details[i], call->prepared);
    return 0;
}

/* The last argument is an expression, with delimiters or without. */
static int prepare_last(struct arena *a, const struct conf *conf, struct eval_call *call,
                        struct err *e)
{
    (void)conf;
    if (!call->nargs)
        return err_set(e, "an expression is wanted");
    struct span text = call->args[call->nargs - 1];
    bool delimited = text.n > 1 && (text.p[0] == '/' || span_starts(text, SPAN("m")));
    struct regex *re = delimited ? regex_new_delimited(a, text, e) : NULL;
    call->prepared = re ? re : regex_new(a, text, SPAN_NONE, e);
    return call->prepared ? 0 : -1;
}

#define ROW(fn)                                                                                    \
    {                                                                                              \
#fn, "PDFInfo", fn, .types = EVAL_BODIES                                                   \
    }
const struct eval_fn_def eval_pdf[] = {
    ROW(pdf_count),
    ROW(pdf_image_count),
    ROW(pdf_pixel_coverage),
    ROW(pdf_image_size_exact),
    ROW(pdf_image_size_range),
    ROW(pdf_named),
    ROW(pdf_image_to_text_ratio),
    ROW(pdf_match_md5),
    ROW(pdf_match_fuzzy_md5),
    ROW(pdf_is_encrypted),
    ROW(pdf_is_empty_body),
    {"pdf_name_regex", "PDFInfo", pdf_name_regex, .types = EVAL_BODIES, .prepare = prepare_last},
    {"pdf_match_details", "PDFInfo", pdf_match_details, .types = EVAL_BODIES,
     .prepare = prepare_last},
    {NULL},
};
