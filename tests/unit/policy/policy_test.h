/* Policies from YAML, a message from text. */
#ifndef POLICY_TEST_H
#define POLICY_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "policy/policy.h"

struct scene {
    struct settings *set;
    struct policy_set *ps;
    struct message *m;
    struct parts *parts;
};

static inline struct settings *settings_of(const char *yaml)
{
    struct err e = {0};
    char path[64];
    int fd = memfd_create("settings", 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), strlen(yaml));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct settings *s = settings_load(path, &e);
    close(fd);
    if (!s)
        fail_msg("%s", e.text);
    return s;
}

static inline struct scene scene_of(const char *yaml, const char *raw)
{
    struct scene s = {.set = settings_of(yaml)};
    s.ps = policy_set_new(s.set);
    s.m = message_new(0);
    s.m->has_envelope = true;
    s.m->env.from = SPAN("ann@sender.example");
    s.m->peer.has_ip = ip_parse(SPAN("192.0.2.7"), &s.m->peer.ip);
    s.m->peer.name = SPAN("mail.sender.example");
    s.m->peer.helo = SPAN("helo.sender.example");
    s.m->peer.listener = SPAN("mx");
    s.m->raw = arena_dup(s.m->arena, span_str(raw));
    struct mime *mime = mime_parse(s.m->arena, s.m->raw, NULL);
    s.parts = parts_new(mime, policy_set_magic(s.ps), s.m->arena);
    return s;
}

static inline void scene_end(struct scene *s)
{
    policy_set_free(s->ps);
    message_free(s->m);
    settings_free(s->set);
}

static inline struct policy_view view_at(struct scene *s, enum policy_stage stage, const char *rcpt)
{
    struct policy_view v = policy_view_of(s->ps, s->m, s->parts, s->m->arena);
    v.stage = stage;
    v.rcpt = span_str(rcpt);
    if (stage < STAGE_END)
        v.m = NULL, v.parts = NULL, v.content = NULL;
    return v;
}

/* One policy with these conditions ("helo: x") against the message. */
static inline enum match match_of(struct scene *s, enum policy_stage stage, const char *rcpt)
{
    struct policy_view v = view_at(s, stage, rcpt);
    return policy_match(s->ps, 0, &v, NULL);
}

#endif
