/* What a crash leaves behind: torn tails, damage, and what recovery makes of them. */
#include "help.h"

#include "queue/journal.h"

#include <dlfcn.h>

/* The queue's reads, with an error when a test wants one: what lies behind this offset can't be
 * read. */
static off_t readable = INT64_MAX;

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    static ssize_t (*real)(int, void *, size_t, off_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pread64");
    if (at + (off_t)n > readable && at >= readable) {
        errno = EIO;
        return -1;
    }
    return real(fd, to, at + (off_t)n > readable ? (size_t)(readable - at) : n, at);
}

#define ID1 "0000000000000001"
#define ID2 "0000000000000002"
#define ID3 "0000000000000003"

static void crc_is_castagnoli(void **state)
{
    (void)state;
    char zeros[32] = {0};
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aau); /* RFC 3720 B.4 */
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

static struct rcpt two[] = {{.addr = {"a@example.org", 13}, .notify = NOTIFY_FAILURE},
                            {.addr = {"b@example.net", 13}}};

/* A journal of three messages as it stands before an orderly end, and where each record ends. */
static struct buf crashed_journal(uint64_t ends[4])
{
    struct bench b;
    bench_begin(&b);
    b.o.segment_size = 4096;
    bench_open(&b);
    put(&b, message(ID1, two, 2, SPAN("Subject: one\r\n\r\nfirst\r\n")));
    put(&b, message(ID2, two, 1, SPAN("Subject: two\r\n\r\nsecond\r\n")));
    put(&b, message(ID3, two, 2, SPAN("Subject: three\r\n\r\nthird\r\n")));
    ends[0] = SEGMENT_HEADER;
    ends[1] = queue_find(b.q, SPAN(ID2))->at;
    ends[2] = queue_find(b.q, SPAN(ID3))->at;
    struct queue_msg *m = queue_find(b.q, SPAN(ID3));
    struct record r = {.meta_size = m->meta_size, .data_size = m->size};
    ends[3] = m->at + record_size(&r);
    char path[128];
    snprintf(path, sizeof path, "%s/0000000000000001", b.dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    struct buf bytes = {0};
    bytes.n = fread(buf_room(&bytes, 1 << 20), 1, 1 << 20, f);
    fclose(f);
    bench_end(&b);
    return bytes;
}

static void lay_out(struct bench *b, struct span bytes)
{
    char path[128];
    snprintf(path, sizeof path, "%s/0000000000000001", b->dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fwrite(bytes.p, 1, bytes.n, f);
    fclose(f);
}

/* How many records of the journal stand whole in its copy. */
static unsigned whole_records(const uint64_t ends[4], struct span journal, struct span copy)
{
    unsigned n = 0;
    while (n < 3 && ends[n + 1] <= copy.n && memcmp(journal.p, copy.p, ends[n + 1]) == 0)
        n++;
    return n;
}

/* Cut at every byte: whole records are found, the torn one is not, nothing counts as damaged. The
 * second round leaves the zeros of the reserved space behind the cut. */
static void torn_at_every_byte(void **state)
{
    (void)state;
    uint64_t ends[4];
    struct buf journal = crashed_journal(ends);
    struct bench b;
    bench_begin(&b);
    b.o.segment_size = 4096;
    for (int zeros = 0; zeros < 2; zeros++) {
        for (uint64_t cut = 0; cut <= ends[3]; cut++) {
            struct buf copy = {0};
            buf_add(&copy, buf_span(&journal));
            memset(copy.p + cut, 0, copy.n - cut);
            struct span left = span_of(copy.p, zeros ? copy.n : cut);
            unsigned whole = whole_records(ends, buf_span(&journal), left);
            lay_out(&b, left);
            buf_free(&copy);
            bench_open(&b);
            assert_int_equal(b.found.messages, whole);
            assert_int_equal(b.found.damaged, 0);
            assert_int_equal(b.seen, b.found.messages);
            bench_close(&b);
            /* Sealed by the recovery: a second one finds the same. */
            bench_open(&b);
            assert_int_equal(b.found.messages, whole);
            assert_int_equal(b.found.torn_bytes + b.found.damaged, 0);
            bench_close(&b);
            remove_tree(b.dir);
            assert_int_equal(mkdir(b.dir, 0700), 0);
        }
    }
    bench_end(&b);
    buf_free(&journal);
}

/* Any one bit wrong in the second record: it alone is missing, and its bytes are kept. */
static void damage_in_the_middle_is_kept(void **state)
{
    (void)state;
    uint64_t ends[4];
    struct buf journal = crashed_journal(ends);
    struct bench b;
    bench_begin(&b);
    b.o.segment_size = 4096;
    struct record r;
    uint64_t salt;
    assert_true(segment_header_read(buf_span(&journal), 1, &salt));
    assert_true(record_header_read(span_from(buf_span(&journal), ends[1]), salt, &r));
    uint64_t used = RECORD_HEADER + r.meta_size + r.data_size;
    for (uint64_t at = ends[1]; at < ends[1] + used; at += 3) {
        struct buf copy = {0};
        buf_add(&copy, buf_span(&journal));
        copy.p[at] ^= 0x10;
        lay_out(&b, buf_span(&copy));
        buf_free(&copy);
        bench_open(&b);
        assert_int_equal(b.found.messages, 2);
        assert_int_equal(b.found.damaged, 1);
        assert_null(queue_find(b.q, SPAN(ID2)));
        assert_non_null(queue_find(b.q, SPAN(ID3)));
        char path[128];
        struct stat st;
        snprintf(path, sizeof path, "%s/damaged/0000000000000001-%llu", b.dir,
                 (unsigned long long)ends[1]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, ends[2] - ends[1]);
        bench_close(&b);
        remove_tree(b.dir);
        assert_int_equal(mkdir(b.dir, 0700), 0);
    }
    bench_end(&b);
    buf_free(&journal);
}

/* A disk that can't be read for a while must not cost a byte: nothing is cut, sealed or removed,
 * and when it can be read again everything is there. At every record's begin, and at the header. */
static void what_cannot_be_read_is_left_alone(void **state)
{
    (void)state;
    uint64_t ends[4];
    struct buf journal = crashed_journal(ends);
    off_t from[] = {0, 10, (off_t)ends[0], (off_t)ends[1], (off_t)ends[2] + 50, (off_t)ends[3]};
    unsigned known[] = {0, 0, 0, 1, 2, 3};
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        struct bench b;
        bench_begin(&b);
        b.o.segment_size = 4096;
        lay_out(&b, buf_span(&journal));
        readable = from[i];
        bench_open(&b);
        readable = INT64_MAX;
        assert_int_equal(b.found.unreadable, 1);
        assert_int_equal(b.found.messages, known[i]);
        /* New mail goes on, and what is finished does not take the segment with it. */
        put(&b, message("0000000000000009", two, 1, SPAN("x\r\n")));
        assert_int_equal(b.last, QUEUE_OK);
        bench_close(&b);
        bench_open(&b);
        assert_int_equal(b.found.unreadable + b.found.damaged, 0);
        assert_int_equal(b.found.messages, 4);
        bench_end(&b);
    }
    buf_free(&journal);
}

/* Trouble of the disk and damage of a message are told apart: the one passes, the other does not.
 */
static void unreadable_is_not_damaged(void **state)
{
    (void)state;
    struct bench b;
    struct queue_meta meta;
    struct err e = {0};
    char piece[16];
    struct arena *a = arena_new(0);
    bench_begin(&b);
    bench_open(&b);
    put(&b, message(ID1, two, 2, SPAN("x\r\n")));
    struct queue_msg *m = queue_find(b.q, SPAN(ID1));
    readable = 0;
    assert_int_equal(queue_meta(b.q, m, a, &meta, &e), -1);
    assert_int_equal(e.sys, EIO);
    assert_int_equal(queue_read(b.q, m, 0, piece, sizeof piece), -1);
    readable = INT64_MAX;
    assert_int_equal(queue_meta(b.q, m, a, &meta, &e), 0);
    char path[128];
    snprintf(path, sizeof path, "%s/0000000000000001", b.dir);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "!", 1, (off_t)m->at + RECORD_HEADER + 4), 1);
    close(fd);
    e = (struct err){0};
    assert_int_equal(queue_meta(b.q, m, a, &meta, &e), -1);
    assert_int_equal(e.sys, 0);
    bench_end(&b);
    arena_free(a);
}

