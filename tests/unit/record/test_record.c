#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "record/db_private.h"
#include "record/record.h"

static char dir[64];
static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/gatehouse-record-XXXXXX");
    assert_non_null(mkdtemp(dir));
    arena = arena_new(0);
    return log_open("/dev/null", LOG_TEXT, LOG_FAULT);
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    arena_free(arena);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

/* One message from `from` to the given addresses (ends with NULL), the last of which is a group of
 * its own when there are several. */
static void add(struct record *r, const char *id, usec when, const char *from,
                const char *const *to, const char *receipt)
{
    struct envelope env = {.from = span_str(from)};
    struct peer peer = {.has_ip = true, .helo = SPAN("client.example"), .listener = SPAN("mx")};
    ip_parse(SPAN("192.0.2.7"), &peer.ip);
    for (; *to; to++)
        *ARENA_PUSH(arena, env.rcpts, env.nrcpts, env.cap) = (struct rcpt){.addr = span_str(*to)};
    uint32_t rest[8], last = (uint32_t)env.nrcpts - 1;
    for (uint32_t i = 0; i < 8; i++)
        rest[i] = i;
    struct record_group groups[2] = {
        {.outcome = "accept",
         .reason = SPAN("clean"),
         .reply = SPAN("250 2.0.0 Ok"),
         .policy = SPAN("default"),
         .rcpts = rest,
         .nrcpts = env.nrcpts > 1 ? last : 1},
        {.outcome = "reject",
         .reason = SPAN("spam"),
         .detail = SPAN("score 6.0 >= 5.0"),
         .rcpts = &last,
         .nrcpts = 1,
         .unscanned = true},
    };
    struct record_entry x = {.id = id,
                             .received = when,
                             .size = 4711,
                             .peer = &peer,
                             .env = &env,
                             .score = 6,
                             .required = 5,
                             .virus = strcmp(from, "") ? SPAN_NONE : SPAN("Eicar-Test-Signature"),
                             .subject = SPAN("Gr\xc3\xbc\xc3\x9f"
                                             "e from the Gate"),
                             .message_id = SPAN("<1@x>"),
                             .receipt = span_str(receipt),
                             .micros = 1200,
                             .groups = groups,
                             .ngroups = env.nrcpts > 1 ? 2 : 1};
    record_add(r, &x);
}

#define BOB ((const char *const[]){"bob@example.org", NULL})
#define TWO ((const char *const[]){"Bob@Example.ORG", "eve@sales.example.org", NULL})

struct found {
    char ids[64][ID_SIZE];
    size_t n;
    struct record_row last;
};

static bool remember(void *ctx, const struct record_row *row)
{
    struct found *f = ctx;
    memcpy(f->ids[f->n++], row->id, ID_SIZE);
    f->last = *row;
    return f->n < 64;
}

static size_t find(struct record_reader *r, struct record_filter f, struct found *out)
{
    struct err e;
    *out = (struct found){.n = 0};
    if (record_read_list(r, &f, remember, out, &e))
        fail_msg("%s", e.text);
    return out->n;
}

