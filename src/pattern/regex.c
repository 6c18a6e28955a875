#include "pattern/regex.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <pthread.h>

#define PCRE2_CODE_UNIT_WIDTH 0
#include <pcre2.h>

#include "base/xalloc.h"
#include "pattern/automaton.h"
#include "pattern/pattern.h"
#include "pattern/stretch.h"
#include "pattern/words.h"

enum state { FRESH, READY_8, READY_32, BROKEN };

enum {
    JIT_STACK_START = 32 * 1024,
    JIT_STACK_MAX = 1024 * 1024,
    HEAP_LIMIT_KIB = 20000,
    /* A giant pattern takes long to translate to machine code: only when it is used a lot. */
    JIT_AT_ONCE = 4 * 1024,
    /* Longer ones are too large for the 8-bit library, most likely: they are made small first. */
    FACTOR_FIRST = 40 * 1024,
    JIT_AFTER_USES = 16,
    /* A pattern whose tries in vain took so much longer than an automaton would gets one: SOON
     * tells after few tries, MUCH at any time. From then on every SAMPLE-th try is timed, until
     * LATEST. Giants get theirs at once. */
    VAIN_SOON = 32,
    VAIN_SOON_NS = 40 * 1000,
    VAIN_MUCH_NS = 200 * 1000,
    VAIN_SAMPLE = 16,
    /* The code for windows is made when doing without has taken about as long as making it. */
    LIMITED_AFTER_NS = 400 * 1000,
    AUTOMATON_NS_A_TRY = 150,
    AUTOMATON_NS_A_BYTE = 2,
    /* Bytes that a try costs at least; and how many more bytes may be tried than a third of all
     * before the automaton is judged to save nothing. */
    TRY_BYTES = 32,
    WASTE = 64 * 1024,
    /* After so many places where the automaton saw a chance and PCRE2 did not, the rest is tried as
     * a whole: each of them may have cost a walk to the end of the string. */
    CHANCES = 64
};

struct regex {
    struct span pattern;
    uint32_t match_limit, depth_limit;
    pthread_mutex_t lock; /* held while compiling */
    _Atomic enum state state;
    _Atomic bool jit;
    _Atomic unsigned uses;
    pcre2_code_8 *code8;
    pcre2_code_8 *_Atomic limited8; /* the one for windows; NULL: not yet */
    _Atomic bool no_limited;        /* it can't be made */
    _Atomic int64_t unlimited;      /* nanoseconds that tries in windows took without it */
    pcre2_code_32 *code32;
    struct words *words;    /* NULL: it is none */
    struct stretch stretch; /* .n 0: none */
    bool factored, brief;
    bool bound;                /* holds \G: where it is tried from counts */
    _Atomic unsigned vain;     /* tries without a match so far */
    _Atomic int64_t slow;      /* nanoseconds that they took, less those that are no reason */
    _Atomic int64_t waste;     /* bytes tried where the automaton told, less a third of all */
    _Atomic bool no_automaton; /* it can't be made, or does not help */
    struct automaton *_Atomic automaton; /* NULL: none, or not yet */
    char why[160];                       /* of BROKEN */
};

