#include "auth/signer.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/keyfile.h"
#include "auth/signature.h"
#include "base/log.h"
#include "base/xalloc.h"

struct signing_key {
    struct span domain; /* of the entry, lower case, without the dot of ".example.org" */
    const char *selector;
    EVP_PKEY *pkey;
    enum key_type type;
};

struct signer {
    struct arena *arena;
    struct auth_digests digests;
    struct signing_key *v;
    size_t n, cap;
    signer_problem_fn *problem;
    void *problem_ctx;
};

/* --- files --- */

bool signer_name_ok(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && !(s.p[i] && strchr(".-_", s.p[i])))
            return false;
    return s.n > 0 && s.n < 200 && s.p[0] != '.';
}

EVP_PKEY *signer_read_key(const char *path, struct err *e)
{
    FILE *f = keyfile_open(path, e);
    if (!f)
        return NULL;
    EVP_PKEY *k = PEM_read_PrivateKey(f, NULL, NULL, "");
    fclose(f);
    ERR_clear_error();
    int type = k ? EVP_PKEY_get_base_id(k) : 0;
    if (!k)
        err_set(e, "%s holds no private key without passphrase in PEM", path);
    else if (type != EVP_PKEY_RSA && type != EVP_PKEY_ED25519)
        err_set(e, "%s is neither an RSA nor an Ed25519 key", path);
    else if (type == EVP_PKEY_RSA && EVP_PKEY_get_bits(k) < SIGNER_RSA_BITS_MIN)
        err_set(e, "%s is a key of %d bits; receivers want %d or more", path, EVP_PKEY_get_bits(k),
                SIGNER_RSA_BITS_MIN);
    else
        return k;
    EVP_PKEY_free(k);
    return NULL;
}

int signer_read_active(const char *dir, struct arena *a, struct strings *out, struct err *e)
{
    char *path = xasprintf("%s/active", dir), line[512];
    FILE *f = fopen(path, "re");
    *out = (struct strings){0};
    if (!f) {
        err_sys(e, "can't open %s", path);
        free(path);
        return -1;
    }
    out->v = arena_array(a, SIGNER_ACTIVE_MAX, sizeof *out->v);
    while (out->n < SIGNER_ACTIVE_MAX && fgets(line, sizeof line, f)) {
        struct span s = span_trim(span_str(line));
        if (s.n == 0 || s.p[0] == '#')
            continue;
        if (signer_name_ok(s))
            out->v[out->n++] = arena_cstr(a, s);
    }
    fclose(f);
    int n = (int)out->n;
    if (n == 0)
        n = err_set(e, "%s names no selector", path);
    free(path);
    return n;
}

/* --- the table of keys --- */

static void tell(struct signer *s, const char *text)
{
    if (s->problem)
        s->problem(s->problem_ctx, text);
    else
        log_event(LOG_FAULT, NULL, "dkim-key-unusable", F_STR("why", text));
}

static void add_key(struct signer *s, struct span domain, const char *selector, const char *path)
{
    struct err e;
    for (size_t i = 0; i < s->n; i++)
        if (span_ieq(s->v[i].domain, domain) && strcmp(s->v[i].selector, selector) == 0)
            return; /* "example.org" and ".example.org" */
    EVP_PKEY *k = s->n < SIGNER_KEYS_MAX ? signer_read_key(path, &e) : NULL;
    if (!k) {
        tell(s, s->n < SIGNER_KEYS_MAX ? e.text : "there are too many keys");
        return;
    }
    bool rsa = EVP_PKEY_get_base_id(k) == EVP_PKEY_RSA;
    *ARENA_PUSH(s->arena, s->v, s->n, s->cap) =
        (struct signing_key){arena_lower(s->arena, domain), arena_strdup(s->arena, selector), k,
                             rsa ? KEY_RSA : KEY_ED25519};
}

static void add_domain(struct signer *s, const char *keys, struct span domain)
{
    struct err e;
    struct strings active;
    char *dir = xasprintf("%s/%.*s", keys, SPAN_ARG(domain));
    if (signer_read_active(dir, s->arena, &active, &e) < 0)
        tell(s, e.text);
    for (size_t i = 0; i < active.n; i++) {
        char *path = xasprintf("%s/%s.pem", dir, active.v[i]);
        add_key(s, domain, active.v[i], path);
        free(path);
    }
    free(dir);
}

