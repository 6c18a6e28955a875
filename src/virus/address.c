#include "virus/clamd_private.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/un.h>

static int unix_address(struct span path, struct clamd_address *out, struct err *e)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->addr;
    if (path.n == 0 || path.n >= sizeof un->sun_path)
        return err_set(e, "unix:%.*s: the path of a socket has 1 to %zu bytes", SPAN_ARG(path),
                       sizeof un->sun_path - 1);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.p, path.n);
    out->len = sizeof *un;
    out->is_unix = true;
    return 0;
}

int clamd_address_parse(const char *text, struct clamd_address *out, struct err *e)
{
    struct span s = span_str(text);
    *out = (struct clamd_address){0};
    if (span_starts(s, SPAN("unix:")))
        return unix_address(span_from(s, 5), out, e);
    size_t colon = span_rfind(s, ':');
    struct span host = span_sub(s, 0, colon == SIZE_MAX ? 0 : colon);
    struct span port = colon == SIZE_MAX ? SPAN_NONE : span_from(s, colon + 1);
    if (span_starts(host, SPAN("[")) && span_ends(host, SPAN("]")))
        host = span_sub(host, 1, host.n - 1);
    char h[256], p[8];
    if (host.n == 0 || host.n >= sizeof h || port.n == 0 || port.n >= sizeof p)
        return err_set(e, "%s: expected unix:PATH or HOST:PORT", text);
    snprintf(h, sizeof h, "%.*s", SPAN_ARG(host));
    snprintf(p, sizeof p, "%.*s", SPAN_ARG(port));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    int code = getaddrinfo(h, p, &hints, &found);
    if (code)
        return err_set(e, "%s: %s", text, gai_strerror(code));
    memcpy(&out->addr, found->ai_addr, found->ai_addrlen);
    out->len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}
