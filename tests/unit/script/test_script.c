#include "../policy/policy_test.h"

#include "action/action.h"
#include "base/map.h"
#include "script/script.h"

/* A store in memory. */
struct shelf {
    struct arena *a;
    struct map map;
};

static bool shelf_get(void *ctx, struct span key, struct buf *value)
{
    struct shelf *s = ctx;
    struct span *v = map_get(&s->map, key);
    if (v && v->p)
        buf_add(value, *v);
    return v && v->p;
}

static bool shelf_put(void *ctx, struct span key, struct span value, usec until)
{
    struct shelf *s = ctx;
    struct span *v = ARENA_NEW(s->a, struct span);
    assert_true(until > clock_wall());
    *v = arena_dup(s->a, value);
    *map_at(&s->map, arena_dup(s->a, key)) = v;
    return true;
}

static bool shelf_forget(void *ctx, struct span key)
{
    struct shelf *s = ctx;
    struct span *v = map_get(&s->map, key);
    if (v)
        *v = SPAN_NONE;
    return true;
}

static bool shelf_add(void *ctx, struct span key, int64_t by, usec until, int64_t *sum)
{
    struct buf b = {0};
    char text[32];
    *sum = by + (shelf_get(ctx, key, &b) ? strtoll(b.p, NULL, 10) : 0);
    snprintf(text, sizeof text, "%lld", (long long)*sum);
    buf_free(&b);
    return shelf_put(ctx, key, span_str(text), until);
}

#define RAW                                                                                        \
    "From: ann@sender.example\r\nSubject: hello\r\nX-Two: one\r\nX-Two: two\r\n"                   \
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"                                            \
    "--b\r\nContent-Type: text/plain\r\n\r\nsome text\r\n"                                         \
    "--b\r\nContent-Type: application/x; name=a.exe\r\n\r\nMZ\r\n--b--\r\n"

struct stand {
    struct scene s;
    struct script_settings set;
    struct shelf shelf;
    struct script_store store;
    struct script *script;
    struct rcpt rcpts[2];
    struct wishes out;
    char file[64];
};

static struct stand *stand_of(const char *text)
{
    struct stand *t = calloc(1, sizeof *t);
    struct err e = {0};
    t->s =
        scene_of("hostname: gate.example.org\nvirus: {enabled: no}\nrules: {enabled: no}\n", RAW);
    t->set = *settings_script(t->s.set);
    snprintf(t->file, sizeof t->file, "/tmp/gatehouse-script-XXXXXX.lua");
    int fd = mkstemps(t->file, 4);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    t->set.file = t->file;
    t->shelf.a = arena_new(0);
    t->shelf.map = map_in(t->shelf.a);
    t->store = (struct script_store){&t->shelf, shelf_get, shelf_put, shelf_forget, shelf_add};
    t->script = script_new(&t->set, &t->store, &e);
    if (!t->script)
        fail_msg("%s", e.text);
    t->rcpts[0].addr = SPAN("bob@example.org");
    t->rcpts[1].addr = SPAN("eve@example.org");
    t->s.m->env.rcpts = t->rcpts;
    t->s.m->env.nrcpts = 2;
    return t;
}

static void stand_end(struct stand *t)
{
    script_free(t->script);
    unlink(t->file);
    arena_free(t->shelf.a);
    scene_end(&t->s);
    free(t);
}

static void judge(struct stand *t, struct verdict *v)
{
    script_run(t->script, t->s.m, t->s.parts, &t->out);
    verdict_decide(t->s.ps, &t->s.set->virus, t->s.m, t->s.parts, &t->out, t->s.m->arena, v);
}

