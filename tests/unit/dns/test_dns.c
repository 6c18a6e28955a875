#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "dns/dns.h"

/* A name server on loopback with a few records; hostile ones among them. */
struct record {
    const char *name;
    int type;
    const char *rdata;
    size_t n;
};
#define R(name, type, rdata)                                                                       \
    {                                                                                              \
        name, type, rdata, sizeof(rdata) - 1                                                       \
    }
#define FIFTY "01234567890123456789012345678901234567890123456789"
#define LONG  "\xc8" FIFTY FIFTY FIFTY FIFTY
static const struct record zone[] = {
    R("mail.example.org", 1, "\xc0\x00\x02\x19"),
    R("mail.example.org", 28, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x19"),
    R("example.org", 15, "\0\x14\6backup\7example\3org\0"),
    R("example.org", 15, "\0\x0a\4MAIL\7example\3org\0"),
    R("nomail.example.org", 15, "\0\0\0"),
    R("short.example.org", 15, "\0"),
    R("short.example.org", 15, "\0\5\4mail\7exam"),
    R("strange.example.org", 15, "\0\5\7ma\0il.x\7example\3org\0"),
    R("25.2.0.192.in-addr.arpa", 12, "\4mail\7example\3org\0"),
    R("26.2.0.192.in-addr.arpa", 12, "\4mail\7example\3org\0"), /* does not lead back */
    R("txt.example.org", 16, "\5v=spf\3 -a"),
    R("txt.example.org", 16, "\0"),
    R("txt.example.org", 16, "\7cut"), /* says more than there is */
    R("bad.example.org", 16, "\7cut"),
    R("bad.example.org", 1, "\x7f\0\2"),
    R("bad.example.org", 28, "\x7f\0\0\2"),
    R("long.example.org", 16, LONG LONG LONG LONG),
    R("alias.example.org", 5, "\4mail\7example\3org\0"),
    R("loop1.example.org", 5, "\5loop2\7example\3org\0"),
    R("loop2.example.org", 5, "\5loop1\7example\3org\0"),
    R("a b\\c.example.org", 1, "\x7f\0\0\2"),
};

struct bed {
    uv_loop_t loop;
    uv_udp_t server;
    struct dns_settings set;
    const char *servers[1];
    struct dns *dns;
    bool mute;
    int calls;
    enum dns_status status;
    size_t n;
    struct ip ips[8];
    struct dns_mx mx[8];
    char name[DNS_NAME_MAX];
    struct arena *arena;
    bool nxdomain, secure;
    struct span txt; /* all TXT records of the answer, one behind the other */
};

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *buf)
{
    (void)h;
    *buf = uv_buf_init(malloc(want), (unsigned)want);
}

/* The question's name in dotted form; returns the offset behind it. */
static size_t question_name(const char *p, char *out)
{
    size_t at = 12, w = 0;
    while (p[at]) {
        size_t n = (unsigned char)p[at++];
        for (size_t i = 0; i < n; i++)
            out[w++] = ascii_lower(p[at + i]);
        out[w++] = '.';
        at += n;
    }
    out[w ? w - 1 : 0] = '\0';
    return at + 1;
}

static size_t answer(const char *q, char *out)
{
    char name[300];
    size_t at = question_name(q, name), end = at + 4;
    int type = (unsigned char)q[at] << 8 | (unsigned char)q[at + 1];
    unsigned count = 0;
    memcpy(out, q, end);
    for (size_t i = 0; i < sizeof zone / sizeof *zone; i++) {
        if ((zone[i].type != type && zone[i].type != 5) || strcmp(zone[i].name, name) != 0)
            continue;
        char head[12] = {
            (char)0xc0,     12, 0, (char)zone[i].type, 0, 1, 0, 0, 0, 60, (char)(zone[i].n >> 8),
            (char)zone[i].n};
        memcpy(out + end, head, 12);
        memcpy(out + end + 12, zone[i].rdata, zone[i].n);
        end += 12 + zone[i].n;
        count++;
    }
    memcpy(out + 2, "\x85\x80\0\1\0\0\0\0\0\0", 10);
    out[7] = (char)count;
    return end;
}

