#include "cli/dkim.h"

#include <getopt.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/signer.h"
#include "base/json.h"

const char cmd_dkim_help[] =
    "usage: gatehouse dkim [-c FILE] keygen [--type rsa|ed25519] [--bits N] [--selector S] DOMAIN\n"
    "       gatehouse dkim [-c FILE] rotate [--force] DOMAIN\n"
    "       gatehouse dkim [-c FILE] [--json] dns [DOMAIN...]\n"
    "\n"
    "Keys that sign mail of our users. keygen makes one (in dkim.keys, readable for its owner "
    "only)\n"
    "and prints the record to publish. rotate makes the next key and prints its record; called\n"
    "again, when the DNS has the record, it lets the new key sign; the record of the old one "
    "stays\n"
    "published until its mail has arrived. dns prints the records of all keys and says which are\n"
    "published. 'systemctl reload gatehouse' after a change.\n"
    "\n"
    "  --type TYPE     rsa (default), or ed25519, which not every receiver reads: beside an rsa "
    "key\n"
    "  --bits N        of an RSA key: 1024 to 4096 (default: 2048)\n"
    "  --selector S    its name (default: made from the date)\n"
    "  --force         the new key signs although its record was not found\n"
    "  --json          one JSON object a line\n"
    "\n"
    "exit status: 0 done, 1 a key that signs is not published as it should be, 64 usage, 75 the\n"
    "files can't be read or written, 78 settings can't be used\n"
    "\n"
    "example: gatehouse dkim keygen example.org\n";

struct query {
    const char *config, *selector;
    bool json, force, rsa;
    unsigned bits;
    const struct settings *set;
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, 'j'},
    {"force", no_argument, NULL, 'f'},
    {"type", required_argument, NULL, 't'},
    {"bits", required_argument, NULL, 'b'},
    {"selector", required_argument, NULL, 's'},
    {0},
};

static int take_option(struct query *q, int c)
{
    uint64_t bits;
    switch (c) {
    case 'c':
        q->config = optarg;
        return 0;
    case 'j':
        q->json = true;
        return 0;
    case 'f':
        q->force = true;
        return 0;
    case 't':
        q->rsa = strcmp(optarg, "rsa") == 0;
        return q->rsa || strcmp(optarg, "ed25519") == 0
                   ? 0
                   : cli_usage("dkim", "--type is rsa or ed25519");
    case 'b':
        if (!span_u64(span_str(optarg), &bits) || bits < RSA_BITS_LEAST || bits > RSA_BITS_MOST)
            return cli_usage("dkim", "--bits is a number from %d to %d", RSA_BITS_LEAST,
                             RSA_BITS_MOST);
        q->bits = (unsigned)bits;
        return 0;
    case 's':
        q->selector = optarg;
        return signer_name_ok(span_str(optarg))
                   ? 0
                   : cli_usage("dkim", "--selector holds letters, digits, '-', '_' and '.'");
    default:
        return cli_wrong_option("dkim");
    }
}

static int failed(const struct err *e)
{
    fprintf(stderr, "gatehouse dkim: %s\n", e->text);
    return EXIT_TEMPFAIL;
}

static EVP_PKEY *key_of(const struct domain_keys *k, const char *selector, struct err *e)
{
    return signer_read_key(domain_keys_file(k, selector), e);
}

static int print_record(const struct domain_keys *k, const char *selector)
{
    struct err e;
    struct buf record = {0}, line = {0};
    EVP_PKEY *key = key_of(k, selector, &e);
    if (!key)
        return failed(&e);
    dkim_record(&record, key);
    dkim_zone_line(&line, selector, k->domain, buf_span(&record));
    printf("\n%s\n", line.p);
    EVP_PKEY_free(key);
    buf_free(&record);
    buf_free(&line);
    return EXIT_OK;
}

/* --- keygen --- */

static bool same_type(const struct domain_keys *k, const char *selector, bool rsa)
{
    struct err e;
    EVP_PKEY *key = key_of(k, selector, &e);
    bool same = key && (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) == rsa;
    EVP_PKEY_free(key);
    return same;
}