/* The actions that the script asks for, "add_header X-A=b, reject=550 ...". */
static void expect(const char *text, const char *want)
{
    char got[4096] = "";
    struct stand *t = stand_of(text);
    script_run(t->script, t->s.m, t->s.parts, &t->out);
    const struct policy *p = t->out.all;
    for (size_t i = 0; p && i < p->actions.n; i++) {
        const struct policy_action *x = &p->actions.v[i];
        size_t n = strlen(got);
        snprintf(got + n, sizeof got - n, "%s%s%s%s%s%s", i ? ", " : "", action_name(x->kind),
                 x->name ? " " : "", x->name ? x->name : "", x->text ? "=" : "",
                 x->text ? x->text : "");
        n = strlen(got);
        if (x->part || x->nth)
            snprintf(got + n, sizeof got - n, "#%u", x->part + x->nth);
        for (size_t k = 0; k < x->to.n; k++)
            snprintf(got + strlen(got), sizeof got - strlen(got), " <%s>", x->to.v[k]);
    }
    for (size_t i = 0; i < t->s.m->facts.nskipped; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "[%.*s]",
                 SPAN_ARG(t->s.m->facts.skipped[i].why));
    char *file = strstr(got, t->file + 5);
    if (file)
        memmove(file, file + strlen(t->file + 5), strlen(file + strlen(t->file + 5)) + 1);
    assert_string_equal(got, want);
    stand_end(t);
}

static void every_callback_is_called_in_order(void **state)
{
    (void)state;
    struct stand *t = stand_of(
        "local seen = {}\n"
        "local function note(n) seen[#seen + 1] = n end\n"
        "function relay(m) note('relay ' .. m.client_ip .. ' ' .. m.client_name) end\n"
        "function helo(m) note('helo ' .. m.helo) end\n"
        "function sender(m) note('sender ' .. m.sender) end\n"
        "function recipient(m, r) note('recipient ' .. r) end\n"
        "function begin(m) note('begin ' .. #m.recipients) end\n"
        "function part(m, p) note('part ' .. p.number .. ' ' .. p.type .. ' ' .. p.name) end\n"
        "function multipart(m, p) note('multipart ' .. p.number) end\n"
        "_G['end'] = function() note('end') end\n"
        "function finish() note('finish') end\n"
        "function wrapup() note('wrapup') add_header('X-Seen', table.concat(seen, ';')) end\n");
    assert_true(script_wants_parts(t->script));
    script_run(t->script, t->s.m, t->s.parts, &t->out);
    assert_non_null(t->out.all);
    assert_string_equal(t->out.all->actions.v[0].text,
                        "relay 192.0.2.7 mail.sender.example;helo helo.sender.example;"
                        "sender ann@sender.example;recipient bob@example.org;"
                        "recipient eve@example.org;begin 2;multipart 1;part 2 text/plain ;"
                        "part 3 application/x a.exe;end;finish;wrapup");
    stand_end(t);
}

static void words_of_the_stages(void **state)
{
    (void)state;
    static const char *const stages[] = {"relay", "helo", "sender"};
    for (size_t i = 0; i < 3; i++) {
        char text[256];
        snprintf(text, sizeof text, "function %s() return 'reject', 'Not you' end", stages[i]);
        expect(text, "reject=550 5.7.1 Not you");
    }
    expect("function sender() return 'defer', '451 4.7.5 Wait' end", "defer=451 4.7.5 Wait");
    expect("function sender() return 'continue' end", "");
    /* Lines of a reply stay; elsewhere they would be fields of a header, or lines of a log. */
    expect("function helo() return 'reject', 'a\\tb\\nc' end", "reject=550 5.7.1 a b\nc");
    expect("function helo() return 'hold', 'odd\\nx' end", "hold=odd x");
    expect("function helo() return 'accept' end", "accept");
    expect("function helo() return 'tag' end", "tag");
    expect("function helo() return 'discard' end", "discard");
    expect("function helo() return 'perhaps' end",
           "defer=451 4.3.0 Not all checks are available now, please try later[helo() returned "
           "'perhaps'; expected continue, accept, tag, hold, reject, defer or discard]");
}