static void on_question(uv_udp_t *u, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags)
{
    struct bed *b = u->data;
    char out[2000];
    (void)flags;
    if (n > 12 && !b->mute) {
        uv_buf_t reply = uv_buf_init(out, (unsigned)answer(buf->base, out));
        uv_udp_try_send(u, &reply, 1, from);
    }
    free(buf->base);
}

static int open_bed(void **state)
{
    struct bed *b = calloc(1, sizeof *b);
    struct sockaddr_in sa;
    int len = sizeof sa;
    char server[64];
    uv_loop_init(&b->loop);
    uv_udp_init(&b->loop, &b->server);
    b->server.data = b;
    uv_ip4_addr("127.0.0.1", 0, &sa);
    assert_int_equal(uv_udp_bind(&b->server, (struct sockaddr *)&sa, 0), 0);
    uv_udp_getsockname(&b->server, (struct sockaddr *)&sa, &len);
    uv_udp_recv_start(&b->server, on_alloc, on_question);
    snprintf(server, sizeof server, "127.0.0.1@%d", ntohs(sa.sin_port));
    b->servers[0] = strdup(server);
    b->set = (struct dns_settings){.servers = {b->servers, 1}, .timeout = 3 * USEC_PER_SEC};
    b->dns = dns_new(&b->loop, &b->set);
    b->arena = arena_new(0);
    *state = b;
    return 0;
}

static int close_bed(void **state)
{
    struct bed *b = *state;
    dns_free(b->dns);
    arena_free(b->arena);
    uv_close((uv_handle_t *)&b->server, NULL);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    free((void *)(uintptr_t)b->servers[0]);
    free(b);
    return 0;
}

static void got_ips(void *ctx, enum dns_status st, const struct ip *v, size_t n)
{
    struct bed *b = ctx;
    b->calls++;
    b->status = st;
    b->n = n;
    memcpy(b->ips, v, n * sizeof *v);
}

static void got_mx(void *ctx, enum dns_status st, const struct dns_mx *v, size_t n)
{
    struct bed *b = ctx;
    b->calls++;
    b->status = st;
    b->n = n;
    memcpy(b->mx, v, n * sizeof *v);
}

static void got_name(void *ctx, enum dns_status st, struct span name)
{
    struct bed *b = ctx;
    b->calls++;
    b->status = st;
    snprintf(b->name, sizeof b->name, "%.*s", SPAN_ARG(name));
}

static void got_any(void *ctx, const struct dns_answer *a)
{
    struct bed *b = ctx;
    b->calls++;
    b->status = a->status;
    b->nxdomain = a->nxdomain;
    b->secure = a->secure;
    b->n = a->n;
    if (a->canonical.p)
        snprintf(b->name, sizeof b->name, "%.*s", SPAN_ARG(a->canonical));
    b->txt = SPAN("");
    for (size_t i = 0; i < a->n; i++) {
        struct span one;
        if (dns_txt_join(a->rdata[i], b->arena, &one))
            b->txt = arena_printf(b->arena, "%.*s<%.*s>", SPAN_ARG(b->txt), SPAN_ARG(one));
    }
}

static void wait_call(struct bed *b)
{
    int before = b->calls;
    while (b->calls == before)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(b->calls, before + 1);
}

static void addresses_of_both_families(void **state)
{
    struct bed *b = *state;
    dns_addresses(b->dns, SPAN("Mail.Example.Org"), got_ips, b);
    wait_call(b);
    assert_int_equal(b->status, DNS_OK);
    assert_int_equal(b->n, 2);
    dns_addresses(b->dns, SPAN("nothing.example.org"), got_ips, b);
    wait_call(b);
    assert_int_equal(b->status, DNS_NONE);
}

static void mx_are_sorted_and_null_mx_is_seen(void **state)
{
    struct bed *b = *state;
    dns_mx(b->dns, SPAN("example.org"), got_mx, b);
    wait_call(b);
    assert_int_equal(b->n, 2);
    assert_string_equal(b->mx[0].host, "mail.example.org");
    assert_string_equal(b->mx[1].host, "backup.example.org");
    dns_mx(b->dns, SPAN("nomail.example.org"), got_mx, b);
    wait_call(b);
    assert_int_equal(b->n, 1);
    assert_string_equal(b->mx[0].host, "");
}

