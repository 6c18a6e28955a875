/* OLEVBMacro: attached office files with macros, embedded objects, links that load something, or
 * under another name or a password.
 *
 * OLE2 files are not taken apart: like SpamAssassin's plugin, this one looks for the marks that
 * macros leave in the bytes. Newer files are zip archives and are opened. Everything is worked out
 * once a message, before the first rule, because links found here are links of the message. */
#include "rules/eval_state.h"

#include "rules/eval.h"
#include "rules/plugin.h"
#include "rules/zip.h"

enum { MHTML_URIS = 5, REDIRECT_URIS = 10, ENCRYPTED_WITHIN = 2000 };

struct office_settings {
    const struct regex *exts, *macro_exts, *skip_exts, *skip_types, *zips, *download_marker;
    const struct regex *download, *malice, *csv, *target, *mhtml, *rtf;
    size_t num_mime, num_zip, zip_depth, max_file;
    bool extended_scan, prefer_disposition;
    bool wants_csv, wants_download; /* some rule asks */
};

struct office_facts {
    bool macro, object, rtf_object, csv, malice, renamed, encrypted, zip_password, download;
    unsigned mhtml, redirects;
    struct map uris;
    size_t budget; /* bytes that may still be unpacked */
};

/* --- load --- */

static int make_regexes(struct office_settings *s, const struct conf *conf, struct err *e)
{
    const struct {
        const struct regex **re;
        const char *setting, *dflt;
    } table[] = {
        {&s->exts, "olemacro_exts",
         "(?:doc|docx|dot|pot|ppa|pps|ppt|rtf|sldm|xl|xla|xls|xlsx|xlt|xltx|xslb)$"},
        {&s->macro_exts, "olemacro_macro_exts",
         "(?:docm|dotm|ppam|potm|ppst|ppsm|pptm|sldm|xlm|xlam|xlsb|xlsm|xltm|xps)$"},
        {&s->skip_exts, "olemacro_skip_exts", "(?:dotx|potx|ppsx|pptx|sldx)$"},
        {&s->skip_types, "olemacro_skip_ctypes", "^(?:text\\/)"},
        {&s->zips, "olemacro_zips", "(?:zip)$"},
        {&s->download_marker, "olemacro_download_marker",
         "(?:cmd(?:\\.exe)? \\/c ms\\^h\\^ta ht\\^tps?:\\/\\^\\/)"},
        {&s->download, "",
         "\\x00https?://[-a-z0-9+&@#/%?=~_|!:,.;]{5,1000}[-a-z0-9+&@#/%=~_|]{5,1000}"
         ".(?:exe|cmd|bat)[\\x06|\\x00]"},
        {&s->malice, "", "(?:document|auto|workbook)_?open"},
        {&s->csv, "", "(?-i)MSEXCEL\\|.{1,20}Windows\\\\System32\\\\cmd\\.exe"},
        {&s->target, "", "(?s)Target=\"([^\"]*)\".*?TargetMode=\"External\""},
        {&s->mhtml, "", "^MHTML:(?:&#x48;&#x54;&#x50;&#x3a;&#x5c;&#x5c;&#x31;&|https?://)"},
        {&s->rtf, "", "^word/.{1,50}\\.rtf\\b"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct span text = conf_value(conf, table[i].setting, span_str(table[i].dflt));
        /* settings are compiled before Perl sees the /i behind them */
        struct span mods = *table[i].setting ? SPAN("") : SPAN("i");
        *table[i].re = regex_new(conf->arena, text, mods, e);
        if (!*table[i].re)
            return err_prefix(e, "%s", table[i].setting);
    }
    return 0;
}

static int prepare(struct arena *a, const struct conf *conf, struct eval_call *call, struct err *e)
{
    void **slot = plugin_made(conf, "office");
    struct office_settings *s = *slot;
    if (!s) {
        s = ARENA_NEW(a, struct office_settings);
        if (make_regexes(s, conf, e) != 0)
            return -1;
        s->num_mime = (size_t)conf_number(conf, "olemacro_num_mime", 5);
        s->num_zip = (size_t)conf_number(conf, "olemacro_num_zip", 8);
        s->zip_depth = (size_t)conf_number(conf, "olemacro_zip_depth", 2);
        s->max_file = (size_t)conf_number(conf, "olemacro_max_file", 1024000);
        s->extended_scan = conf_bool(conf, "olemacro_extended_scan", false);
        s->prefer_disposition = conf_bool(conf, "olemacro_prefer_contentdisposition", true);
        *plugin_made(conf, "office") = s;
    }
    s->wants_csv |= strcmp(call->def->name, "check_olemacro_csv") == 0;
    s->wants_download |= strcmp(call->def->name, "check_olemacro_download_exe") == 0;
    call->prepared = s;
    return 0;
}

/* --- files --- */

struct scan {
    struct rules_ctx *c;
    const struct office_settings *s;
    struct office_facts *f;
};

static const struct span compound = {"\xd0\xcf\x11\xe0", 4};

static bool holds(struct span data, const char *mark)
{
    return span_search(data, span_str(mark)) != SIZE_MAX;
}

static unsigned char byte_at(struct span s, size_t at)
{
    return at < s.n ? (unsigned char)s.p[at] : 0;
}

static bool check_encrypted(struct scan *k, struct span data)
{
    static const char package[] = "E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e";
    static const char workbook[] = "W\0o\0r\0k\0b\0o\0o\0k\0";
    if (!span_starts(data, compound))
        return false;
    struct span head = span_sub(data, 0, ENCRYPTED_WITHIN);
    bool yes = span_isearch(data, SPAN("<encryption xmlns")) != SIZE_MAX ||
               span_search(head, span_of(package, sizeof package - 1)) != SIZE_MAX ||
               holds(head, "E n c r y p t e d P a c k a g e");
    if (!yes && span_search(head, span_of(workbook, sizeof workbook - 1)) == SIZE_MAX)
        yes = byte_at(data, 0x208) == 0xfe || byte_at(data, 0x214) == 0x2f ||
              byte_at(data, 0x20b) == 0x13;
    k->f->encrypted |= yes;
    return yes;
}

static bool has_macro_marks(struct span data)
{
    static const char attribute[] = "\0Attribut";               /* its NUL counts */
    static const char native[] = "\1\0O\0l\0e\0001\0000\0N\0a"; /* likewise */
    static const char *const others[] = {"\\objemb", "\\objdat", "\\ objdat",
                                         "w:macrosPresent=\"yes\"", "vbaProject.bin.rels"};
    if (span_starts(data, compound))
        return span_search(data, span_of(attribute, sizeof attribute)) != SIZE_MAX ||
               span_search(data, span_of(native, sizeof native)) != SIZE_MAX;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (holds(data, others[i]))
            return true;
    return false;
}

static bool check_old(struct scan *k, struct span data)
{
    if (!has_macro_marks(data))
        return false;
    k->f->macro = true;
    k->f->malice |= regex_hit(k->s->malice, data);
    return true;
}

static void check_download(struct scan *k, struct span data)
{
    bool first = span_starts(data, SPAN("URLDownloadToFileA"));
    if (k->s->wants_download &&
        ((!first && regex_hit(k->s->download, data)) || regex_hit(k->s->download_marker, data)))
        k->f->download = true;
}

static void check_csv(struct scan *k, struct span data)
{
    if (holds(data, "cmd.exe") && regex_hit(k->s->csv, data))
        k->f->csv = true;
}

static bool is_zip(struct span name, struct span data)
{
    return span_starts(data, SPAN("PK")) || span_iends(name, SPAN(".zip"));
}

static void add_target(struct scan *k, struct span uri)
{
    if (regex_hit(k->s->mhtml, uri))
        k->f->mhtml++;
    if (span_istarts(uri, SPAN("mhtml:")))
        uri = span_from(uri, 6);
    if (!span_istarts(uri, SPAN("http://")) && !span_istarts(uri, SPAN("https://")))
        return;
    if (k->f->redirects >= REDIRECT_URIS || map_get(&k->f->uris, uri))
        return;
    *map_at(&k->f->uris, uri) = k->f;
    k->f->redirects++;
    plugin_uri(k->c, uri);
}

/* One target for each "Relationship " in front of it. */
static void read_relations(struct scan *k, struct span data)
{
    while (data.n) {
        size_t next = 0, found;
        struct span piece = data;
        while ((found = span_search(span_from(data, next), SPAN("Relationship"))) != SIZE_MAX) {
            next += found + 12;
            if (next < data.n && ascii_isspace(data.p[next]))
                break;
        }
        if (found != SIZE_MAX)
            piece = span_sub(data, 0, next - 12);
        struct regex_match m;
        if (regex_exec(k->s->target, piece, 0, &m) == 1)
            add_target(k, span_sub(piece, m.group[1].start, m.group[1].end));
        data = found == SIZE_MAX ? SPAN_NONE : span_from(data, next + 1);
    }
}

static bool types_tell_macros(struct span data)
{
    static const char vba[] = "application/vnd.ms-office.vbaProject";
    for (size_t at = 0, found;
         (found = span_isearch(span_from(data, at), span_str(vba))) != SIZE_MAX; at += found + 1) {
        size_t start = at + found, end = start + sizeof vba - 1;
        if (start >= 13 && span_ieq(span_sub(data, start - 13, start - 1), SPAN("ContentType=")) &&
            strchr("\"'", data.p[start - 1]) && end < data.n && strchr("\"'", data.p[end]))
            return true;
    }
    return span_isearch(data, SPAN("macroEnabled")) != SIZE_MAX ||
           span_isearch(data, SPAN("application/vnd.ms-excel.macrosheet")) != SIZE_MAX ||
           span_isearch(data, SPAN("application/vnd.ms-excel.intlmacrosheet")) != SIZE_MAX;
}

static bool is_macro_member(struct span lower)
{
    static const char *const names[] = {"word/vbaproject.bin", "macros/vba/_vba_project",
                                        "xl/vbaproject.bin", "_vba_project_cur/vba/_vba_project",
                                        "ppt/vbaproject.bin"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_eq(lower, span_str(names[i])))
            return true;
    return false;
}

/* What the contents of one member of an office file tell; true: it is one of an office file. */
static bool read_member(struct scan *k, struct zip *z, struct span name, bool *malice)
{
    bool types = span_eq(name, SPAN("[Content_Types].xml"));
    bool relations = holds(name, ".rels"), binary = holds(name, ".bin");
    if (!types && !relations && !binary)
        return false;
    struct span data = zip_contents(z);
    if (types && types_tell_macros(data))
        k->f->macro = true;
    if (relations)
        read_relations(k, data);
    *malice |= binary && regex_hit(k->s->malice, data);
    return types || (relations && data.n);
}

/* Office 2007 and later; true: it is one. */
static bool check_new(struct scan *k, struct span name, struct span data)
{
    struct zip *z = is_zip(name, data) ? zip_open(k->c->a, data, &k->f->budget) : NULL;
    struct zip_member m;
    bool office = false, macro = false, malice = false;
    while (z && zip_next(z, &m)) {
        struct span lower = arena_lower(k->c->a, m.name);
        bool object = span_starts(lower, SPAN("xl/embeddings/"));
        bool rtf = regex_hit(k->s->rtf, lower);
        macro |= is_macro_member(lower);
        k->f->object |= object;
        k->f->rtf_object |= rtf;
        office |= object || rtf;
        office |= read_member(k, z, m.name, &malice);
    }
    if (z)
        zip_close(z);
    k->f->macro |= macro;
    k->f->malice |= macro && malice;
    return office || macro;
}

static void check_zip(struct scan *k, struct span name, struct span data, size_t depth);

static void check_renamed(struct scan *k, struct span name, struct span data, size_t depth)
{
    bool renamed = span_starts(data, compound);
    renamed |= check_encrypted(k, data);
    renamed |= check_old(k, data);
    renamed |= check_new(k, name, data);
    if (renamed) {
        k->f->renamed = true;
        check_download(k, data);
    }
    check_zip(k, name, data, depth);
}

/* By its name; false: nothing to look for. */
static bool wanted(const struct scan *k, struct span name)
{
    return regex_hit(k->s->zips, name) || regex_hit(k->s->macro_exts, name) ||
           regex_hit(k->s->exts, name) || k->s->extended_scan;
}

static void check_file(struct scan *k, struct span name, struct span data, size_t depth)
{
    if (regex_hit(k->s->zips, name)) {
        check_zip(k, name, data, depth);
    } else if (regex_hit(k->s->macro_exts, name)) {
        k->f->macro = true;
        check_encrypted(k, data);
        check_new(k, name, data);
        check_download(k, data);
    } else if (regex_hit(k->s->exts, name)) {
        check_encrypted(k, data);
        check_old(k, data);
        check_new(k, name, data);
        check_download(k, data);
    } else {
        check_renamed(k, name, data, depth);
    }
}

/* true: the member counts for the limit. */
static bool check_member(struct scan *k, struct zip *z, const struct zip_member *m, size_t depth)
{
    if (regex_hit(k->s->skip_exts, m->name))
        return false;
    if (m->encrypted) {
        k->f->macro |= regex_hit(k->s->macro_exts, m->name);
        k->f->zip_password = true;
        return false;
    }
    bool csv = k->s->wants_csv && span_iends(m->name, SPAN(".csv")), other = wanted(k, m->name);
    if (!csv && !other)
        return false;
    struct span data = zip_contents(z);
    if (regex_hit(k->s->macro_exts, m->name) && !regex_hit(k->s->zips, m->name))
        k->f->macro = true;
    if (csv && data.n)
        check_csv(k, data);
    if (other && data.n)
        check_file(k, m->name, data, depth);
    return other;
}

static void check_zip(struct scan *k, struct span name, struct span data, size_t depth)
{
    struct zip_member m;
    if (!k->s->num_zip || ++depth > k->s->zip_depth || !data.n || !is_zip(name, data))
        return;
    struct zip *z = zip_open(k->c->a, data, &k->f->budget);
    size_t seen = 0;
    while (z && seen < k->s->num_zip && zip_next(z, &m))
        seen += check_member(k, z, &m, depth);
    if (z)
        zip_close(z);
}

/* --- attachments --- */

/* `key = "value"` anywhere in a header; empty when there is none. */
static struct span parameter(struct span header, struct span key)
{
    for (size_t at = 0, found; (found = span_isearch(span_from(header, at), key)) != SIZE_MAX;) {
        at += found + key.n;
        size_t i = at;
        while (i < header.n && ascii_isspace(header.p[i]))
            i++;
        if (i >= header.n || header.p[i] != '=')
            continue;
        for (i++; i < header.n && ascii_isspace(header.p[i]);)
            i++;
        if (i < header.n && (header.p[i] == '"' || header.p[i] == '\''))
            i++;
        size_t end = i;
        while (end < header.n && !strchr("\"';", header.p[end]))
            end++;
        struct span value = span_sub(header, i, end);
        while (value.n && ascii_isspace(value.p[value.n - 1]))
            value.n--;
        return value;
    }
    return SPAN("");
}

static struct span header_of(struct rules_ctx *c, struct mime_part *p, struct span name)
{
    struct mime_field *f = mime_last(&p->fields, name);
    return f ? mime_decoded(c->mime, f) : SPAN_NONE;
}

/* The name of an attachment in base64 or quoted-printable; empty for other parts. */
static struct span attachment_name(struct scan *k, struct mime_part *p)
{
    struct span type = header_of(k->c, p, SPAN("Content-Type"));
    struct span coding = header_of(k->c, p, SPAN("Content-Transfer-Encoding"));
    struct span disposition = header_of(k->c, p, SPAN("Content-Disposition"));
    if (!type.p ||
        !(span_ieq(coding, SPAN("base64")) || span_ieq(coding, SPAN("quoted-printable"))))
        return SPAN("");
    struct span by_type = parameter(type, SPAN("name"));
    struct span by_disposition =
        parameter(disposition.p ? disposition : SPAN(""), SPAN("filename"));
    if (!by_type.n || (by_disposition.n && k->s->prefer_disposition) ||
        span_ieq(by_type, by_disposition))
        return by_disposition;
    return by_type;
}

/* true: the part counts for the limit. */
static bool check_part(struct scan *k, struct mime_part *p)
{
    if (!p->leaf || !p->type.n || regex_hit(k->s->skip_types, p->type))
        return false;
    struct span name = attachment_name(k, p);
    if (!name.n || regex_hit(k->s->skip_exts, name))
        return false;
    struct span data = span_sub(mime_body(k->c->mime, p), 0, k->s->max_file);
    if (!data.n)
        return false;
    if (k->s->wants_csv && span_iends(name, SPAN(".csv")))
        check_csv(k, data);
    if (!wanted(k, name))
        return false;
    check_file(k, name, data, 0);
    return true;
}

void office_extract(struct rules_ctx *c)
{
    struct scan k = {.c = c, .s = plugin_has(c->conf, "office")};
    struct eval_state *state = eval_state(c);
    size_t seen = 0;
    k.f = state->office = ARENA_NEW(c->a, struct office_facts);
    k.f->uris = map_in(c->a);
    k.f->budget = ZIP_BUDGET;
    for (struct mime_part *p = c->mime->root; k.s && p; p = mime_next(p)) {
        seen += check_part(&k, p);
        if (seen && seen >= k.s->num_mime)
            break;
    }
}

/* --- the functions --- */

static const struct office_facts *facts(struct rules_ctx *c)
{
    if (!eval_state(c)->office)
        office_extract(c);
    return eval_state(c)->office;
}

#define TEST(name, member)                                                                         \
    static double name(struct rules_ctx *c, const struct eval_call *call)                          \
    {                                                                                              \
        (void)call;                                                                                \
        return facts(c)->member > 0;                                                               \
    }
TEST(check_olemacro, macro)
TEST(check_oleobject, object)
TEST(check_olertfobject, rtf_object)
TEST(check_olemacro_csv, csv)
TEST(check_olemacro_malice, malice)
TEST(check_olemacro_renamed, renamed)
TEST(check_olemacro_encrypted, encrypted)
TEST(check_olemacro_zip_password, zip_password)
TEST(check_olemacro_download_exe, download)
TEST(check_olemacro_redirect_uri, redirects)
TEST(check_olemacro_mhtml_uri, mhtml)

#define ROW(fn)                                                                                    \
    {                                                                                              \
#fn, "OLEVBMacro", fn, .types = EVAL_BODIES, .prepare = prepare                            \
    }
const struct eval_fn_def eval_office[] = {
    ROW(check_olemacro),
    ROW(check_oleobject),
    ROW(check_olertfobject),
    ROW(check_olemacro_csv),
    ROW(check_olemacro_malice),
    ROW(check_olemacro_renamed),
    ROW(check_olemacro_encrypted),
    ROW(check_olemacro_zip_password),
    ROW(check_olemacro_download_exe),
    ROW(check_olemacro_redirect_uri),
    ROW(check_olemacro_mhtml_uri),
    {NULL},
};