static void every_action(void **state)
{
    (void)state;
#define IN(s) "function finish() " s " end"
    expect(IN("reject('no')"), "reject=550 5.7.1 no");
    expect(IN("reject('553 5.1.3 bad')"), "reject=553 5.1.3 bad");
    expect(IN("reject() defer()"), "defer=451 4.7.1 Please try again later");
    expect(IN("defer() hold('x') "), "hold=x");
    expect(IN("discard() accept()"), "accept");
    expect(IN("tag()"), "tag");
    expect(IN("discard() if rejected() then add_header('X-R', 'y') end"),
           "discard, add_header X-R=y");
    expect(IN("add_header('X-A', 'b')"), "add_header X-A=b");
    expect(IN("change_header('X-A', 'b', 2)"), "change_header X-A=b#2");
    expect(IN("delete_header('X-A')"), "delete_header X-A#1");
    expect(IN("delete_all_headers('X-A')"), "delete_header X-A");
    expect(IN("subject_prefix('[E] ')"), "subject_prefix=[E] ");
    expect(IN("drop_part(3)"), "drop_part#3");
    expect(IN("replace_part('gone\\nnow', 3)"), "replace_part=gone\nnow#3");
    expect("function part(m, p) if p.name == 'a.exe' then link_part('_ID_') end end",
           "link_part=_ID_#3");
    expect("function part(m, p) if p.name == 'a.exe' then rename_part('b.txt') end end",
           "rename_part=b.txt#3");
    expect("function part(m, p) if p.name == 'a.exe' then quarantine_part('kept') end end",
           "quarantine_part=kept#3");
    expect(IN("add_disclaimer('text')"), "add_disclaimer=text");
    expect(IN("add_recipient('a@b.example')"), "add_recipient <a@b.example>");
    expect(IN("redirect('a@b.example')"), "redirect <a@b.example>");
    expect(IN("copy('a@b.example')"), "copy <a@b.example>");
    expect(IN("change_sender('')"), "change_sender=");
    expect(IN("change_sender('a@b.example')"), "change_sender=a@b.example");
    expect(IN("notify('sender', 's', 't')"), "notify=t <sender>");
    expect(IN("keep()"), "keep");
}

static void what_a_script_sees(void **state)
{
    (void)state;
    expect(IN("add_header('X', table.concat(header('x-two'), '|') .. #header('X-None'))"),
           "add_header X=one|two0");
    expect(IN("add_header('X', body(2))"), "add_header X=some text");
    expect(IN("local p = parts()[3] add_header('X', p.name .. p.size .. tostring(p.sealed))"),
           "add_header X=a.exe2false");
    expect("function begin(m) add_header('X', m.id .. m.size .. m.spf .. m.dmarc) end",
           "add_header X=214nonenone");
    expect(
        IN("store.put('k', 'v', 60) add_header('X', store.get('k') .. tostring(store.get('n')))"),
        "add_header X=vnil");
    expect(IN("store.incr('n') store.incr('n', -9, 60) add_header('X', store.get('n') .. ' ' .. "
              "math.type(store.incr('n', 2)))"),
           "add_header X=-8 integer");
    expect(IN("store.incr('n') store.incr('n', 5, 60) add_header('X', store.incr('n'))"),
           "add_header X=7");
    expect(IN("store.put('k', 'v') store.forget('k') add_header('X', tostring(store.get('k')))"),
           "add_header X=nil");
    expect(IN("add_header('X', now() > 1700000000 and 'late' or 'early')"), "add_header X=late");
}

#define FAILED "defer=451 4.3.0 Not all checks are available now, please try later"

static void failures_have_a_place(void **state)
{
    (void)state;
    expect("function finish()\n  local x = nil\n  x.y = 1\nend",
           FAILED "[:3: attempt to index a nil value (local 'x')]");
    expect(IN("add_header('X Y', 'b')"),
           FAILED "[:1: bad argument #1 to 'add_header' (expected the "
                  "name of a header field)]");
    expect(IN("redirect('a b')"),
           FAILED "[:1: bad argument #1 to 'redirect' (expected an address)]");
    expect(IN("drop_part(9)"),
           FAILED "[:1: bad argument #1 to 'drop_part' (there is no such part)]");
    expect(IN("delete_recipient()"),
           FAILED "[:1: which recipient? Call delete_recipient in recipient()]");
    expect(IN("while true do end"),
           FAILED "[:1: it takes more than 50000000 instructions (script.instructions)]");
    expect(IN("while true do pcall(function() while true do end end) end"),
           FAILED "[:1: it takes more than 50000000 instructions (script.instructions)]");
    expect(IN("local s = string.rep('x', 1e9)"), FAILED "[not enough memory]");
    expect(IN("for i = 1, 2000 do keep() end"),
           FAILED "[:1: more than 1000 actions for one message]");
    /* What a stranger writes can't become a second field. */
    expect(IN("add_header('X', 'a\\r\\nBcc: evil@c')"), "add_header X=a  Bcc: evil@c");
    expect(IN("local ok = pcall(error, 'x') add_header('X', tostring(ok))"), "add_header X=false");
}

