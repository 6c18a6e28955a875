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
        if (zone[i].type != type || strcmp(zone[i].name, name) != 0)
            continue;
        char head[12] = {(char)0xc0, 12, 0, (char)type, 0, 1, 0, 0, 0, 60, 0, (char)zone[i].n};
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
    b->set = (struct dns_settings){{b->servers, 1}, false, 3 * USEC_PER_SEC};
    b->dns = dns_new(&b->loop, &b->set);
    *state = b;
    return 0;
}

static int close_bed(void **state)
{
    struct bed *b = *state;
    dns_free(b->dns);
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
        cmocka_unit_test(names_in_wire_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