/* The one of a type that signs now. */
static const char *active_of_type(const struct domain_keys *k, bool rsa)
{
    const struct strings *s = &k->selectors[KEY_ACTIVE];
    for (size_t i = 0; i < s->n; i++)
        if (same_type(k, s->v[i], rsa))
            return s->v[i];
    return NULL;
}

static int new_key(struct domain_keys *k, const struct query *q, enum key_state state)
{
    struct err e;
    const char *selector = q->selector ? q->selector : domain_keys_new_selector(k, q->rsa);
    if (!selector)
        return cli_usage("dkim", "there are too many keys of today; give --selector");
    if (domain_keys_make(k, selector, q->rsa, q->bits, &e) != 0)
        return failed(&e);
    domain_keys_add(k, state, selector);
    if (domain_keys_write(k, state, &e) != 0)
        return failed(&e);
    printf("%s holds the key. Publish its record:\n", domain_keys_file(k, selector));
    return print_record(k, selector);
}

static int keygen(const struct query *q, struct domain_keys *k)
{
    const char *there = active_of_type(k, q->rsa);
    if (there) {
        fprintf(stderr,
                "gatehouse dkim: %s has the %s key %s; 'gatehouse dkim rotate %s' replaces it\n",
                k->domain, q->rsa ? "RSA" : "Ed25519", there, k->domain);
        return EXIT_BAD;
    }
    int result = new_key(k, q, KEY_ACTIVE);
    if (result == EXIT_OK)
        printf("When 'gatehouse dkim dns %s' finds it, add %s to dkim.sign and reload.\n",
               k->domain, k->domain);
    return result;
}

/* --- rotate --- */

static int activate(struct domain_keys *k, const char *fresh, bool rsa)
{
    struct err e;
    const char *old = active_of_type(k, rsa);
    if (old) {
        domain_keys_remove(k, KEY_ACTIVE, old);
        domain_keys_add(k, KEY_RETIRED, old);
    }
    domain_keys_add(k, KEY_ACTIVE, fresh);
    domain_keys_remove(k, KEY_PENDING, fresh);
    /* In this order a crash leaves a key in two lists, never in none. */
    if ((old && domain_keys_write(k, KEY_RETIRED, &e) != 0) ||
        domain_keys_write(k, KEY_ACTIVE, &e) != 0 || domain_keys_write(k, KEY_PENDING, &e) != 0)
        return failed(&e);
    printf("%s signs from the next reload on (systemctl reload gatehouse).\n", fresh);
    if (old)
        printf("Leave the record of %s published for another week: its mail is on its way.\n", old);
    return EXIT_OK;
}

static int rotate(const struct query *q, struct domain_keys *k)
{
    struct err e;
    if (k->selectors[KEY_PENDING].n == 0) {
        if (!active_of_type(k, q->rsa))
            return cli_usage("dkim", "%s has no such key yet: 'gatehouse dkim keygen %s'",
                             k->domain, k->domain);
        int result = new_key(k, q, KEY_PENDING);
        if (result == EXIT_OK)
            printf("Then say 'gatehouse dkim rotate %s' again.\n", k->domain);
        return result;
    }
    const char *fresh = k->selectors[KEY_PENDING].v[0];
    EVP_PKEY *key = key_of(k, fresh, &e);
    if (!key)
        return failed(&e);
    struct buf why = {0};
    bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    bool go = q->force || dkim_published(q->set, fresh, k->domain, key, &why) == PUB_YES;
    EVP_PKEY_free(key);
    if (!go) {
        fprintf(stderr, "gatehouse dkim: %s does not sign yet: %.*s (--force lets it)\n", fresh,
                SPAN_ARG(buf_span(&why)));
        print_record(k, fresh);
    }
    buf_free(&why);
    return go ? activate(k, fresh, rsa) : EXIT_BAD;
}

/* --- dns --- */