static void failures_as_declared(void **state)
{
    (void)state;
    struct verdict v;
    static const struct {
        enum on_fail on;
        enum outcome outcome;
    } rows[] = {{FAIL_DEFER, OUT_DEFER}, {FAIL_HOLD, OUT_HOLD}, {FAIL_PASS, OUT_ACCEPT}};
    for (size_t i = 0; i < 3; i++) {
        struct stand *t =
            stand_of("function recipient() reject() end\nfunction finish() nope() end");
        t->set.on_error = rows[i].on;
        judge(t, &v);
        assert_int_equal(v.n, 1);
        assert_int_equal(v.v[0].outcome, rows[i].outcome);
        stand_end(t);
    }
}

static void there_is_no_way_out(void **state)
{
    (void)state;
    static const char *const absent[] = {
        "io",       "os",   "debug",          "package",   "require", "dofile",
        "loadfile", "load", "collectgarbage", "coroutine", "xpcall"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        char text[128];
        snprintf(text, sizeof text, IN("add_header('X', type(%s))"), absent[i]);
        expect(text, "add_header X=nil");
    }
    expect(IN("add_header('X', type(string.dump))"), "add_header X=nil");
    expect(IN("setmetatable({}, {__gc = function() end})"),
           FAILED "[:1: finalizers (__gc) are not available]");
    expect(IN("setmetatable('', {})"),
           FAILED "[:1: bad argument #1 to 'setmetatable' (table expected, got string)]");
}

static void broken_scripts_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"function (", "error('no')", "nope()"};
    static const char *const why[] = {"<name> expected", "no", "attempt to call a nil value"};
    for (size_t i = 0; i < 3; i++) {
        struct script_settings set = {.instructions = 1000000, .memory = 1 << 20};
        struct err e = {0};
        char file[] = "/tmp/gatehouse-script-XXXXXX.lua";
        int fd = mkstemps(file, 4);
        assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
        close(fd);
        set.file = file;
        assert_null(script_new(&set, NULL, &e));
        assert_non_null(strstr(e.text, ".lua:1:"));
        assert_non_null(strstr(e.text, why[i]));
        unlink(file);
    }
    struct script_settings set = {
        .instructions = 1000000, .memory = 1 << 20, .file = "/nowhere.lua"};
    struct err e = {0};
    assert_null(script_new(&set, NULL, &e));
    assert_string_equal(e.text, "/nowhere.lua: No such file or directory");
}

static void recipients_have_fates_of_their_own(void **state)
{
    (void)state;
    struct verdict v;
    struct stand *t = stand_of("function recipient(m, r)\n"
                               "  if r:match('^eve@') then return 'hold', 'for eve' end\nend\n"
                               "function finish() add_header('X-A', 'b') end\n");
    judge(t, &v);
    assert_int_equal(v.n, 2);
    assert_int_equal(v.v[0].outcome, OUT_ACCEPT);
    assert_int_equal(v.v[1].outcome, OUT_HOLD);
    assert_true(span_eq(v.v[1].detail, SPAN("for eve")));
    assert_int_equal(v.v[1].rcpts[0], 1);
    stand_end(t);
    t = stand_of("function recipient(m, r) if r:match('^eve@') then delete_recipient() end end\n");
    judge(t, &v);
    assert_int_equal(v.v[1].outcome, OUT_DISCARD);
    stand_end(t);
}

