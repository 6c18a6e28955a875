/* Candidate filters of all subjects, and the refuter: compiled by all cores, kept in a file under
 * the hash of what they are made of.
 *
 * The file is written beside its place and renamed, so that readers see a whole one or none. A file
 * that is damaged, or of other libraries or another processor, is made anew. */
#include "rules/ruleset_private.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/parallel.h"
#include "pattern/automaton.h"
#include "pattern/pattern.h"
#include "pattern/tree.h"

static const char magic[] = "gatehouse rules 50\n";
enum { DIGEST = 32 };

/* --- the name --- */

static void add(EVP_MD_CTX *ctx, struct span s)
{
    EVP_DigestUpdate(ctx, s.p ? s.p : "", s.n);
    EVP_DigestUpdate(ctx, "", 1);
}

/* What a compiled filter depends on besides the rules. */
static void add_platform(EVP_MD_CTX *ctx)
{
    const uint32_t order = 0x01020304;
    add(ctx, span_str(magic));
    add(ctx, span_str(GATEHOUSE_VERSION));
    add(ctx, span_of((const char *)&order, sizeof order));
}

/* Definitions of the rules, and which of them run. */
static void name_set(struct ruleset *rs)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    add_platform(ctx);
    for (size_t i = 0; i < rs->nrules; i++) {
        const struct rule_def *d = rs->rules[i].def;
        char head[64];
        int n = snprintf(head, sizeof head, "%d %d %.17g", (int)d->kind, (int)rs->rules[i].state,
                         rs->rules[i].score);
        add(ctx, span_of(head, (size_t)n));
        add(ctx, span_str(d->name));
        add(ctx, d->text);
        add(ctx, d->pattern);
        add(ctx, d->tflags_text);
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_DigestFinal_ex(ctx, digest, NULL);
    EVP_MD_CTX_free(ctx);
    for (size_t i = 0; i < DIGEST; i++)
        snprintf(rs->hash + 2 * i, 3, "%02x", digest[i]);
}

/* --- compiling --- */

static bool mime_special(const struct subject *s, const struct rule *r)
{
    return s->kind == SUBJECT_MIMEHEADER &&
           (r->negate || r->multiple || r->def->range_to || r->def->if_unset.n ||
            r->def->is_template || r->def->captures);
}

static bool filterable(const struct subject *s, const struct rule *r)
{
    if (mime_special(s, r))
        return false;
    return !r->def->exists && !(r->negate && s->kind == SUBJECT_HEADER) &&
           (r->regex || r->def->is_template);
}