static void tell_key(const struct query *q, const struct domain_keys *k, const char *selector,
                     enum key_state state, struct span record, enum published p, struct span why)
{
    struct buf b = {0};
    if (q->json) {
        json_open(&b, NULL, '{');
        json_text(&b, "domain", span_str(k->domain));
        json_text(&b, "selector", span_str(selector));
        json_text(&b, "state", span_str(key_state_name(state)));
        json_text(&b, "record", record);
        json_text(&b, "published", span_str(published_name(p)));
        if (why.n)
            json_text(&b, "why", why);
        json_close(&b, '{');
        buf_char(&b, '\n');
    } else {
        buf_printf(&b, "; %s, %s", key_state_name(state),
                   p == PUB_YES ? "published" : "not published as below: ");
        buf_add(&b, p == PUB_YES ? SPAN("") : why);
        buf_char(&b, '\n');
        dkim_zone_line(&b, selector, k->domain, record);
    }
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

static int show_key(const struct query *q, const struct domain_keys *k, const char *selector,
                    enum key_state state)
{
    struct err e;
    struct buf record = {0}, why = {0};
    EVP_PKEY *key = key_of(k, selector, &e);
    if (!key)
        return failed(&e);
    dkim_record(&record, key);
    enum published p = dkim_published(q->set, selector, k->domain, key, &why);
    tell_key(q, k, selector, state, buf_span(&record), p, buf_span(&why));
    EVP_PKEY_free(key);
    buf_free(&record);
    buf_free(&why);
    return state == KEY_ACTIVE && p != PUB_YES ? EXIT_BAD : EXIT_OK;
}

static int show(const struct query *q, const struct domain_keys *k)
{
    int result = EXIT_OK;
    size_t n = 0;
    for (int state = 0; state < KEY_STATES; state++) {
        const struct strings *s = &k->selectors[state];
        for (size_t i = 0; i < s->n; i++, n++) {
            int one = show_key(q, k, s->v[i], (enum key_state)state);
            result = one > result ? one : result;
        }
    }
    if (n == 0)
        fprintf(stderr, "gatehouse dkim: %s has no keys in %s\n", k->domain, q->set->dkim.keys);
    return n ? result : EXIT_BAD;
}

/* Without names: the domains of dkim.sign whose keys we keep. */
static int run_dns(const struct query *q, struct arena *a, char **names)
{
    struct err e;
    struct domain_keys k;
    int result = EXIT_OK;
    const struct strings *all = &q->set->dkim.sign;
    for (size_t i = 0; *names ? names[i] != NULL : i < all->n; i++) {
        struct span rest = span_str(*names ? names[i] : all->v[i]);
        struct span domain = span_word(&rest, " \t");
        if (span_trim(rest).n)
            continue; /* a key that lies elsewhere */
        domain = span_from(domain, domain.n && domain.p[0] == '.');
        if (domain_keys_read(a, q->set, arena_cstr(a, domain), &k, &e) != 0)
            return failed(&e);
        int one = show(q, &k);
        result = one > result ? one : result;
    }
    return result;
}

static int run(const struct query *q, const char *verb, char **names)
{
    struct err e;
    struct domain_keys k;
    struct arena *a = arena_new(0);
    int result;
    if (strcmp(verb, "dns") == 0)
        result = run_dns(q, a, names);
    else if (domain_keys_read(a, q->set, names[0], &k, &e) != 0)
        result = failed(&e);
    else
        result = strcmp(verb, "keygen") == 0 ? keygen(q, &k) : rotate(q, &k);
    arena_free(a);
    return fflush(stdout) == 0 ? result : EXIT_TEMPFAIL;
}

int cmd_dkim(int argc, char **argv)
{
    struct query q = {.rsa = true, .bits = RSA_BITS_DEFAULT};
    int c, result = 0;
    optind = 1;
    while (result == 0 && (c = getopt_long(argc, argv, "c:", options, NULL)) != -1)
        result = take_option(&q, c);
    if (result)
        return result;
    const char *verb = optind < argc ? argv[optind] : "";
    bool one = strcmp(verb, "keygen") == 0 || strcmp(verb, "rotate") == 0;
    if (!one && strcmp(verb, "dns") != 0)
        return cli_usage("dkim", "say keygen, rotate or dns");
    if (one && argc - optind != 2)
        return cli_usage("dkim", "%s takes one domain", verb);
    struct settings *set = cli_settings(q.config);
    if (!set)
        return EXIT_CONFIG;
    q.set = set;
    result = run(&q, verb, argv + optind + 1);
    settings_free(set);
    return result;
}