static void add_entry(struct signer *s, const struct settings *set, struct span entry)
{
    struct span domain = span_word(&entry, " \t"), selector = span_word(&entry, " \t");
    struct span file = span_trim(entry);
    if (domain.n && domain.p[0] == '.')
        domain = span_from(domain, 1);
    domain = arena_lower(s->arena, domain);
    if (!signer_name_ok(domain) || (selector.n && (!signer_name_ok(selector) || file.n == 0)))
        tell(s, "dkim.sign holds DOMAIN, .DOMAIN, or DOMAIN SELECTOR FILE");
    else if (selector.n)
        add_key(s, domain, arena_cstr(s->arena, selector), arena_cstr(s->arena, file));
    else
        add_domain(s, set->dkim.keys, domain);
}

static bool has_domain(const struct signer *s, const char *domain)
{
    for (size_t i = 0; i < s->n; i++)
        if (span_ieq(s->v[i].domain, span_str(domain)))
            return true;
    return false;
}

struct signer *signer_open(const struct settings *set, signer_problem_fn *problem, void *ctx)
{
    struct signer *s = xcalloc(1, sizeof *s);
    s->arena = arena_new(0);
    s->problem = problem;
    s->problem_ctx = ctx;
    auth_digests_open(&s->digests);
    for (size_t i = 0; i < set->dkim.sign.n; i++)
        add_entry(s, set, span_str(set->dkim.sign.v[i]));
    if (set->arc.seal != ARC_SEAL_NEVER && set->arc.domain && !has_domain(s, set->arc.domain))
        add_entry(s, set, span_str(set->arc.domain));
    return s;
}

void signer_free(struct signer *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        EVP_PKEY_free(s->v[i].pkey);
    auth_digests_close(&s->digests);
    arena_free(s->arena);
    free(s);
}

size_t signer_keys(const struct signer *s)
{
    return s ? s->n : 0;
}

/* --- signatures --- */

static size_t sign_rsa(EVP_PKEY *k, const EVP_MD *md, const unsigned char *digest,
                       unsigned char *sig, size_t n)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k, NULL);
    bool fine = c && EVP_PKEY_sign_init(c) > 0 &&
                EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) > 0 &&
                EVP_PKEY_CTX_set_signature_md(c, md) > 0 &&
                EVP_PKEY_sign(c, sig, &n, digest, AUTH_HASH_SIZE) > 0;
    EVP_PKEY_CTX_free(c);
    return fine ? n : 0;
}

static size_t sign_ed25519(EVP_PKEY *k, const unsigned char *digest, unsigned char *sig, size_t n)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool fine = EVP_DigestSignInit(c, NULL, NULL, NULL, k) == 1 &&
                EVP_DigestSign(c, sig, &n, digest, AUTH_HASH_SIZE) == 1;
    EVP_MD_CTX_free(c);
    return fine ? n : 0;
}

static void add_base64(struct buf *b, struct span bytes)
{
    char *to = buf_room(b, bytes.n * 4 / 3 + 8);
    b->n +=
        (size_t)EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)bytes.p, (int)bytes.n);
}

/* A field under construction. Where its lines break is part of what is signed. */
struct draft {
    struct buf *out;
    size_t start, line; /* where the field and its last line begin */
};

static struct draft draft_new(struct buf *out, const char *name)
{
    struct draft d = {out, out->n, out->n};
    buf_str(out, name);
    buf_char(out, ':');
    return d;
}

static void break_line(struct draft *d)
{
    buf_str(d->out, "\n");
    d->line = d->out->n;
    buf_char(d->out, '\t');
}

/* " name=value;", on a new line when it does not fit on this one; lists break behind colons. */
static void add_tag(struct draft *d, const char *name, struct span value, const char *end)
{
    size_t n = strlen(name) + 1;
    if (d->out->n - d->line + n + value.n + 2 > SIGN_LINE)
        break_line(d);
    else
        buf_char(d->out, ' ');
    buf_printf(d->out, "%s=", name);
    while (value.n > SIGN_LINE - 4) {
        size_t at = span_rfind(span_sub(value, 0, SIGN_LINE - 8), ':');
        if (at == SIZE_MAX)
            break;
        buf_add(d->out, span_sub(value, 0, at + 1));
        value = span_from(value, at + 1);
        break_line(d);
    }
    buf_add(d->out, value);
    buf_str(d->out, end);
}

static void add_number(struct draft *d, const char *name, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    add_tag(d, name, span_str(text), ";");
}

/* Puts the base64 into b=, which is at `at`; folded, which the empty b= that was signed allows. Not
 * that of ARC: it is sealed as it stands, and ValiMail's suite wants it in one piece. */