/* A template's captured part may be anything. */
static struct span filter_pattern(struct arena *a, const struct rule *r)
{
    struct span p = pattern_pcre(a, r->def->pattern, r->def->mods);
    if (!r->def->is_template)
        return p;
    struct buf b = {0};
    for (size_t at; (at = span_search(p, SPAN("%\\{"))) != SIZE_MAX;) {
        size_t end = span_search(span_from(p, at), SPAN("\\}"));
        if (end == SIZE_MAX)
            break;
        buf_add(&b, span_sub(p, 0, at));
        buf_str(&b, "[\\s\\S]*");
        p = span_from(p, at + end + 2);
    }
    buf_add(&b, p);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

/* Shorter ones match too often for a guard, or are tried faster than it. */
enum { GUARDED_SHORTEST = 20 };

static bool worth_guarding(const struct subject *s, const struct rule *r)
{
    if (s->kind == SUBJECT_HEADER || s->kind == SUBJECT_MIMEHEADER || !filterable(s, r) ||
        r->def->is_template || r->nosubject)
        return false;
    struct arena *scratch = arena_new(0);
    struct byteset_table sets;
    byteset_table_init(&sets, scratch);
    const struct tree *t = tree_parse(&sets, scratch, filter_pattern(scratch, r));
    bool worth = t && tree_shortest(t) >= GUARDED_SHORTEST;
    arena_free(scratch);
    return worth;
}

struct job {
    struct ruleset *rs;
    size_t *order;         /* of subjects: the longest work first, so that all cores end together */
    struct arena **arenas; /* by subject: what its filter lives in */
    _Atomic size_t next;
};

static void build_one(struct subject *s, struct arena *a)
{
    struct arena *scratch = arena_new(0);
    struct prefilter_pattern *p = arena_array(scratch, s->nrules + 1, sizeof *p);
    size_t n = 0;
    for (size_t i = 0; i < s->nrules; i++)
        if (filterable(s, s->rules[i]))
            p[n++] =
                (struct prefilter_pattern){s->rules[i]->index, filter_pattern(scratch, s->rules[i]),
                                           worth_guarding(s, s->rules[i])};
    if (n)
        s->prefilter = prefilter_build(a, p, n);
    arena_free(scratch);
}

static void work(void *ctx)
{
    struct job *j = ctx;
    size_t i;
    while ((i = atomic_fetch_add(&j->next, 1)) < j->rs->nsubjects) {
        i = j->order[i];
        j->arenas[i] = arena_new(0);
        build_one(&j->rs->subjects[i], j->arenas[i]);
    }
}

static int by_rules(const void *x, const void *y, void *ctx)
{
    const struct subject *subjects = ctx;
    size_t a = subjects[*(const size_t *)x].nrules, b = subjects[*(const size_t *)y].nrules;
    return a < b ? 1 : a > b ? -1 : 0;
}

static void free_arena(void *p)
{
    arena_free(p);
}

static void build_all(struct ruleset *rs, unsigned threads)
{
    struct job j = {.rs = rs};
    j.arenas = arena_array(rs->arena, rs->nsubjects + 1, sizeof *j.arenas);
    j.order = arena_array(rs->arena, rs->nsubjects + 1, sizeof *j.order);
    for (size_t i = 0; i < rs->nsubjects; i++)
        j.order[i] = i;
    qsort_r(j.order, rs->nsubjects, sizeof *j.order, by_rules, rs->subjects);
    parallel(threads, work, &j);
    for (size_t i = 0; i < rs->nsubjects; i++)
        arena_defer(rs->arena, free_arena, j.arenas[i]);
}

/* --- refuting --- */

static void add_program(struct refuter_maker *m, const struct rule *r)
{
    struct arena *scratch = arena_new(0);
    if (r->regex || r->def->is_template)
        refuter_add(m, r->index, filter_pattern(scratch, r));
    arena_free(scratch);
}

/* Programs of rules that are tried together lie together. */
static void make_refuter(struct ruleset *rs)
{
    struct refuter_maker *m = refuter_maker_new(rs->nrules);
    for (size_t i = 0; i < rs->nsubjects; i++) {
        const struct subject *s = &rs->subjects[i];
        for (size_t k = 0; k < s->nrules; k++)
            add_program(m, s->rules[k]);
    }
    rs->refuter = refuter_finish(m, rs->arena);
}

/* --- the file --- */

static void digest_of(struct span s, unsigned char out[DIGEST])
{
    unsigned char md[EVP_MAX_MD_SIZE];
    EVP_Digest(s.p ? s.p : "", s.n, md, NULL, EVP_sha256(), NULL);
    memcpy(out, md, DIGEST);
}

static const char *cache_path(struct ruleset *rs, const char *dir)
{
    return arena_printf(rs->arena, "%s/rules-%.32s", dir, rs->hash).p;
}

static bool write_whole(int fd, struct span s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n <= 0)
            return false;
        s = span_from(s, (size_t)n);
    }
    return true;
}

/* Failure to write costs the next start some time and nothing else. */
static void save_all(struct ruleset *rs, const char *path)
{
    struct buf body = {0}, file = {0};
    buf_lstr(&body, span_str(rs->hash));
    buf_u64(&body, rs->nsubjects);
    for (size_t i = 0; i < rs->nsubjects; i++) {
        buf_u8(&body, rs->subjects[i].prefilter != NULL);
        if (rs->subjects[i].prefilter)
            prefilter_save(rs->subjects[i].prefilter, &body);
    }
    refuter_save(rs->refuter, &body);
    unsigned char digest[DIGEST];
    digest_of(buf_span(&body), digest);
    buf_str(&file, magic);
    buf_add(&file, span_of((const char *)digest, DIGEST));
    buf_add(&file, buf_span(&body));
    const char *temp = arena_printf(rs->arena, "%s.%ld.tmp", path, (long)getpid()).p;
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0) {
        bool whole = write_whole(fd, buf_span(&file)) && fsync(fd) == 0;
        close(fd);
        if (!whole || rename(temp, path) != 0)
            unlink(temp);
    }
    buf_free(&body);
    buf_free(&file);
}

static bool load_subjects(struct ruleset *rs, struct cursor *in)
{
    if (!span_eq(cursor_lstr(in), span_str(rs->hash)) || cursor_u64(in) != rs->nsubjects)
        return false;
    for (size_t i = 0; i < rs->nsubjects && !in->failed; i++) {
        struct subject *s = &rs->subjects[i];
        if (cursor_u8(in) && !(s->prefilter = prefilter_load(rs->arena, rs->nrules, in)))
            return false;
    }
    rs->refuter = refuter_load(rs->arena, rs->nrules, in);
    return rs->refuter && cursor_ok(in);
}