/* A message that holds a copy of a record is a message, also when it is damaged. */
static void nobody_mails_us_a_record(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    b.o.segment_size = 1 << 16;
    bench_open(&b);
    struct queue_meta meta = {.id = ID2, .env.rcpts = two, .env.nrcpts = 1};
    struct buf body = {0}, inner = {0};
    record_meta_encode(&inner, &meta, NULL);
    struct record r = {.type = RECORD_MESSAGE,
                       .meta_size = (uint32_t)inner.n,
                       .meta_crc = crc32c(0, inner.p, inner.n)};
    /* All offsets modulo 8, the salt guessed as 0. */
    for (int i = 0; i < 8; i++) {
        record_header_write(buf_room(&body, RECORD_HEADER), &r, 0);
        body.n += RECORD_HEADER;
        buf_add(&body, buf_span(&inner));
        buf_char(&body, 'x');
    }
    put(&b, message(ID1, two, 1, buf_span(&body)));
    put(&b, message(ID3, two, 1, SPAN("x\r\n")));
    char path[128];
    snprintf(path, sizeof path, "%s/0000000000000001", b.dir);
    uint64_t at = queue_find(b.q, SPAN(ID1))->at;
    bench_close(&b);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "!", 1, (off_t)at + 45), 1);
    close(fd);
    bench_open(&b);
    assert_int_equal(b.found.messages, 1);
    assert_int_equal(b.found.damaged, 1);
    assert_null(queue_find(b.q, SPAN(ID2)));
    buf_free(&body);
    buf_free(&inner);
    bench_end(&b);
}

