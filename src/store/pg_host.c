/* The C library looks the name up in a thread of its own (getaddrinfo_a); who gives up leaves it
 * its memory, and takes up the same look-up at the next question. */
#include "store/pg_host.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <libpq-fe.h>

#include "base/xalloc.h"

struct pg_host {
    struct gaicb request;
    struct addrinfo hints;
    char *name;
};

static bool is_name(const char *host)
{
    struct addrinfo *found = NULL;
    const struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST};
    if (!host || !*host || host[0] == '/' || host[0] == '@' || strchr(host, ','))
        return false;
    bool address = getaddrinfo(host, NULL, &numeric, &found) == 0;
    if (address)
        freeaddrinfo(found);
    return !address;
}

/* Free it; NULL: there is nothing to look up, or the words are wrong (libpq will tell). */
static char *name_in(const char *dsn)
{
    PQconninfoOption *all = PQconninfoParse(dsn, NULL);
    const char *host = NULL, *address = NULL;
    for (PQconninfoOption *o = all; o && o->keyword; o++) {
        if (strcmp(o->keyword, "host") == 0)
            host = o->val;
        else if (strcmp(o->keyword, "hostaddr") == 0)
            address = o->val;
    }
    char *name = (!address || !*address) && is_name(host) ? xstrdup(host) : NULL;
    PQconninfoFree(all);
    return name;
}

/* A look-up that is still under way keeps its memory: the thread writes there. */
void pg_host_free(struct pg_host *h)
{
    if (!h || (gai_error(&h->request) == EAI_INPROGRESS && gai_cancel(&h->request) != EAI_CANCELED))
        return;
    if (h->request.ar_result)
        freeaddrinfo(h->request.ar_result);
    free(h->name);
    free(h);
}

static struct pg_host *begin(char *name)
{
    struct pg_host *h = xcalloc(1, sizeof *h);
    h->name = name;
    h->hints = (struct addrinfo){.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    h->request = (struct gaicb){.ar_name = h->name, .ar_request = &h->hints};
    struct gaicb *list[] = {&h->request};
    if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) == 0)
        return h;
    free(h->name);
    free(h);
    return NULL;
}

/* The answer, or EAI_INPROGRESS. */
static int wait_until(const struct pg_host *h, usec deadline)
{
    const struct gaicb *const list[] = {&h->request};
    int state;
    while ((state = gai_error((struct gaicb *)(uintptr_t)&h->request)) == EAI_INPROGRESS) {
        usec left = deadline - clock_mono();
        const struct timespec wait = {(time_t)(left / USEC_PER_SEC),
                                      (long)(left % USEC_PER_SEC) * 1000};
        if (left <= 0 || gai_suspend(list, 1, &wait) == EAI_AGAIN)
            return EAI_INPROGRESS;
    }
    return state;
}

int pg_host_address(struct pg_host **pending, const char *dsn, usec deadline,
                    char out[static NI_MAXHOST], struct err *e)
{
    out[0] = '\0';
    char *name = *pending ? NULL : name_in(dsn);
    if (!*pending && !name)
        return 0;
    struct pg_host *h = *pending ? *pending : begin(name);
    *pending = NULL;
    if (!h)
        return err_set(e, "the look-up of its host can't be started");
    int state = wait_until(h, deadline);
    if (state == EAI_INPROGRESS) {
        *pending = h;
        return err_set(e, "%s: no answer in time from the resolver", h->name);
    }
    if (state == 0)
        state = getnameinfo(h->request.ar_result->ai_addr, h->request.ar_result->ai_addrlen, out,
                            NI_MAXHOST, NULL, 0, NI_NUMERICHOST);
    int rc = state == 0 ? 0 : err_set(e, "%s: %s", h->name, gai_strerror(state));
    pg_host_free(h);
    return rc;
}