static void fill_b(struct buf *out, size_t at, struct span b64, bool fold)
{
    struct buf tail = {0};
    buf_add(&tail, span_from(buf_span(out), at));
    out->n = at;
    size_t line = fold ? SIGN_LINE - strlen("b=") : b64.n;
    while (b64.n) {
        buf_add(out, span_sub(b64, 0, line));
        b64 = span_from(b64, line);
        buf_str(out, b64.n ? "\n\t" : "");
        line = SIGN_LINE;
    }
    buf_add(out, buf_span(&tail));
    buf_free(&tail);
}

/* Signs data followed by the field in d, whose empty b= is at `at`. */
static int finish_field(const struct signer *s, const struct signing_key *k, struct draft *d,
                        size_t at, struct span data, enum canon form)
{
    unsigned char digest[AUTH_HASH_SIZE], sig[SIGNATURE_B_MAX];
    struct buf text = {0}, b64 = {0};
    buf_add(&text, data);
    canon_field(&text, form, span_from(buf_span(d->out), d->start));
    EVP_Digest(text.p, text.n, digest, NULL, s->digests.md[AUTH_SHA256], NULL);
    size_t n = k->type == KEY_RSA
                   ? sign_rsa(k->pkey, s->digests.md[AUTH_SHA256], digest, sig, sizeof sig)
                   : sign_ed25519(k->pkey, digest, sig, sizeof sig);
    if (n) {
        add_base64(&b64, span_of((const char *)sig, n));
        fill_b(d->out, at, buf_span(&b64), at == d->out->n);
        buf_char(d->out, '\n');
    }
    buf_free(&text);
    buf_free(&b64);
    return n ? 0 : -1;
}

static struct span canon_text(enum canon head, enum canon body)
{
    bool h = head == CANON_RELAXED, b = body == CANON_RELAXED;
    return h   ? b ? SPAN("relaxed/relaxed") : SPAN("relaxed/simple")
             : b ? SPAN("simple/relaxed")
               : SPAN("simple/simple");
}

static struct span algorithm(const struct signing_key *k)
{
    return k->type == KEY_RSA ? SPAN("rsa-sha256") : SPAN("ed25519-sha256");
}

static int add_dkim(const struct signer *s, const struct signing_key *k,
                    const struct sign_request *r, uint64_t now, struct buf *out)
{
    struct draft d = draft_new(out, "DKIM-Signature");
    struct buf bh = {0};
    add_base64(&bh, r->bh);
    add_tag(&d, "v", SPAN("1"), ";");
    add_tag(&d, "a", algorithm(k), ";");
    add_tag(&d, "c", canon_text(r->head, r->body), ";");
    add_tag(&d, "d", r->domain, ";");
    add_tag(&d, "s", span_str(k->selector), ";");
    add_number(&d, "t", now);
    if (r->expire)
        add_number(&d, "x", now + r->expire);
    add_tag(&d, "h", r->names, ";");
    add_tag(&d, "bh", buf_span(&bh), ";");
    break_line(&d);
    buf_str(out, "b=");
    buf_free(&bh);
    return finish_field(s, k, &d, out->n, r->data, r->head);
}

/* --- ARC: tags in the order of the alphabet, as most sealers write them --- */

static int add_arc_message(const struct signer *s, const struct signing_key *k,
                           const struct sign_request *r, uint64_t now, struct buf *out)
{
    struct draft d = draft_new(out, "ARC-Message-Signature");
    struct buf bh = {0};
    add_base64(&bh, r->bh);
    add_tag(&d, "a", algorithm(k), ";");
    break_line(&d);
    buf_str(out, "b=");
    size_t at = out->n;
    buf_char(out, ';');
    add_tag(&d, "bh", buf_span(&bh), ";");
    add_tag(&d, "c", canon_text(r->head, r->body), ";");
    add_tag(&d, "d", r->domain, ";");
    add_tag(&d, "h", r->names, ";");
    add_number(&d, "i", r->instance);
    add_tag(&d, "s", span_str(k->selector), ";");
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)now);
    add_tag(&d, "t", span_str(text), "");
    buf_free(&bh);
    return finish_field(s, k, &d, at, r->data, r->head);
}

