/* Policies and a script on any message: whatever parts they find, the edits must fit the bytes, and
 * the texts they make must be safe. The first byte picks the policies. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "action/action.h"
#include "script/script.h"

static const char *const policies[] = {
    "policies: [{name: p, parts: {name: ['*.e*', '/x$/i']}, do: drop_part}]",
    "policies: [{name: p, parts: {type: '*'}, touch_signed: true, do: drop_part}]",
    "policies: [{name: p, parts: {size: '> 3'}, do: {replace_part: \"gone _NAME_\\nf\xc3\xbcr\"}}]",
    "policies: [{name: p, parts: {members: '*.e*'}, do: {link_part: \"_PART_ _URL_\"}}]",
    "policies: [{name: p, parts: {name: '*'}, do: {rename_part: \"\xc3\xbc_NAME_\"}}]",
    "policies: [{name: p, parts: {encrypted: true}, do: quarantine_part},\n"
    " {name: q, parts: {content: '!text/*'}, do: replace_part}]",
    "policies: [{name: p, header: {Subject: '*'}, continue: true,\n"
    "  do: [{add_disclaimer: {text: \"f\xc3\xbcr _SUBJECT_\"}}, {subject_prefix: '[_SENDER_] "
    "'}]},\n"
    " {name: q, header: {From: '/a.*b/'}, do: {delete_header: [Subject, To]}}]",
    "policies: [{name: p, header: {Subject: true}, continue: true, touch_signed: true,\n"
    "  do: [{change_header: {Subject: x, Content-Type: text/plain}}, {add_disclaimer: t},\n"
    "       {notify: [a@b.example]}, {copy: c@d.example}]}]",
    "policies: [{name: p, parts: {type: '!text/*'}, continue: true, do: {replace_part: gone}},\n"
    " {name: q, header: {From: '*a*'}, continue: true, do: {add_disclaimer: {text: t, html: "
    "\"<b>\"}}},\n"
    " {name: r, continue: true, touch_signed: true, do: [{add_disclaimer: \"\xc3\xbc "
    "_SUBJECT_\"}]}]",
};
enum { SETS = sizeof policies / sizeof *policies };

static const char lua[] =
    "function part(m, p)\n"
    "  for _, n in ipairs(p.names) do add_header('X-N', n) rename_part(n) pcall(add_header, n, n)\n"
    "    pcall(redirect, n) pcall(notify, n, n, n) hold(n) store.put('n' .. n, n) end\n"
    "  if p.number % 2 == 0 then replace_part(p.type .. (p.content or '')) end\n"
    "end\n"
    "function multipart(m, p) if p.number > 3 then drop_part() end end\n"
    "function finish(m) change_header('Subject', (header('Subject')[1] or '') .. '!', 0) end\n";

static struct settings *load(const char *text)
{
    char path[64];
    struct err e = {0};
    int fd = memfd_create("settings", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, text, strlen(text)) < 0)
        abort();
    struct settings *s = settings_load(path, &e);
    close(fd);
    if (!s)
        fprintf(stderr, "%s\n", e.text), abort();
    return s;
}

static bool get(void *ctx, struct span key, struct buf *value)
{
    (void)ctx, (void)key, (void)value;
    return false;
}

static bool put(void *ctx, struct span key, struct span value, usec until)
{
    (void)ctx, (void)key, (void)value, (void)until;
    return true;
}

static bool forget(void *ctx, struct span key)
{
    (void)ctx, (void)key;
    return true;
}

static bool add(void *ctx, struct span key, int64_t by, usec until, int64_t *sum)
{
    (void)ctx, (void)key, (void)until;
    *sum = by;
    return true;
}

static struct script *script_of_text(struct script_settings *set)
{
    static struct script_store store = {NULL, get, put, forget, add};
    static char path[64];
    struct err e = {0};
    int fd = memfd_create("script", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, lua, sizeof lua - 1) < 0)
        abort();
    *set = (struct script_settings){.file = path, .instructions = 10000000, .memory = 64 << 20};
    struct script *s = script_new(set, &store, &e);
    if (!s)
        fprintf(stderr, "%s\n", e.text), abort();
    return s;
}

static void header_is_safe(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\n' && i + 1 < s.n && s.p[i + 1] != ' ' && s.p[i + 1] != '\t')
            abort();
}

static void carry_out(const struct settings *set, struct policy_set *ps, struct message *m,
                      struct parts *parts, const struct wishes *wishes)
{
    struct verdict v;
    struct buf out = {0};
    struct err e;
    verdict_decide(ps, &set->virus, m, parts, wishes, m->arena, &v);
    for (size_t i = 0; i < v.n; i++) {
        struct splices edits = {0};
        action_edits(set, NULL, m, &v.v[i], m->arena, &edits);
        if (splices_sort(&edits, m->raw.n, &e) != 0)
            fprintf(stderr, "%s\n", e.text), abort();
        buf_clear(&out);
        splices_apply(&edits, m->raw, &out);
        header_is_safe(action_reply(m, &v.v[i], m->arena));
        action_delivery(&v.v[i], m->arena);
    }
    action_mails(set, m, &v, m->arena);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct settings *set[SETS];
    static struct policy_set *ps[SETS];
    static struct script_settings script_set;
    static struct script *script;
    for (size_t i = 0; !script && i < SETS; i++) {
        struct buf text = {0};
        buf_printf(&text, "hostname: g.example\nvirus: {enabled: no}\nrules: {enabled: no}\n%s\n",
                   policies[i]);
        set[i] = load(text.p);
        ps[i] = policy_set_new(set[i]);
        buf_free(&text);
    }
    if (!script)
        script = script_of_text(&script_set);
    if (size == 0)
        return 0;
    struct message *m = message_new(0);
    struct rcpt to = {.addr = SPAN("bob@example.org")};
    struct wishes wishes = {0};
    size_t pick = data[0] % (SETS + 1), with = pick % SETS;
    m->raw = span_of((const char *)data + 1, size - 1);
    m->has_envelope = true;
    m->env.from = SPAN("a@b.example");
    m->env.rcpts = &to;
    m->env.nrcpts = 1;
    id_new(m->id);
    struct parts *parts =
        parts_new(mime_parse(m->arena, m->raw, NULL), policy_set_magic(ps[with]), m->arena);
    if (pick == SETS)
        script_run(script, m, parts, &wishes);
    carry_out(set[with], ps[with], m, parts, &wishes);
    message_free(m);
    return 0;
}