/* What a thread needs to match: allocated at first use, freed by the thread's end. */
struct workspace {
    pcre2_match_data_8 *data8;
    pcre2_match_data_32 *data32;
    pcre2_match_context_8 *context8;
    pcre2_match_context_32 *context32;
    pcre2_jit_stack_8 *stack8;
    uint32_t *wide;
    size_t wide_cap;
    unsigned long limit_hits;
    unsigned divisor; /* of limits; 0: 1 */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t workspace_key;
static const uint8_t *tables8, *tables32;

static void workspace_free(void *p)
{
    struct workspace *w = p;
    pcre2_match_data_free_8(w->data8);
    pcre2_match_data_free_32(w->data32);
    pcre2_match_context_free_8(w->context8);
    pcre2_match_context_free_32(w->context32);
    pcre2_jit_stack_free_8(w->stack8);
    free(w->wide);
    free(w);
}

/* Latin-1 case folding over ASCII classes: 0xE0..0xFE <-> 0xC0..0xDE but for 0xD7 and 0xF7. The
 * tables begin with 256 bytes that lower and 256 that flip the case. */
static const uint8_t *latin1(const uint8_t *made)
{
    uint8_t *t = (uint8_t *)(uintptr_t)made;
    for (unsigned c = 0xc0; c <= 0xde; c++) {
        if (c == 0xd7)
            continue;
        t[c] = (uint8_t)(c + 0x20);
        t[256 + c] = (uint8_t)(c + 0x20);
        t[256 + c + 0x20] = (uint8_t)c;
    }
    return t;
}

static void init(void)
{
    pthread_key_create(&workspace_key, workspace_free);
    tables8 = latin1(pcre2_maketables_8(NULL));
    tables32 = latin1(pcre2_maketables_32(NULL));
}

static _Thread_local struct workspace *mine;

static struct workspace *make_workspace(void)
{
    pthread_once(&once, init);
    struct workspace *w = xcalloc(1, sizeof *w);
    w->data8 = pcre2_match_data_create_8(REGEX_GROUPS, NULL);
    w->data32 = pcre2_match_data_create_32(REGEX_GROUPS, NULL);
    w->context8 = pcre2_match_context_create_8(NULL);
    w->context32 = pcre2_match_context_create_32(NULL);
    w->stack8 = pcre2_jit_stack_create_8(JIT_STACK_START, JIT_STACK_MAX, NULL);
    if (!w->data8 || !w->data32 || !w->context8 || !w->context32)
        abort();
    if (w->stack8)
        pcre2_jit_stack_assign_8(w->context8, NULL, w->stack8);
    pcre2_set_heap_limit_8(w->context8, HEAP_LIMIT_KIB);
    pcre2_set_heap_limit_32(w->context32, HEAP_LIMIT_KIB);
    pthread_setspecific(workspace_key, w);
    return mine = w;
}

static struct workspace *workspace(void)
{
    return mine ? mine : make_workspace();
}

void regex_tighten(unsigned divisor)
{
    workspace()->divisor = divisor;
}

static uint32_t limit_of(const struct regex *r, const struct workspace *w)
{
    return w->divisor ? r->match_limit / w->divisor : r->match_limit;
}

unsigned long regex_limit_hits(void)
{
    return workspace()->limit_hits;
}

bool regex_is_led(const struct regex *r)
{
    return atomic_load_explicit(&r->automaton, memory_order_acquire) && !r->no_automaton;
}

static void release(void *p)
{
    struct regex *r = p;
    pcre2_code_free_8(r->code8);
    pcre2_code_free_8(r->limited8);
    pcre2_code_free_32(r->code32);
    automaton_free(r->automaton);
    words_free(r->words);
    pthread_mutex_destroy(&r->lock);
}

struct regex *regex_new(struct arena *a, struct span text, struct span mods, struct err *e)
{
    if (!text.p) {
        err_set(e, "no regular expression");
        return NULL;
    }
    struct regex *r = ARENA_NEW(a, struct regex);
    r->pattern = pattern_pcre(a, text, mods);
    r->bound = span_search(r->pattern, SPAN("\\G")) != SIZE_MAX;
    r->no_automaton = r->bound;
    pthread_mutex_init(&r->lock, NULL);
    regex_set_limits(r, 0, 0);
    arena_defer(a, release, r);
    return r;
}

struct regex *regex_new_delimited(struct arena *a, struct span text, struct err *e)
{
    struct span pattern, mods;
    if (pattern_split(text, &pattern, &mods, e) != 0)
        return NULL;
    return regex_new(a, pattern, mods, e);
}

bool regex_is_bound(const struct regex *r)
{
    return r->bound;
}

void regex_set_brief(struct regex *r)
{
    r->brief = true;
    r->no_automaton = true;
}

void regex_set_limits(struct regex *r, uint32_t match, uint32_t depth)
{
    r->match_limit = match ? match : REGEX_MATCH_LIMIT;
    r->depth_limit = depth ? depth : REGEX_DEPTH_LIMIT;
}

static void explain(struct regex *r, int code, size_t at)
{
    uint8_t text[128] = "";
    pcre2_get_error_message_8(code, text, sizeof text);
    snprintf(r->why, sizeof r->why, "%s (at byte %zu)", (char *)text, at);
}

static enum state compile32(struct regex *r)
{
    uint32_t *wide = xmalloc((r->pattern.n + 1) * sizeof *wide);
    for (size_t i = 0; i < r->pattern.n; i++)
        wide[i] = (unsigned char)r->pattern.p[i];
    pcre2_compile_context_32 *cc = pcre2_compile_context_create_32(NULL);
    pcre2_set_newline_32(cc, PCRE2_NEWLINE_LF);
    pcre2_set_character_tables_32(cc, tables32);
    int code;
    size_t at;
    r->code32 =
        pcre2_compile_32(wide, r->pattern.n, PCRE2_NEVER_UTF | PCRE2_NEVER_UCP, &code, &at, cc);
    pcre2_compile_context_free_32(cc);
    free(wide);
    if (r->code32)
        return READY_32;
    explain(r, code, at);
    return BROKEN;
}

static pcre2_code_8 *compile8(struct span pattern, uint32_t options, int *code, size_t *at)
{
    pcre2_compile_context_8 *cc = pcre2_compile_context_create_8(NULL);
    pcre2_set_newline_8(cc, PCRE2_NEWLINE_LF);
    pcre2_set_character_tables_8(cc, tables8);
    pcre2_code_8 *made = pcre2_compile_8((const uint8_t *)pattern.p, pattern.n,
                                         PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | options, code, at, cc);
    pcre2_compile_context_free_8(cc);
    return made;
}

/* As it is; or with subroutines, when it is too large; or by the 32-bit library. */
static pcre2_code_8 *compile_factored(struct span pattern, uint32_t options)
{
    int code;
    size_t at;
    struct arena *scratch = arena_new(0);
    struct span small = pattern_factor(scratch, pattern);
    pcre2_code_8 *made = small.p ? compile8(small, options, &code, &at) : NULL;
    arena_free(scratch);
    return made;
}

static enum state compile(struct regex *r)
{
    int code = PCRE2_ERROR_PATTERN_TOO_LARGE;
    size_t at;
    if (r->pattern.n <= FACTOR_FIRST)
        r->code8 = compile8(r->pattern, 0, &code, &at);
    if (r->code8) {
        if (r->brief)
            return READY_8;
        r->words = words_new(r->pattern);
        (void)stretch_of(r->pattern, &r->stretch);
        return READY_8;
    }
    if (code != PCRE2_ERROR_PATTERN_TOO_LARGE) {
        explain(r, code, at);
        return BROKEN;
    }
    r->code8 = compile_factored(r->pattern, 0);
    r->factored = r->code8 != NULL;
    if (!r->code8 && r->pattern.n > FACTOR_FIRST)
        r->code8 = compile8(r->pattern, 0, &code, &at);
    return r->code8 ? READY_8 : compile32(r);
}

/* The code that heeds the ends of windows, which is the slower one elsewhere. NULL: there is none.
 */
static pcre2_code_8 *limited(struct regex *r)
{
    pcre2_code_8 *made = atomic_load_explicit(&r->limited8, memory_order_acquire);
    if (made || r->no_limited)
        return made;
    int code;
    size_t at;
    pthread_mutex_lock(&r->lock);
    made = r->limited8;
    if (!made && !r->no_limited) {
        made = r->factored ? compile_factored(r->pattern, PCRE2_USE_OFFSET_LIMIT)
                           : compile8(r->pattern, PCRE2_USE_OFFSET_LIMIT, &code, &at);
        if (made && pcre2_jit_compile_8(made, PCRE2_JIT_COMPLETE) != 0) {
            pcre2_code_free_8(made);
            made = NULL;
        }
        r->no_limited = made == NULL;
        atomic_store_explicit(&r->limited8, made, memory_order_release);
    }
    pthread_mutex_unlock(&r->lock);
    return made;
}

static bool giant(const struct regex *r)
{
    return r->pattern.n > JIT_AT_ONCE;
}

static enum state ready(const struct regex *cr)
{
    struct regex *r = (struct regex *)(uintptr_t)cr;
    enum state s = atomic_load_explicit(&r->state, memory_order_acquire);
    if (s != FRESH)
        return s;
    workspace(); /* the tables */
    pthread_mutex_lock(&r->lock);
    if ((s = atomic_load_explicit(&r->state, memory_order_relaxed)) == FRESH) {
        s = compile(r);
        if (s == READY_8 && !r->brief && (r->factored || !giant(r)))
            r->jit = pcre2_jit_compile_8(r->code8, PCRE2_JIT_COMPLETE) == 0;
        atomic_store_explicit(&r->state, s, memory_order_release);
    }
    pthread_mutex_unlock(&r->lock);
    return s;
}

/* NULL: there is none. */
static struct automaton *make_automaton(struct regex *r)
{
    pthread_mutex_lock(&r->lock);
    if (!r->automaton && !r->no_automaton) {
        struct automaton *m = automaton_new(r->pattern);
        r->no_automaton = m == NULL;
        atomic_store_explicit(&r->automaton, m, memory_order_release);
    }
    pthread_mutex_unlock(&r->lock);
    return r->no_automaton ? NULL : r->automaton;
}

void regex_warm(const struct regex *cr)
{
    struct regex *r = (struct regex *)(uintptr_t)cr;
    if (ready(r) != BROKEN && giant(r))
        (void)make_automaton(r);
}

int regex_check(const struct regex *r, struct err *e)
{
    return ready(r) == BROKEN ? err_set(e, "%s", r->why) : 0;
}

static void fill(struct regex_match *m, const size_t *ovector, int count)
{
    if (!m)
        return;
    m->start = ovector[0];
    m->end = ovector[1];
    for (int i = 0; i < REGEX_GROUPS; i++) {
        bool set = i < count;
        m->group[i].start = set ? ovector[2 * i] : SIZE_MAX;
        m->group[i].end = set ? ovector[2 * i + 1] : SIZE_MAX;
    }
}

static int outcome(struct workspace *w, int rc)
{
    if (rc == PCRE2_ERROR_NOMATCH)
        return 0;
    if (rc >= 0)
        return 1;
    w->limit_hits++;
    return -1;
}

/* How code is run: without machine code, and only where it is told to begin, or not. */
static const uint32_t HOW_JIT = 0, HOW_SLOWLY = PCRE2_NO_JIT,
                      HOW_THERE = PCRE2_NO_JIT | PCRE2_ANCHORED;

/* Matches that begin in `at`; its end counts only for limited8, PCRE2_UNSET else. */
static int exec8(const struct regex *r, const pcre2_code_8 *code, uint32_t how, struct workspace *w,
                 struct span s, struct window at, struct regex_match *m)
{
    pcre2_set_match_limit_8(w->context8, limit_of(r, w));
    pcre2_set_depth_limit_8(w->context8, r->depth_limit);
    pcre2_set_offset_limit_8(w->context8, at.last);
    const uint8_t *p = (const uint8_t *)(s.p ? s.p : "");
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (how == HOW_JIT)
        rc = pcre2_jit_match_8(code, p, s.n, at.first, 0, w->data8, w->context8);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match_8(code, p, s.n, at.first, how | PCRE2_NO_JIT, w->data8, w->context8);
    if (rc >= 0)
        fill(m, pcre2_get_ovector_pointer_8(w->data8), rc ? rc : REGEX_GROUPS);
    return outcome(w, rc);
}

static int exec32(struct regex *r, uint32_t how, struct workspace *w, struct span s, size_t from,
                  struct regex_match *m)
{
    if (s.n + 1 > w->wide_cap) {
        w->wide_cap = s.n + 4096;
        w->wide = xrealloc(w->wide, w->wide_cap * sizeof *w->wide);
    }
    for (size_t i = 0; i < s.n; i++)
        w->wide[i] = (unsigned char)s.p[i];
    pcre2_set_match_limit_32(w->context32, limit_of(r, w));
    pcre2_set_depth_limit_32(w->context32, r->depth_limit);
    int rc =
        pcre2_match_32(r->code32, w->wide, s.n, from, how | PCRE2_NO_JIT, w->data32, w->context32);
    if (rc >= 0)
        fill(m, pcre2_get_ovector_pointer_32(w->data32), rc ? rc : REGEX_GROUPS);
    return outcome(w, rc);
}

/* The giants get machine code only when they turn out to be used. */
static void maybe_jit(struct regex *r)
{
    if (atomic_fetch_add_explicit(&r->uses, 1, memory_order_relaxed) != JIT_AFTER_USES)
        return;
    pthread_mutex_lock(&r->lock);
    r->jit = pcre2_jit_compile_8(r->code8, PCRE2_JIT_COMPLETE) == 0;
    pthread_mutex_unlock(&r->lock);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The automaton that the pattern deserves after a try in vain. */
static void in_vain(struct regex *r, size_t bytes, int64_t ns)
{
    ns -= AUTOMATON_NS_A_TRY + (int64_t)bytes * AUTOMATON_NS_A_BYTE;
    unsigned tries = atomic_fetch_add_explicit(&r->vain, 1, memory_order_relaxed) + 1;
    ns *= tries > VAIN_SOON ? VAIN_SAMPLE : 1;
    int64_t slow = atomic_load_explicit(&r->slow, memory_order_relaxed) + ns;
    slow = slow < -VAIN_MUCH_NS ? -VAIN_MUCH_NS : slow;
    atomic_store_explicit(&r->slow, slow, memory_order_relaxed);
    if (slow > VAIN_MUCH_NS || (tries == VAIN_SOON && slow > VAIN_SOON_NS))
        make_automaton(r);
}

static bool is_timed(const struct regex *r)
{
    unsigned tries = atomic_load_explicit(&r->vain, memory_order_relaxed);
    return tries < VAIN_SOON || tries % VAIN_SAMPLE == 0;
}

static int try(struct regex *r, struct workspace *w, struct span subject, size_t from,
               struct regex_match *m)
{
    if (r->state == READY_32)
        return exec32(r, HOW_SLOWLY, w, subject, from, m);
    if (!r->jit && giant(r) && r->uses <= JIT_AFTER_USES)
        maybe_jit(r);
    return exec8(r, r->code8, r->jit ? HOW_JIT : HOW_SLOWLY, w, subject,
                 (struct window){from, PCRE2_UNSET}, m);
}

static int try_words(const struct words *w, struct span subject, size_t from, struct regex_match *m)
{
    size_t found[2];
    if (!words_find(w, subject, from, &found[0], &found[1]))
        return 0;
    fill(m, found, 1);
    return 1;
}

/* Matches that begin in the window, or also behind it: at->last is then the end. Without the code
 * for windows. */
static int try_behind(struct regex *r, struct workspace *w, struct span subject, struct window *at,
                      struct regex_match *m)
{
    bool there = at->first == at->last;
    uint32_t how = there ? HOW_THERE : r->jit ? HOW_JIT : HOW_SLOWLY;
    if (!there)
        at->last = subject.n;
    if (r->state == READY_32)
        return exec32(r, how, w, subject, at->first, m);
    return exec8(r, r->code8, how, w, subject, (struct window){at->first, PCRE2_UNSET}, m);
}

/* The same, and with the code for windows once it is worth it. */
static int try_window(struct regex *r, struct workspace *w, struct span subject, struct window *at,
                      struct regex_match *m)
{
    bool rarely =
        atomic_load_explicit(&r->unlimited, memory_order_relaxed) < (int64_t)LIMITED_AFTER_NS;
    const pcre2_code_8 *code = rarely || r->state == READY_32 ? NULL : limited(r);
    if (code)
        return exec8(r, code, HOW_JIT, w, subject, *at, m);
    if (!rarely)
        return try_behind(r, w, subject, at, m);
    int64_t start = now_ns();
    int rc = try_behind(r, w, subject, at, m);
    atomic_fetch_add_explicit(&r->unlimited, now_ns() - start, memory_order_relaxed);
    if (rc >= 0 || r->state == READY_32 || !(code = limited(r)))
        return rc;
    w->limit_hits--; /* machine code gets further within the same limits */
    return exec8(r, code, HOW_JIT, w, subject, *at, m);
}

/* Tries only where the automaton says that a match may begin; only then is it made ready. */
static int try_windows(struct regex *r, struct automaton *a, struct workspace *w,
                       struct span subject, size_t from, struct regex_match *m)
{
    struct window at;
    int rc = 0;
    int64_t waste = -(int64_t)(subject.n - from) / 3;
    for (int i = 0; rc == 0 && from <= subject.n && automaton_next(a, subject, from, &at); i++) {
        if (ready(r) == BROKEN)
            return 0;
        if (i == CHANCES)
            return try(r, w, subject, at.first, m);
        rc = try_window(r, w, subject, &at, m);
        waste += (int64_t)(at.last - at.first) + TRY_BYTES;
        from = at.last + 1;
    }
    if (atomic_fetch_add_explicit(&r->waste, waste, memory_order_relaxed) > WASTE)
        r->no_automaton = true;
    return rc;
}

int regex_exec(const struct regex *cr, struct span subject, size_t from, struct regex_match *m)
{
    struct regex *r = (struct regex *)(uintptr_t)cr;
    struct workspace *w = workspace();
    struct automaton *a = atomic_load_explicit(&r->automaton, memory_order_acquire);
    if (!a && !r->no_automaton && giant(r))
        a = make_automaton(r);
    bool led = a && !r->no_automaton;
    enum state s = led ? atomic_load_explicit(&r->state, memory_order_acquire) : ready(r);
    if (s == BROKEN || from > subject.n)
        return 0;
    if (s == READY_8 && r->words)
        return try_words(r->words, subject, from, m);
    if (s == READY_8 && r->stretch.n && !stretch_stands(&r->stretch, subject, from))
        return 0;
    if (led)
        return try_windows(r, a, w, subject, from, m);
    if (r->no_automaton)
        return try(r, w, subject, from, m);
    if (!is_timed(r)) {
        int rc = try(r, w, subject, from, m);
        if (rc == 0)
            atomic_fetch_add_explicit(&r->vain, 1, memory_order_relaxed);
        return rc;
    }
    int64_t start = now_ns();
    int rc = try(r, w, subject, from, m);
    if (rc == 0)
        in_vain(r, subject.n - from, now_ns() - start);
    return rc;
}

bool regex_counts(const struct regex *r)
{
    return ready(r) == READY_8 && r->words;
}

size_t regex_count(const struct regex *r, struct span subject, size_t from, size_t most)
{
    return words_count(r->words, subject, from, most);
}

unsigned regex_named_group(const struct regex *r, size_t i, struct span *name)
{
    if (ready(r) != READY_8)
        return 0;
    uint32_t count = 0, size = 0;
    const uint8_t *table = NULL;
    pcre2_pattern_info_8(r->code8, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info_8(r->code8, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info_8(r->code8, PCRE2_INFO_NAMETABLE, &table);
    if (i >= count)
        return 0;
    const uint8_t *entry = table + i * size;
    *name = span_str((const char *)entry + 2);
    return (unsigned)entry[0] << 8 | entry[1];
}