static void all_is_told(void **state)
{
    (void)state;
    struct err e;
    struct record *r = record_open(dir, 1000, 0, &e);
    assert_non_null(r);
    add(r, "AAAAAAAAAAAAAAA1", 1000, "ann@sender.example", TWO, "{\"id\":\"AAAAAAAAAAAAAAA1\"}");
    record_event(r, &(struct record_event){.id = "AAAAAAAAAAAAAAA1",
                                           .when = 2000,
                                           .kind = RECORD_DEFERRED,
                                           .rcpt = SPAN("Bob@Example.ORG"),
                                           .where = SPAN("mx[192.0.2.9]:25"),
                                           .text = SPAN("451 no")});
    record_event(r, &(struct record_event){.id = "AAAAAAAAAAAAAAA1",
                                           .when = 3000,
                                           .kind = RECORD_DELIVERED,
                                           .text = SPAN("250 yes")});
    record_flush(r);

    struct record_reader *read = record_read_open(dir, &e);
    assert_non_null(read);
    struct record_told t;
    assert_int_equal(record_read_one(read, SPAN("AAAAAAAAAAAAAAA1"), arena, &t, &e), 0);
    assert_int_equal(t.row.received, 1000);
    assert_int_equal(t.row.size, 4711);
    assert_true(span_eq(t.row.peer_ip, SPAN("192.0.2.7")));
    assert_true(span_eq(t.row.outcomes, SPAN("accept,reject")));
    assert_int_equal(t.row.nrcpts, 2);
    assert_true(span_eq(t.row.rcpts[0], SPAN("Bob@Example.ORG")));
    assert_int_equal(t.ngroups, 2);
    assert_int_equal(t.groups[1].nrcpts, 1);
    assert_int_equal(t.groups[1].rcpts[0], 1);
    assert_true(t.groups[1].unscanned && !t.groups[0].unscanned);
    assert_true(span_eq(t.groups[1].detail, SPAN("score 6.0 >= 5.0")));
    assert_true(span_eq(t.receipt, SPAN("{\"id\":\"AAAAAAAAAAAAAAA1\"}")));
    assert_int_equal(t.nevents, 2);
    assert_string_equal(t.events[0].kind, "deferred");
    assert_true(span_eq(t.events[0].where, SPAN("mx[192.0.2.9]:25")));
    assert_string_equal(t.events[1].kind, "delivered");
    assert_null(t.events[1].rcpt.p);
    assert_int_equal(record_read_one(read, SPAN("AAAAAAAAAAAAAAA2"), arena, &t, &e), -1);
    assert_string_equal(e.text, "no record of AAAAAAAAAAAAAAA2");
    record_read_close(read);
    record_close(r);
}