static bool load_file(struct ruleset *rs, struct span file)
{
    unsigned char digest[DIGEST];
    struct cursor in = cursor_over(file);
    struct span head = cursor_bytes(&in, sizeof magic - 1), sum = cursor_bytes(&in, DIGEST);
    if (in.failed || !span_eq(head, span_str(magic)))
        return false;
    digest_of(in.rest, digest);
    return memcmp(digest, sum.p, DIGEST) == 0 && load_subjects(rs, &in);
}

static bool load_all(struct ruleset *rs, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    bool ok = false;
    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        size_t n = (size_t)st.st_size;
        void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p != MAP_FAILED) {
            ok = load_file(rs, span_of(p, n));
            munmap(p, n);
        }
    }
    close(fd);
    for (size_t i = 0; !ok && i < rs->nsubjects; i++)
        rs->subjects[i].prefilter = NULL;
    return ok;
}

/* --- all --- */

static void note_always(struct ruleset *rs, struct subject *s)
{
    size_t n = 0;
    const uint32_t *ids = s->prefilter ? prefilter_always(s->prefilter, &n) : NULL;
    for (size_t i = 0; i < s->nrules; i++) {
        if (mime_special(s, s->rules[i]))
            *ARENA_PUSH(rs->arena, s->special, s->nspecial, s->special_cap) = s->rules[i];
        else if (!filterable(s, s->rules[i]))
            *ARENA_PUSH(rs->arena, s->always, s->nalways, s->always_cap) = s->rules[i];
    }
    for (size_t i = 0; i < n; i++)
        *ARENA_PUSH(rs->arena, s->always, s->nalways, s->always_cap) = &rs->rules[ids[i]];
}

/* --- guards --- */

static void free_automaton(void *p)
{
    automaton_free(p);
}

static void build_guard(struct ruleset *rs, struct subject *s)
{
    struct arena *scratch = arena_new(0);
    struct buf all = {0};
    for (size_t i = 0; i < s->nguarded; i++)
        buf_printf(&all, "%s(?:%.*s)", i ? "|" : "",
                   SPAN_ARG(filter_pattern(scratch, s->guarded[i])));
    s->guard = automaton_new(buf_span(&all));
    buf_free(&all);
    arena_free(scratch);
    if (s->guard)
        arena_defer(rs->arena, free_automaton, s->guard);
}

/* Takes the long ones out of what is always tried, when there are several. */
static void guard(struct ruleset *rs, struct subject *s)
{
    for (size_t i = 0; i < s->nalways; i++)
        if (worth_guarding(s, s->always[i]))
            *ARENA_PUSH(rs->arena, s->guarded, s->nguarded, s->guarded_cap) = s->always[i];
    if (s->nguarded > 1)
        build_guard(rs, s);
    if (!s->guard) {
        s->nguarded = 0;
        return;
    }
    size_t kept = 0, g = 0;
    for (size_t i = 0; i < s->nalways; i++) {
        if (g < s->nguarded && s->guarded[g] == s->always[i])
            g++;
        else
            s->always[kept++] = s->always[i];
    }
    s->nalways = kept;
}

/* --- trials --- */

static enum trial_kind trial_kind(const struct subject *s, const struct rule *r)
{
    if (r->def->exists)
        return TRIAL_EXISTS;
    if (r->negate && s->kind == SUBJECT_HEADER)
        return TRIAL_NEGATED;
    return r->def->is_template ? TRIAL_TEMPLATE : TRIAL_PATTERN;
}

void ruleset_make_trials(struct ruleset *rs, struct subject *s)
{
    s->trials = arena_array(rs->arena, s->nalways + 1, sizeof *s->trials);
    for (size_t i = 0; i < s->nalways; i++)
        s->trials[i] =
            (struct trial){s->always[i], s->always[i]->index, trial_kind(s, s->always[i])};
}

void ruleset_compile_filters(struct ruleset *rs, const struct ruleset_options *o)
{
    name_set(rs);
    const char *path = o->cache_dir ? cache_path(rs, o->cache_dir) : NULL;
    if (!path || !load_all(rs, path)) {
        build_all(rs, o->threads);
        make_refuter(rs);
        if (path)
            save_all(rs, path);
    }
    for (size_t i = 0; i < rs->nsubjects; i++) {
        note_always(rs, &rs->subjects[i]);
        guard(rs, &rs->subjects[i]);
        ruleset_make_trials(rs, &rs->subjects[i]);
        rs->subjects[i].refuter = rs->refuter;
    }
}