static void metas_survive_the_round_trip(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct queue_meta in = {.id = ID1 ".2", .flags = QUEUE_NO_BOUNCE, .created = 77};
    struct queue_meta out;
    struct queue_rcpt *states;
    in.env.from = SPAN("s@example.org");
    in.env.rcpts = two;
    in.env.nrcpts = 2;
    in.env.envid = SPAN("env+1");
    in.env.ret = RET_HDRS;
    in.peer.helo = SPAN("h");
    struct buf b = {0};
    record_meta_encode(&b, &in, NULL);
    assert_true(record_meta_decode(buf_span(&b), a, &out, &states));
    assert_string_equal(out.id, in.id);
    assert_int_equal(out.flags, QUEUE_NO_BOUNCE);
    assert_true(span_eq(out.env.rcpts[1].addr, two[1].addr));
    assert_true(span_eq(out.env.envid, in.env.envid));
    assert_int_equal(out.env.ret, RET_HDRS);
    assert_true(span_eq(out.peer.helo, SPAN("h")));
    assert_int_equal(states[0].state, Q_WAITING);
    for (size_t n = 0; n < b.n; n++)
        assert_false(record_meta_decode(span_of(b.p, n), a, &out, &states));
    /* What a message takes along comes last, and older ones have none. */
    size_t older = b.n;
    assert_null(out.known.p);
    buf_clear(&b);
    in.known = SPAN("facts");
    record_meta_encode(&b, &in, NULL);
    assert_true(record_meta_decode(buf_span(&b), a, &out, &states));
    assert_true(span_eq(out.known, SPAN("facts")));
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(record_meta_decode(span_of(b.p, n), a, &out, &states), n == older);
    buf_free(&b);
    arena_free(a);
}

static void ids_are_checked(void **state)
{
    (void)state;
    assert_true(queue_id_valid(SPAN(ID1)));
    assert_true(queue_id_valid(SPAN(ID1 ".12")));
    assert_false(queue_id_valid(SPAN(ID1 ".")));
    assert_false(queue_id_valid(SPAN(ID1 "x1")));
    assert_false(queue_id_valid(SPAN("../../../../etc/")));
    char out[QUEUE_ID_SIZE];
    assert_string_equal(queue_id(out, ID1, 0), ID1);
    assert_string_equal(queue_id(out, ID1, 3), ID1 ".3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_castagnoli),
        cmocka_unit_test(metas_survive_the_round_trip),
        cmocka_unit_test(ids_are_checked),
        cmocka_unit_test(torn_at_every_byte),
        cmocka_unit_test(damage_in_the_middle_is_kept),
        cmocka_unit_test(what_cannot_be_read_is_left_alone),
        cmocka_unit_test(unreadable_is_not_damaged),
        cmocka_unit_test(nobody_mails_us_a_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
