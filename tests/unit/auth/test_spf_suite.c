/* The openspf.org suite of RFC 7208, where it is at hand (GATEHOUSE_SHARED or ../shared): every
 * case has to give one of the results the suite allows, with answers at once and with answers
 * later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <yaml.h>

#include "auth/spf.h"
#include "zone.h"

enum { SUITE_CASES = 203 };

static struct span scalar(const yaml_node_t *n)
{
    return n && n->type == YAML_SCALAR_NODE
               ? span_of((const char *)n->data.scalar.value, n->data.scalar.length)
               : SPAN_NONE;
}

static yaml_node_t *at(yaml_document_t *d, int i)
{
    return yaml_document_get_node(d, i);
}

static yaml_node_t *member(yaml_document_t *d, const yaml_node_t *map, const char *key)
{
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++)
        if (span_eq(scalar(at(d, p->key)), span_str(key)))
            return at(d, p->value);
    return NULL;
}

/* One record of a zone; SPF records stand for TXT ones where the name has no TXT of its own. */
static void load_record(struct zone *z, yaml_document_t *d, struct span name, struct span type,
                        yaml_node_t *value)
{
    struct span text = scalar(value);
    if (span_eq(type, SPAN("TXT")) || span_eq(type, SPAN("SPF"))) {
        if (span_eq(text, SPAN("NONE")))
            return;
        if (value->type != YAML_SEQUENCE_NODE) {
            zone_txt_span(z, name, text);
            return;
        }
        char out[4096];
        size_t n = 0;
        for (yaml_node_item_t *i = value->data.sequence.items.start;
             i < value->data.sequence.items.top; i++) {
            struct span part = scalar(at(d, *i));
            assert_true(part.n < 256 && n + part.n + 1 < sizeof out);
            out[n++] = (char)part.n;
            memcpy(out + n, part.p, part.n);
            n += part.n;
        }
        zone_add(z, name, DNS_TXT, span_of(out, n));
    } else if (span_eq(type, SPAN("A")) || span_eq(type, SPAN("AAAA"))) {
        zone_address(z, name, text);
    } else if (span_eq(type, SPAN("PTR"))) {
        zone_host(z, name, DNS_PTR, text);
    } else if (span_eq(type, SPAN("CNAME"))) {
        zone_host(z, name, DNS_CNAME, text);
    } else if (span_eq(type, SPAN("MX"))) {
        uint64_t preference = 0;
        yaml_node_item_t *items = value->data.sequence.items.start;
        assert_true(span_u64(scalar(at(d, items[0])), &preference));
        zone_mx(z, name, (unsigned)preference, scalar(at(d, items[1])));
    } else {
        fail_msg("record type %.*s", SPAN_ARG(type));
    }
}

static void load_zone(struct zone *z, yaml_document_t *d, yaml_node_t *zone)
{
    for (yaml_node_pair_t *p = zone->data.mapping.pairs.start; p < zone->data.mapping.pairs.top;
         p++) {
        struct span name = scalar(at(d, p->key));
        yaml_node_t *list = at(d, p->value);
        bool own_txt = false;
        for (int pass = 0; pass < 2; pass++)
            for (yaml_node_item_t *i = list->data.sequence.items.start;
                 i < list->data.sequence.items.top; i++) {
                yaml_node_t *rr = at(d, *i);
                if (rr->type == YAML_SCALAR_NODE) {
                    if (pass)
                        zone_add(z, name, ZONE_TIMEOUT, SPAN(""));
                    continue;
                }
                yaml_node_pair_t *pair = rr->data.mapping.pairs.start;
                struct span type = scalar(at(d, pair->key));
                if (pass == 0)
                    own_txt = own_txt || span_eq(type, SPAN("TXT"));
                else if (!(own_txt && span_eq(type, SPAN("SPF"))))
                    load_record(z, d, name, type, at(d, pair->value));
            }
    }
}

static bool allowed(yaml_document_t *d, yaml_node_t *want, const char *got)
{
    if (want->type == YAML_SCALAR_NODE)
        return span_eq(scalar(want), span_str(got));
    for (yaml_node_item_t *i = want->data.sequence.items.start; i < want->data.sequence.items.top;
         i++)
        if (span_eq(scalar(at(d, *i)), span_str(got)))
            return true;
    return false;
}

static void count(void *ctx)
{
    ++*(int *)ctx;
}

static bool run_case(struct zone *z, yaml_document_t *d, struct span name, yaml_node_t *t)
{
    struct spf_fact out;
    struct span from = scalar(member(d, t, "mailfrom")), helo = scalar(member(d, t, "helo"));
    struct spf_query q = {.helo = helo,
                          .sender = from,
                          .receiver = "receiver.example",
                          .explain = true,
                          .now = 1600000000 * USEC_PER_SEC};
    size_t sign = span_rfind(from, '@');
    int done = 0;
    assert_true(ip_parse(scalar(member(d, t, "host")), &q.ip));
    q.domain = sign == SIZE_MAX ? helo : span_from(from, sign + 1);
    spf_check(&q, &z->resolver, z->a, &out, count, &done);
    zone_run(z);
    assert_int_equal(done, 1);
    bool ok = allowed(d, member(d, t, "result"), spf_result_name(out.result));
    yaml_node_t *want = member(d, t, "explanation");
    struct span text = out.explanation.p ? out.explanation : SPAN("DEFAULT");
    if (want && !span_eq(scalar(want), text))
        ok = false;
    if (!ok)
        print_error("%.*s: %s '%.*s' (%.*s)\n", SPAN_ARG(name), spf_result_name(out.result),
                    SPAN_ARG(text), SPAN_ARG(out.why));
    return ok;
}

static int run_document(yaml_document_t *d, bool later, int *wrong)
{
    yaml_node_t *root = yaml_document_get_root_node(d);
    yaml_node_t *tests = member(d, root, "tests");
    struct zone z;
    int n = 0;
    zone_new(&z);
    load_zone(&z, d, member(d, root, "zonedata"));
    z.later = later;
    for (yaml_node_pair_t *p = tests->data.mapping.pairs.start; p < tests->data.mapping.pairs.top;
         p++, n++)
        *wrong += !run_case(&z, d, scalar(at(d, p->key)), at(d, p->value));
    zone_free(&z);
    return n;
}

static void suite(void **state)
{
    char path[4096];
    const char *shared = getenv("GATEHOUSE_SHARED"), *source = getenv("GATEHOUSE_SOURCE");
    (void)state;
    if (shared)
        snprintf(path, sizeof path, "%s/conformance/rfc7208-tests.yml", shared);
    else
        snprintf(path, sizeof path, "%s/../shared/conformance/rfc7208-tests.yml",
                 source ? source : ".");
    FILE *f = fopen(path, "rb");
    if (!f) {
        print_message("%s is not there\n", path);
        skip();
    }
    int cases = 0, wrong = 0;
    for (int later = 0; later < 2; later++) {
        yaml_parser_t parser;
        rewind(f);
        assert_true(yaml_parser_initialize(&parser));
        yaml_parser_set_input_file(&parser, f);
        for (;;) {
            yaml_document_t d;
            assert_true(yaml_parser_load(&parser, &d));
            bool end = !yaml_document_get_root_node(&d);
            if (!end)
                cases += run_document(&d, later, &wrong);
            yaml_document_delete(&d);
            if (end)
                break;
        }
        yaml_parser_delete(&parser);
    }
    fclose(f);
    assert_int_equal(cases, 2 * SUITE_CASES);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(suite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