static void filters(void **state)
{
    (void)state;
    struct err e;
    struct found f;
    static const char receipt[] =
        "{\"rules\":{\"hits\":[{\"name\":\"HTML_MESSAGE\"}],\"subrules\":["
        "\"__ONE\"]},\"x\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";
    struct record *r = record_open(dir, 1000, 0, &e);
    add(r, "AAAAAAAAAAAAAAA1", 1000, "ann@sender.example", BOB, "{}");
    add(r, "AAAAAAAAAAAAAAA2", 2000, "Ann@Sender.Example", TWO, receipt);
    add(r, "AAAAAAAAAAAAAAA3", 3000, "", BOB, "{}");
    record_close(r);
    struct record_reader *read = record_read_open(dir, &e);
    const struct {
        struct record_filter filter;
        size_t n;
        const char *first;
    } rows[] = {
        {{.limit = 0}, 3, "AAAAAAAAAAAAAAA1"},
        {{.limit = 2}, 2, "AAAAAAAAAAAAAAA2"},
        {{.id = SPAN("AAAAAAAAAAAAAAA3")}, 1, "AAAAAAAAAAAAAAA3"},
        {{.sender = SPAN("ann@sender.example")}, 2, "AAAAAAAAAAAAAAA1"},
        {{.sender = SPAN("@SENDER.example")}, 2, "AAAAAAAAAAAAAAA1"},
        {{.sender = SPAN("a*@*.example")}, 2, "AAAAAAAAAAAAAAA1"},
        {{.sender = SPAN("<>")}, 1, "AAAAAAAAAAAAAAA3"},
        {{.recipient = SPAN("bob@example.org")}, 3, "AAAAAAAAAAAAAAA1"},
        {{.recipient = SPAN("@sales.example.org")}, 1, "AAAAAAAAAAAAAAA2"},
        {{.recipient = SPAN("@example.or")}, 0, NULL},
        {{.recipient = SPAN(".example.org")}, 3, "AAAAAAAAAAAAAAA1"},
        {{.recipient = SPAN("e?e@*")}, 1, "AAAAAAAAAAAAAAA2"},
        {{.outcome = SPAN("reject")}, 1, "AAAAAAAAAAAAAAA2"},
        {{.outcome = SPAN("rej")}, 0, NULL},
        {{.virus = SPAN("*")}, 1, "AAAAAAAAAAAAAAA3"},
        {{.virus = SPAN("eicar*")}, 1, "AAAAAAAAAAAAAAA3"},
        {{.rule = SPAN("HTML_MESSAGE")}, 1, "AAAAAAAAAAAAAAA2"},
        {{.rule = SPAN("__ONE")}, 1, "AAAAAAAAAAAAAAA2"},
        {{.rule = SPAN("HTML_MESS")}, 0, NULL},
        {{.subject = SPAN("the gate")}, 3, "AAAAAAAAAAAAAAA1"},
        {{.subject = SPAN("the door")}, 0, NULL},
        {{.peer = SPAN("192.0.2.0/24")}, 3, "AAAAAAAAAAAAAAA1"},
        {{.peer = SPAN("192.0.2.8")}, 0, NULL},
        {{.from = 2000}, 2, "AAAAAAAAAAAAAAA2"},
        {{.from = 1500, .to = 3000}, 1, "AAAAAAAAAAAAAAA2"},
        {{.after = 2}, 1, "AAAAAAAAAAAAAAA3"},
        {{.sender = SPAN("@sender.example"), .outcome = SPAN("accept"), .from = 1500},
         1,
         "AAAAAAAAAAAAAAA2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = find(read, rows[i].filter, &f);
        if (n != rows[i].n || (n && strcmp(f.ids[0], rows[i].first)))
            fail_msg("row %zu: %zu found, first %s", i, n, f.ids[0]);
    }
    record_read_close(read);
}

static void scanned_later_replaces(void **state)
{
    (void)state;
    struct err e;
    struct found f;
    struct record *r = record_open(dir, 1000, 0, &e);
    struct envelope env = {.from = SPAN("a@b")};
    struct peer peer = {0};
    record_add(r, &(struct record_entry){
                      .id = "AAAAAAAAAAAAAAA1", .received = 1, .peer = &peer, .env = &env});
    record_flush(r);
    struct record_reader *read = record_read_open(dir, &e);
    assert_int_equal(find(read, (struct record_filter){.outcome = SPAN("queued")}, &f), 1);
    int64_t seen = f.last.serial;
    add(r, "AAAAAAAAAAAAAAA1", 1, "a@b", TWO, "{}");
    record_flush(r);
    assert_int_equal(find(read, (struct record_filter){.after = seen}, &f), 1);
    assert_int_equal(find(read, (struct record_filter){0}, &f), 1);
    assert_int_equal(f.last.nrcpts, 2);
    record_read_close(read);
    record_close(r);
}

static void old_ones_expire(void **state)
{
    (void)state;
    struct err e;
    struct found f;
    struct record *r = record_open(dir, 1000, 0, &e);
    char id[ID_SIZE];
    usec now = clock_wall();
    for (int i = 0; i < 1700; i++) {
        snprintf(id, sizeof id, "AAAAAAAAAAAA%04d", i);
        usec when = i < 1690 ? now - 3600 * USEC_PER_SEC : now;
        add(r, id, when, "a@b", BOB, "{}");
        record_event(r, &(struct record_event){.id = id, .when = when});
    }
    record_close(r);
    r = record_open(dir, 1000, 60 * USEC_PER_SEC, &e);
    struct record_reader *read = record_read_open(dir, &e);
    for (int i = 0; i < 300 && find(read, (struct record_filter){.to = now - 1}, &f) > 0; i++)
        usleep(10000);
    assert_int_equal(find(read, (struct record_filter){0}, &f), 10);
    struct record_told t;
    assert_int_equal(record_read_one(read, SPAN("AAAAAAAAAAAA1695"), arena, &t, &e), 0);
    assert_int_equal(t.nevents, 1);
    record_read_close(read);
    record_close(r);
}

/* The database can't be written: nothing blocks, memory stays bounded, what was dropped is counted,
 * and what was not arrives once the database can be written again. */
static void a_stuck_disk_blocks_nobody(void **state)
{
    (void)state;
    struct err e;
    struct found f;
    struct record *r = record_open(dir, 1000, 0, &e);
    add(r, "AAAAAAAAAAAAAAA1", 1, "a@b", BOB, "{}");
    record_flush(r);
    struct record_db *other = record_db_open(dir, &e);
    assert_int_equal(record_db_begin(other, &e), 0); /* holds the write lock */
    char *big = malloc(1 << 20);
    memset(big, ' ', (1 << 20) - 1);
    big[(1 << 20) - 1] = '\0';
    char id[ID_SIZE];
    usec start = clock_mono();
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "BBBBBBBBBBBB%04d", i);
        add(r, id, 2, "a@b", BOB, big);
    }
    assert_true(clock_mono() - start < USEC_PER_SEC);
    assert_true(record_dropped(r) > 40);
    assert_int_equal(record_db_commit(other, &e), 0);
    record_db_close(other);
    record_close(r);
    struct record_reader *read = record_read_open(dir, &e);
    assert_int_equal(find(read, (struct record_filter){.limit = 64}, &f), 64);
    struct record_told t;
    assert_int_equal(record_read_one(read, SPAN("BBBBBBBBBBBB0099"), arena, &t, &e), 0);
    assert_null(t.receipt.p);
    record_read_close(read);
    free(big);
}