static int add_arc_seal(const struct signer *s, const struct signing_key *k,
                        const struct sign_request *r, uint64_t now, struct span data,
                        struct buf *out)
{
    struct draft d = draft_new(out, "ARC-Seal");
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)now);
    add_tag(&d, "a", algorithm(k), ";");
    break_line(&d);
    buf_str(out, "b=");
    size_t at = out->n;
    buf_char(out, ';');
    add_tag(&d, "cv", r->cv, ";");
    add_tag(&d, "d", r->domain, ";");
    add_number(&d, "i", r->instance);
    add_tag(&d, "s", span_str(k->selector), ";");
    add_tag(&d, "t", span_str(text), "");
    return finish_field(s, k, &d, at, data, CANON_RELAXED);
}

static void add_canon(struct buf *out, struct span field)
{
    canon_field(out, CANON_RELAXED, field);
    buf_str(out, "\r\n");
}

/* The seal stands on top, above the message signature, above the results. */
static int add_set(const struct signer *s, const struct signing_key *k,
                   const struct sign_request *r, uint64_t now, struct buf *out)
{
    struct buf results = {0}, message = {0}, seal = {0}, data = {0};
    buf_printf(&results, "ARC-Authentication-Results: i=%u; %.*s", r->instance,
               SPAN_ARG(r->results));
    int result = add_arc_message(s, k, r, now, &message);
    buf_add(&data, r->chain);
    add_canon(&data, buf_span(&results));
    add_canon(&data, span_sub(buf_span(&message), 0, message.n ? message.n - 1 : 0));
    if (result == 0)
        result = add_arc_seal(s, k, r, now, buf_span(&data), &seal);
    if (result == 0) {
        buf_add(out, buf_span(&seal));
        buf_add(out, buf_span(&message));
        buf_add(out, buf_span(&results));
        buf_char(out, '\n');
    }
    buf_free(&results);
    buf_free(&message);
    buf_free(&seal);
    buf_free(&data);
    return result;
}

/* --- requests: from a process that reads strangers' bytes --- */

static bool names_ok(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ';' || s.p[i] == '=')
            return false;
    return true;
}

/* Text of a field: printable or folded, so that it can't end the field. */
static bool text_ok(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool fold = c == '\n' && i + 1 < s.n && (s.p[i + 1] == ' ' || s.p[i + 1] == '\t');
        if (!fold && c != '\t' && (c < ' ' || c == 0x7f))
            return false;
    }
    return true;
}

static const char *wrong(const struct sign_request *r)
{
    if (!names_ok(r->names) || r->bh.n != AUTH_HASH_SIZE || r->head > CANON_RELAXED ||
        r->body > CANON_RELAXED)
        return "the request can't be read";
    if (r->kind == SIGN_DKIM)
        return NULL;
    bool cv = span_eq(r->cv, SPAN("none")) || span_eq(r->cv, SPAN("pass")) ||
              span_eq(r->cv, SPAN("fail"));
    return cv && r->instance >= 1 && r->instance <= ARC_INSTANCES_MAX && text_ok(r->results)
               ? NULL
               : "the request can't be read";
}

int signer_sign(const struct signer *s, const struct sign_request *r, uint64_t now,
                struct buf *fields, struct err *e)
{
    const char *why = wrong(r);
    size_t start = fields->n, made = 0;
    if (why)
        return err_set(e, "%s", why);
    for (size_t i = 0; i < s->n; i++) {
        const struct signing_key *k = &s->v[i];
        if (!span_ieq(k->domain, r->domain) || (r->kind == SIGN_ARC && k->type != KEY_RSA))
            continue; /* few read seals with other keys */
        int result =
            r->kind == SIGN_ARC ? add_set(s, k, r, now, fields) : add_dkim(s, k, r, now, fields);
        ERR_clear_error();
        if (result != 0) {
            fields->n = start;
            return err_set(e, "the key %s of %.*s does not sign", k->selector, SPAN_ARG(r->domain));
        }
        made++;
        if (r->kind == SIGN_ARC) /* one set an instance */
            break;
    }
    if (!made)
        return err_set(e, "there is no key for %.*s", SPAN_ARG(r->domain));
    return 0;
}

int signer_sign_own(const struct signer *s, const struct settings *set, struct span raw,
                    uint64_t now, struct buf *fields, struct err *e)
{
    struct sign_request r;
    struct buf made = {0};
    struct arena *a = s && s->n ? arena_new(0) : NULL;
    bool wanted = a && sign_wants_own(set, signable_own(&s->digests, raw, a), &r);
    int rc = wanted ? signer_sign(s, &r, now, &made, e) : 0;
    sign_fields_wire(fields, buf_span(&made));
    buf_free(&made);
    if (a)
        arena_free(a);
    return rc == 0 ? wanted : -1;
}
