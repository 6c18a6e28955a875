/* AntiVirus: attachments that Windows would run, and names that belie the declared type. */
#include "rules/eval_state.h"

#include "rules/eval.h"

static bool among(struct span s, const char *const *list)
{
    for (; *list; list++)
        if (span_eq(s, span_str(*list)))
            return true;
    return false;
}

/* What stands behind the last dot of a lower-case name; the name itself without a dot. */
static struct span extension(struct span name, bool *dot)
{
    size_t at = span_rfind(name, '.');
    *dot = at != SIZE_MAX;
    return *dot ? span_from(name, at + 1) : name;
}

static bool runs_on_windows(struct span name)
{
    static const char *const extensions[] = {
        "ade", "adp", "asx", "bas", "bat", "chm",  "cmd", "com", "cpl", "crt", "dll",
        "exe", "hlp", "hta", "inf", "ins", "isp",  "js",  "jse", "lnk", "mda", "mdb",
        "mde", "mdt", "mdw", "mdz", "msc", "msi",  "msp", "mst", "nws", "ops", "pcd",
        "pif", "prf", "reg", "scf", "scr", "scr?", "sct", "shb", "shs", "shm", "swf",
        "url", "vb",  "vbe", "vbs", "vbx", "vxd",  "wsc", "wsf", "wsh", NULL};
    bool dot;
    struct span ext = extension(name, &dot);
    return dot && among(ext, extensions);
}

/* The first line of the undecoded body, as the header of a DOS program looks in base64. `pattern`
 * has one class of characters a place; "." is any. */
static bool base64_program(struct span body)
{
    static const char *const places[] = {"T",  "V",  "opqr", NULL,       "A",  NULL, NULL,
                                         "AB", NULL, "AQgw", "ABCDEFGH", NULL, "A"};
    struct span line;
    if (!span_line(&body, &line) || line.n < sizeof places / sizeof *places)
        return false;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (places[i] && (!line.p[i] || !strchr(places[i], line.p[i])))
            return false;
    return true;
}

/* A line of the undecoded text that starts a uuencoded DOS program: M35 and a letter for the two
 * bytes of the signature, backquotes for the zeros behind. */
static bool uuencoded_program(struct span body)
{
    enum { HEAD = 10 };
    struct span line;
    while (span_line(&body, &line))
        if (span_starts(line, SPAN("M35")) && line.n > HEAD && line.p[3] >= 'G' &&
            line.p[3] <= 'K' && line.p[5] == '`' && line.p[8] == '`' &&
            span_search(span_from(line, HEAD), SPAN("````")) != SIZE_MAX)
            return true;
    return false;
}

static bool is_text_type(struct span type)
{
    static const char *const texts[] = {"plain", "htm", "phtm",     "xhtm",     "english",
                                        "sgml",  "xml", "enriched", "richtext", NULL};
    if (span_starts(type, SPAN("message/external-body")))
        return true;
    if (!span_starts(type, SPAN("text/")))
        return false;
    for (const char *const *t = texts; *t; t++)
        if (span_starts(span_from(type, 5), span_str(*t)))
            return true;
    return false;
}

/* "application/" and then, at the end, one of the words. */
static bool is_application(struct span type, const char *a, const char *b)
{
    return span_starts(type, SPAN("application/")) &&
           (span_ends(span_from(type, 12), span_str(a)) ||
            (b && span_ends(span_from(type, 12), span_str(b))));
}

/* "x-" or "vnd." behind the first slash that has it is left out. */
static struct span plain_type(struct arena *a, struct span type)
{
    for (size_t i = 0; i < type.n; i++) {
        struct span rest = span_from(type, i + 1);
        size_t skip = span_starts(rest, SPAN("x-")) ? 2 : span_starts(rest, SPAN("vnd.")) ? 4 : 0;
        if (type.p[i] == '/' && skip)
            return arena_printf(a, "%.*s%.*s", (int)i + 1, type.p, SPAN_ARG(span_from(rest, skip)));
    }
    return type;
}

static bool suspect_name(struct arena *a, struct span name, struct span type)
{
    static const char *const texts[] = {"txt",  "htm",   "html", "phtm", "phtml",
                                        "xhtm", "xhtml", "xml",  NULL};
    static const char *const images[] = {"jpg", "jpeg", "tif", "tiff", "gif", "png", NULL};
    static const char *const programs[] = {"bat", "com", "exe", "pif", "scr", "swf", "vbs", NULL};
    bool dot;
    struct span ext = extension(name, &dot);
    type = plain_type(a, type);
    if (among(ext, texts))
        return !is_text_type(type);
    if (among(ext, images))
        return !span_starts(type, SPAN("image/")) &&
               !span_starts(type, SPAN("application/mac-binhex"));
    if (span_eq(ext, SPAN("vcf")))
        return !span_eq(type, SPAN("text/vcard"));
    if (among(ext, programs))
        return !span_starts(type, SPAN("application/"));
    if (span_eq(ext, SPAN("doc")))
        return !is_application(type, "word", NULL);
    if (span_eq(ext, SPAN("ppt")))
        return !is_application(type, "powerpoint", "ppt");
    return span_eq(ext, SPAN("xls")) && !is_application(type, "excel", NULL);
}

struct attachment {
    struct span name, type; /* both lower case, as Content-Type has them */
    bool base64;
};

static struct attachment attachment_of(struct rules_ctx *c, struct mime_part *p)
{
    struct mime_field *type = mime_last(&p->fields, SPAN("Content-Type"));
    struct mime_field *cte = mime_last(&p->fields, SPAN("Content-Transfer-Encoding"));
    struct mime_ctype t = mime_ctype_parse(c->a, type ? mime_decoded(c->mime, type) : SPAN_NONE);
    return (struct attachment){
        .name = arena_lower(c->a, t.name.p ? t.name : SPAN("")),
        .type = arena_lower(c->a, t.type),
        .base64 = cte && span_isearch(mime_decoded(c->mime, cte), SPAN("base64")) != SIZE_MAX,
    };
}

static double check_microsoft_executable(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    for (struct mime_part *p = c->mime->root; p; p = mime_next(p)) {
        if (!p->leaf || !p->type.n)
            continue;
        struct attachment at = attachment_of(c, p);
        bool text = span_starts(at.type, SPAN("text")) &&
                    (at.type.n == 4 || !(ascii_isalnum(at.type.p[4]) || at.type.p[4] == '_'));
        if (runs_on_windows(at.name) || (at.base64 && base64_program(p->body)) ||
            (text && uuencoded_program(p->body)))
            return 1;
    }
    return 0;
}

static double check_suspect_name(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    for (struct mime_part *p = c->mime->root; p; p = mime_next(p)) {
        if (!p->leaf || !p->type.n)
            continue;
        struct attachment at = attachment_of(c, p);
        if (at.name.n && !span_eq(at.type, SPAN("application/octet-stream")) &&
            suspect_name(c->a, at.name, at.type))
            return 1;
    }
    return 0;
}

const struct eval_fn_def eval_antivirus[] = {
    {"check_microsoft_executable", "AntiVirus", check_microsoft_executable, .types = EVAL_BODIES},
    {"check_suspect_name", "AntiVirus", check_suspect_name, .types = EVAL_BODIES},
    {NULL},
};