static void damage_does_not_stop_it(void **state)
{
    (void)state;
    struct err e;
    struct found f;
    char path[100];
    snprintf(path, sizeof path, "%s/record.db", dir);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "this is no database at all, is it?", 34), 34);
    close(fd);
    struct record *r = record_open(dir, 1000, 0, &e);
    assert_non_null(r);
    add(r, "AAAAAAAAAAAAAAA1", 1, "a@b", BOB, "{}");
    record_close(r);
    struct record_reader *read = record_read_open(dir, &e);
    assert_int_equal(find(read, (struct record_filter){0}, &f), 1);
    record_read_close(read);
}

static void receipts_pack(void **state)
{
    (void)state;
    struct packer *p = packer_new();
    struct buf packed = {0}, back = {0}, long_one = {0};
    for (int i = 0; i < 5000; i++)
        buf_printf(&long_one, "{\"name\":\"RULE_%d\",\"score\":0.1},", i * 7919 % 5003);
    const struct span all[] = {SPAN(""), SPAN("{}"), buf_span(&long_one)};
    for (size_t i = 0; i < 3; i++) {
        buf_clear(&packed);
        buf_clear(&back);
        receipt_pack(p, all[i], &packed);
        assert_true(receipt_unpack(p, buf_span(&packed), &back));
        assert_true(span_eq(buf_span(&back), all[i]));
    }
    assert_true(packed.n < long_one.n / 5);
    /* Damaged forms are refused, whatever is damaged. */
    for (size_t i = 0; i < packed.n && i < 400; i++) {
        buf_clear(&back);
        assert_false(receipt_unpack(p, span_of(packed.p, i), &back));
    }
    memcpy(packed.p + 1, "\xff\xff\xff\xff", 4);
    assert_false(receipt_unpack(p, buf_span(&packed), &back));
    buf_free(&packed);
    buf_free(&back);
    buf_free(&long_one);
    packer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(filters, setup, teardown),
        cmocka_unit_test_setup_teardown(scanned_later_replaces, setup, teardown),
        cmocka_unit_test_setup_teardown(old_ones_expire, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stuck_disk_blocks_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_does_not_stop_it, setup, teardown),
        cmocka_unit_test(receipts_pack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