static void a_part_is_taken_out(void **state)
{
    (void)state;
    struct verdict v;
    struct splices edits = {0};
    struct buf b = {0};
    struct stand *t = stand_of("function part(m, p)\n  if p.name:match('%.exe$') then\n"
                               "    replace_part(p.name .. ' is gone')\n  end\nend\n");
    judge(t, &v);
    assert_true(action_edits(t->s.set, NULL, t->s.m, &v.v[0], t->s.m->arena, &edits));
    splices_apply(&edits, t->s.m->raw, &b);
    assert_non_null(strstr(b.p, "a.exe is gone\r\n\r\n--b--\r\n"));
    assert_null(strstr(b.p, "MZ"));
    buf_free(&b);
    stand_end(t);
}

static void maps_and_ticks(void **state)
{
    (void)state;
    struct stand *t = stand_of("local n = 0\nfunction tick() n = n + 1 end\n"
                               "function map(name, key)\n"
                               "  if name == 'count' then return tostring(n) end\n"
                               "  if name == 'bad' then error('down') end\n"
                               "  if name == 'later' then return nil, 'busy' end\nend\n");
    struct span value;
    struct err e = {0};
    assert_int_equal(script_tick(t->script, &e), 0);
    assert_int_equal(script_tick(t->script, &e), 0);
    assert_int_equal(script_map(t->script, SPAN("count"), SPAN("k"), t->s.m->arena, &value, &e), 1);
    assert_true(span_eq(value, SPAN("2")));
    assert_int_equal(script_map(t->script, SPAN("x"), SPAN("k"), t->s.m->arena, &value, &e), 0);
    assert_int_equal(script_map(t->script, SPAN("bad"), SPAN("k"), t->s.m->arena, &value, &e), -1);
    assert_non_null(strstr(e.text, "down"));
    assert_int_equal(script_map(t->script, SPAN("later"), SPAN("k"), t->s.m->arena, &value, &e),
                     -1);
    assert_non_null(strstr(e.text, "busy"));
    assert_int_equal(script_calls(t->script), CALL_MAP);
    stand_end(t);
}

/* What was said at the commands is not asked again, and comes in front of what is said now. */
static void callbacks_at_their_commands(void **state)
{
    (void)state;
    struct stand *t = stand_of(
        "function relay(m) add_header('X-R', m.client_ip) return 'hold', 'first' end\n"
        "function sender(m) add_header('X-S', m.sender) end\n"
        "function recipient(m, r) if r:match('^eve') then tag() end end\n"
        "function finish(m) add_header('X-F', 'f') if header('X-Two')[1] then accept() end end\n");
    struct message *m = t->s.m;
    struct saying says;
    struct said said = {.asked = CALL_RELAY | CALL_RECIPIENT};
    struct err e = {0};
    assert_int_equal(script_calls(t->script), CALL_RELAY | CALL_SENDER | CALL_RECIPIENT);
    assert_int_equal(script_stage(t->script, CALL_RELAY, m, SPAN_NONE, &says, &e), 0);
    assert_int_equal(says.actions.n, 2);
    assert_int_equal(saying_decides(&says)->kind, ACTION_HOLD);
    saying_add(&said.all, m->arena, &says);
    assert_int_equal(script_stage(t->script, CALL_RECIPIENT, m, t->rcpts[1].addr, &says, &e), 0);
    assert_int_equal(saying_decides(&says)->kind, ACTION_TAG);
    said_recipient(&said, m->arena, 1, &says);
    assert_int_equal(said.neach, 2);
    assert_int_equal(script_stage(t->script, CALL_HELO, m, SPAN_NONE, &says, &e), 0);
    assert_true(saying_empty(&says)); /* there is no such callback */
    m->said = &said;
    script_run(t->script, m, t->s.parts, &t->out);
    assert_null(t->out.each[0]);
    assert_int_equal(t->out.each[1]->actions.v[0].kind, ACTION_TAG);
    /* The last one that decides holds; everything else is kept, in order. */
    static const char *const want[] = {"X-R", "X-S", "X-F", NULL};
    assert_int_equal(t->out.all->actions.n, 4);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(t->out.all->actions.v[i].name, want[i]);
    assert_int_equal(t->out.all->actions.v[3].kind, ACTION_ACCEPT);
    assert_int_equal(said.all.actions.n, 2); /* the message's own list is another one */
    stand_end(t);
}