static void hostile_records_are_no_answers(void **state)
{
    struct bed *b = *state;
    dns_mx(b->dns, SPAN("short.example.org"), got_mx, b);
    wait_call(b);
    assert_int_equal(b->n, 0);
    assert_int_not_equal(b->status, DNS_OK);
    dns_mx(b->dns, SPAN("strange.example.org"), got_mx, b);
    wait_call(b);
    assert_int_equal(b->n, 0);
    dns_addresses(b->dns, SPAN(""), got_ips, b);
    wait_call(b);
    assert_int_equal(b->status, DNS_NONE);
}

static void a_name_counts_only_when_it_leads_back(void **state)
{
    struct bed *b = *state;
    struct ip ip;
    ip_parse(SPAN("192.0.2.25"), &ip);
    dns_reverse(b->dns, &ip, got_name, b);
    wait_call(b);
    assert_int_equal(b->status, DNS_OK);
    assert_string_equal(b->name, "mail.example.org");
    ip_parse(SPAN("192.0.2.26"), &ip);
    dns_reverse(b->dns, &ip, got_name, b);
    wait_call(b);
    assert_int_equal(b->status, DNS_NONE);
    assert_string_equal(b->name, "");
}

static void a_dead_server_costs_its_time_and_no_more(void **state)
{
    struct bed *b = *state;
    b->mute = true;
    b->set.timeout = USEC_PER_SEC / 5;
    usec start = clock_mono();
    dns_addresses(b->dns, SPAN("mail.example.org"), got_ips, b);
    wait_call(b);
    assert_int_equal(b->status, DNS_TEMPFAIL);
    assert_in_range(clock_mono() - start, 150000, 2000000);
    dns_cancel(dns_mx(b->dns, SPAN("example.org"), got_mx, b));
    int calls = b->calls;
    for (int i = 0; i < 10; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_int_equal(b->calls, calls);
}

#define ASK(b, name, type)                                                                         \
    do {                                                                                           \
        dns_ask((b)->dns, SPAN(name), type, got_any, b);                                           \
        wait_call(b);                                                                              \
    } while (0)

static void records_of_any_type(void **state)
{
    struct bed *b = *state;
    ASK(b, "txt.example.org.", DNS_TXT);
    assert_int_equal(b->status, DNS_OK);
    assert_int_equal(b->n, 2); /* the one that is cut is left out */
    assert_true(span_search(b->txt, SPAN("<v=spf -a>")) != SIZE_MAX);
    assert_true(span_search(b->txt, SPAN("<>")) != SIZE_MAX);
    ASK(b, "long.example.org", DNS_TXT);
    assert_int_equal(b->txt.n, 802);
    ASK(b, "alias.example.org", DNS_A);
    assert_int_equal(b->status, DNS_OK);
    assert_int_equal(b->n, 1);
    ASK(b, "a b\\c.example.org", DNS_A); /* bytes that mean something to libunbound */
    assert_int_equal(b->status, DNS_OK);
    ASK(b, "txt.example.org", DNS_MX_RR);
    assert_int_equal(b->status, DNS_NONE);
    assert_false(b->nxdomain);
}

static void malformed_answers_are_no_answers(void **state)
{
    struct bed *b = *state;
    static const enum dns_type types[] = {DNS_TXT, DNS_A, DNS_AAAA};
    for (size_t i = 0; i < 3; i++) {
        dns_ask(b->dns, SPAN("bad.example.org"), types[i], got_any, b);
        wait_call(b);
        assert_int_equal(b->status, DNS_TEMPFAIL);
        assert_int_equal(b->n, 0);
    }
    ASK(b, "loop1.example.org", DNS_A);
    assert_int_equal(b->n, 0);
    assert_int_not_equal(b->status, DNS_OK);
}

/* Asked once, the server may be away: the same answer comes, from the loop, once for each question
 * that was not taken back. */
static void what_is_known_is_told(void **state)
{
    struct bed *b = *state;
    struct ip ip;
    ip_parse(SPAN("192.0.2.25"), &ip);
    for (int round = 0; round < 3; round++) {
        ASK(b, "alias.example.org", DNS_A);
        assert_true(b->status == DNS_OK && b->n == 1);
        assert_string_equal(b->name, "mail.example.org"); /* behind the alias */
        b->name[0] = '\0';
        dns_addresses(b->dns, SPAN("MAIL.example.org"), got_ips, b);
        wait_call(b);
        assert_true(b->status == DNS_OK && b->n == 2);
        dns_reverse(b->dns, &ip, got_name, b);
        wait_call(b);
        assert_string_equal(b->name, "mail.example.org");
        dns_mx(b->dns, SPAN("example.org"), got_mx, b);
        wait_call(b);
        assert_string_equal(b->mx[1].host, "backup.example.org");
        ASK(b, "nothing.example.org", DNS_TXT);
        assert_true(b->status == DNS_NONE);
        b->mute = true;
    }
    int calls = b->calls;
    struct dns_question *v[600];
    for (int i = 0; i < 600; i++)
        v[i] = dns_addresses(b->dns, SPAN("mail.example.org"), got_ips, b);
    for (int i = 1; i < 600; i += 2)
        dns_cancel(v[i]);
    assert_int_equal(b->calls, calls);
    for (int i = 0; i < 100 && b->calls < calls + 300; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_int_equal(b->calls, calls + 300);
    for (int i = 0; i < 10; i++) /* these are taken back with everything else */
        dns_addresses(b->dns, SPAN("mail.example.org"), got_ips, b);
}

static void names_that_cannot_exist(void **state)
{
    struct bed *b = *state;
    static char label[300];
    memset(label, 'a', sizeof label);
    for (size_t i = 60; i < sizeof label; i += 60)
        label[i] = '.';
    const struct span names[] = {SPAN(""),         SPAN("."),         SPAN("a..b"),    SPAN(".a"),
                                 SPAN("a\0b.org"), span_of("a..", 3), {label + 1, 254}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        dns_ask(b->dns, names[i], DNS_A, got_any, b);
        wait_call(b);
        assert_int_equal(b->status, DNS_NONE);
        assert_true(b->nxdomain);
    }
    label[60] = 'a', label[120] = 'a';
    dns_ask(b->dns, span_of(label, 70), DNS_A, got_any, b); /* a label of more than 63 */
    wait_call(b);
    assert_true(b->nxdomain);
}

static void a_dead_server_is_no_answer(void **state)
{
    struct bed *b = *state;
    b->mute = true;
    b->set.timeout = USEC_PER_SEC / 5;
    ASK(b, "mail.example.org", DNS_A);
    assert_int_equal(b->status, DNS_TEMPFAIL);
    assert_false(b->nxdomain);
}

static void local_data_needs_no_server(void **state)
{
    struct bed *b = *state;
    const char *data[] = {"here.example.org. 60 IN A 192.0.2.99"};
    b->mute = true;
    b->set.local_data = (struct strings){data, 1};
    ASK(b, "here.example.org", DNS_A);
    assert_int_equal(b->status, DNS_OK);
    assert_int_equal(b->n, 1);
}

static void zones_with_servers_of_their_own(void **state)
{
    struct bed *b = *state;
    char text[80];
    const char *zones[] = {text};
    const char *dead[] = {"127.0.0.1@9"};
    snprintf(text, sizeof text, "example.org %s", b->servers[0]);
    b->set.zones = (struct strings){zones, 1};
    b->set.servers = (struct strings){dead, 1};
    ASK(b, "mail.example.org", DNS_A);
    assert_int_equal(b->status, DNS_OK);
}

static void a_server_without_dnssec_gives_insecure_names(void **state)
{
    struct bed *b = *state;
    b->set.dnssec = true;
    ASK(b, "mail.example.org", DNS_A);
    assert_int_equal(b->status, DNS_OK);
    assert_false(b->secure);
}

static void forms_of_rdata(void **state)
{
    (void)state;
    assert_true(dns_rdata_sane(SPAN("\1\1\1\1"), DNS_A));
    assert_false(dns_rdata_sane(SPAN("\1\1\1"), DNS_A));
    assert_true(dns_rdata_sane(SPAN("\1a\0"), DNS_PTR));
    assert_false(dns_rdata_sane(SPAN("\1a"), DNS_PTR));
    assert_false(dns_rdata_sane(SPAN("\1a\0x"), DNS_NS));
    assert_false(dns_rdata_sane(SPAN("\xc0\0"), DNS_CNAME));
    assert_false(dns_rdata_sane(SPAN(""), DNS_TXT));
    assert_true(dns_rdata_sane(SPAN("\0"), DNS_TXT));
    assert_true(dns_rdata_sane(SPAN("\0\0"
                                    "12345678901234567890"),
                               DNS_SOA));
    assert_false(dns_rdata_sane(SPAN("\0\0"
                                     "1234567890123456789"),
                                DNS_SOA));
    assert_false(dns_rdata_sane(SPAN("\0"), DNS_SOA));
    assert_false(dns_rdata_sane(SPAN("\3\1\1"), DNS_TLSA));
    assert_false(dns_rdata_sane(SPAN("\0\5"), DNS_MX_RR));
    assert_true(dns_rdata_sane(SPAN("\0\5\0"), DNS_MX_RR));
}

static void reversed_addresses(void **state)
{
    (void)state;
    struct ip ip;
    char out[DNS_NAME_MAX];
    char wide[250];
    memset(wide, 'z', sizeof wide);
    ip_parse(SPAN("192.0.2.25"), &ip);
    assert_true(dns_reversed(&ip, SPAN("rbl.example."), out));
    assert_string_equal(out, "25.2.0.192.rbl.example");
    assert_true(dns_reversed(&ip, SPAN_NONE, out));
    assert_string_equal(out, "25.2.0.192.in-addr.arpa");
    assert_false(dns_reversed(&ip, span_of(wide, sizeof wide), out));
    ip_parse(SPAN("2001:db8::1"), &ip);
    assert_true(dns_reversed(&ip, SPAN("l.example"), out));
    assert_string_equal(
        out, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.l.example");
}

static void names_in_wire_form(void **state)
{
    (void)state;
    char out[DNS_NAME_MAX];
    size_t used;
#define DECODE(lit) dns_name_decode((const unsigned char *)lit, sizeof(lit) - 1, out, &used)
    assert_true(DECODE("\3www\3Org\0"));
    assert_string_equal(out, "www.org");
    assert_int_equal(used, 9);
    assert_true(DECODE("\0"));
    assert_string_equal(out, "");
    assert_false(DECODE("\3www"));
    assert_false(DECODE("\x40www"));
    assert_false(DECODE("\xc0\x0c"));
    assert_false(DECODE("\3w\0w\0"));
    assert_false(DECODE(""));
    unsigned char many[400];
    for (size_t i = 0; i < sizeof many; i += 2)
        many[i] = 1, many[i + 1] = 'a';
    assert_false(dns_name_decode(many, sizeof many, out, &used));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, open_bed, close_bed)
    const struct CMUnitTest tests[] = {
        CASE(addresses_of_both_families),
        CASE(mx_are_sorted_and_null_mx_is_seen),
        CASE(hostile_records_are_no_answers),
        CASE(a_name_counts_only_when_it_leads_back),
        CASE(a_dead_server_costs_its_time_and_no_more),
        CASE(records_of_any_type),
        CASE(malformed_answers_are_no_answers),
        CASE(what_is_known_is_told),
        CASE(names_that_cannot_exist),
        CASE(a_dead_server_is_no_answer),
        CASE(local_data_needs_no_server),
        CASE(zones_with_servers_of_their_own),
        CASE(a_server_without_dnssec_gives_insecure_names),
        cmocka_unit_test(names_in_wire_form),
        cmocka_unit_test(forms_of_rdata),
        cmocka_unit_test(reversed_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
