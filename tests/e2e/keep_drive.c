/* Fills a state directory with records and held mail, for test_keep.py: keep_drive STATE COUNT.
 * Message i (from 0) has the id 3K7F0Q2M8TZC%04d, arrived i seconds after 2026-11-22T07:30:00Z;
 * every third is held in the quarantine. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "quarantine/quarantine.h"
#include "record/record.h"

static const char receipt[] =
    "{\"receipt\":1,\"id\":\"%s\",\"gateway\":\"gate.example.org\",\"software\":\"gatehouse\","
    "\"configuration\":\"test.yaml\",\"peer\":{\"protocol\":\"ESMTPS\",\"tls\":\"TLSv1.3\"},"
    "\"rules\":{\"ran\":true,\"score\":%d,\"required\":5,\"hits\":[{\"name\":\"RULE_%d\",\"score\":"
    "%d,\"area\":\"BODY\",\"description\":\"says \\u001b[31mred\",\"evidence\":\"buy now\"}],"
    "\"subrules\":[\"__SUB\"]},\"virus\":{\"state\":\"clean\",\"engine\":\"clamd 1.4.6\"},"
    "\"skipped\":[{\"check\":\"rules/SLOW\",\"why\":\"match limit\"}],\"facts\":{\"mime.parts\":"
    "\"3\"}}";

int main(int argc, char **argv)
{
    struct err e;
    if (argc != 3)
        return EXIT_USAGE;
    struct record *r = record_open(argv[1], 1000, 0, &e);
    struct quarantine *q = r ? quarantine_open(argv[1], (usec)86400 * USEC_PER_SEC, &e) : NULL;
    if (!q) {
        fprintf(stderr, "%s\n", e.text);
        return EXIT_TEMPFAIL;
    }
    long count = strtol(argv[2], NULL, 10);
    for (int i = 0; i < (int)count; i++) {
        struct rcpt to[2] = {{.addr = SPAN("bob@example.org")},
                             {.addr = i % 2 ? SPAN("eve@sales.example.org") : SPAN("x@y.example")}};
        struct envelope env = {.from = SPAN("ann@sender.example"), .rcpts = to, .nrcpts = 2};
        struct peer peer = {.has_ip = true, .helo = SPAN("client.example"), .listener = SPAN("mx")};
        uint32_t both[] = {0, 1};
        char id[32], text[2048];
        ip_parse(SPAN("192.0.2.7"), &peer.ip);
        snprintf(id, sizeof id, "3K7F0Q2M8TZC%04d", i);
        snprintf(text, sizeof text, receipt, id, i, i, i);
        struct record_group g = {.outcome = i % 3 ? "accept" : "hold",
                                 .policy = SPAN("default"),
                                 .reason = i % 3 ? SPAN("clean") : SPAN("spam"),
                                 .reply = SPAN("250 2.0.0 Ok: queued"),
                                 .rcpts = both,
                                 .nrcpts = 2};
        usec when = ((usec)1795332600 + i) * USEC_PER_SEC;
        record_add(r, &(struct record_entry){.id = id,
                                             .received = when,
                                             .size = 4711,
                                             .peer = &peer,
                                             .env = &env,
                                             .score = i,
                                             .required = 5,
                                             .subject = SPAN("Subject \x1b[2J \xc3\xbc \xff"),
                                             .receipt = span_str(text),
                                             .micros = 1500,
                                             .groups = &g,
                                             .ngroups = 1});
        record_event(r, &(struct record_event){.id = id,
                                               .when = when + USEC_PER_SEC,
                                               .kind = RECORD_DELIVERED,
                                               .rcpt = to[0].addr,
                                               .where = SPAN("mx.example.org[192.0.2.9]:25"),
                                               .text = SPAN("250 2.0.0 kept")});
        if (i % 3)
            continue;
        int fd = memfd_create("message", 0);
        dprintf(fd, "Subject: held\r\n\r\nbody %d\r\n", i);
        if (quarantine_hold(q,
                            &(struct quarantine_hold){.id = id,
                                                      .received = when,
                                                      .peer = &peer,
                                                      .env = &env,
                                                      .reason = SPAN("spam"),
                                                      .policy = SPAN("default"),
                                                      .score = i,
                                                      .subject = SPAN("held")},
                            fd, &e)) {
            fprintf(stderr, "%s\n", e.text);
            return EXIT_TEMPFAIL;
        }
        close(fd);
    }
    quarantine_close(q);
    record_close(r);
    return 0;
}