static void signed_parts_when_told(void **state)
{
    (void)state;
    struct stand *t = stand_of("function sender() touch_signed() end\n"
                               "function finish() add_disclaimer('x') end\n");
    struct saying says;
    struct said said = {.asked = CALL_SENDER};
    struct err e = {0};
    assert_int_equal(script_stage(t->script, CALL_SENDER, t->s.m, SPAN_NONE, &says, &e), 0);
    assert_true(says.touch_signed && !saying_empty(&says));
    saying_add(&said.all, t->s.m->arena, &says);
    t->s.m->said = &said;
    script_run(t->script, t->s.m, t->s.parts, &t->out);
    assert_true(t->out.all->touch_signed);
    stand_end(t);
}

static void a_callback_fails_at_its_command(void **state)
{
    (void)state;
    struct stand *t = stand_of("function helo() add_header('X-A', 'b') error('no') end\n"
                               "function relay() return 'perhaps' end\n"
                               "function sender() while true do end end\n");
    struct saying says;
    struct err e = {0};
    static const enum script_call calls[] = {CALL_HELO, CALL_RELAY, CALL_SENDER};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(script_stage(t->script, calls[i], t->s.m, SPAN_NONE, &says, &e), -1);
        assert_true(saying_empty(&says));
        assert_true(e.text[0]);
    }
    stand_end(t);
}

/* Names that strangers give to parts reach the script and come back as texts. */
static void hostile_names(void **state)
{
    (void)state;
    struct stand *t = stand_of("function part(m, p)\n  for _, n in ipairs(p.names) do\n"
                               "    add_header('X-Name', n) rename_part(n) replace_part(n)\n"
                               "    pcall(add_header, n, n) pcall(redirect, n)\n"
                               "    reject(n) store.put('n' .. n, n)\n  end\nend\n");
    static const char *const names[] = {"%s%n%x",     "_ID__NAME_",   "a\tb",   "\xff\xfe",
                                        "\x01\x02..", "550 5.7.1 ok", "]]--[[", "=?utf-8?b?AAAA?="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char raw[512];
        struct verdict v;
        struct splices edits = {0};
        struct err e;
        snprintf(raw, sizeof raw, "Content-Type: a/b; name=\"%s\"\r\n\r\nx\r\n", names[i]);
        t->s.m->raw = arena_dup(t->s.m->arena, span_str(raw));
        t->s.parts = parts_new(mime_parse(t->s.m->arena, t->s.m->raw, NULL), NULL, t->s.m->arena);
        judge(t, &v);
        assert_int_equal(t->s.m->facts.nskipped, 0);
        action_edits(t->s.set, NULL, t->s.m, &v.v[0], t->s.m->arena, &edits);
        assert_int_equal(splices_sort(&edits, t->s.m->raw.n, &e), 0);
    }
    stand_end(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_callback_is_called_in_order),
        cmocka_unit_test(words_of_the_stages),
        cmocka_unit_test(every_action),
        cmocka_unit_test(what_a_script_sees),
        cmocka_unit_test(failures_have_a_place),
        cmocka_unit_test(failures_as_declared),
        cmocka_unit_test(there_is_no_way_out),
        cmocka_unit_test(broken_scripts_are_refused),
        cmocka_unit_test(recipients_have_fates_of_their_own),
        cmocka_unit_test(a_part_is_taken_out),
        cmocka_unit_test(maps_and_ticks),
        cmocka_unit_test(callbacks_at_their_commands),
        cmocka_unit_test(a_callback_fails_at_its_command),
        cmocka_unit_test(signed_parts_when_told),
        cmocka_unit_test(hostile_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
