#include "deliver/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/xalloc.h"

struct fetch {
    uv_work_t work;
    char *url, *resolve, *type, *authorities;
    size_t most;
    fetch_done *done;
    void *ctx;
    struct buf body;
    struct err e;
    bool ok;
};

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
    struct fetch *f = ctx;
    if (n * size > f->most - f->body.n)
        return 0; /* curl ends with an error */
    buf_add(&f->body, span_of(p, n * size));
    return n * size;
}

static void set_up(struct fetch *f, CURL *c, struct curl_slist *addresses)
{
    curl_easy_setopt(c, CURLOPT_URL, f->url);
    curl_easy_setopt(c, CURLOPT_RESOLVE, addresses);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(FETCH_TIME / 1000));
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(FETCH_TIME / 3000));
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, f);
    if (f->authorities)
        curl_easy_setopt(c, CURLOPT_CAINFO, f->authorities);
}

static bool is_type(const char *given, const char *want)
{
    size_t n = strlen(want);
    return given && strncasecmp(given, want, n) == 0 && (!given[n] || strchr("; \t", given[n]));
}

static void untold(struct fetch *f, CURLcode code)
{
    err_set(&f->e, "%s", curl_easy_strerror(code));
    f->e.sys = code == CURLE_PEER_FAILED_VERIFICATION ? EKEYREJECTED : 0;
}

static void judge(struct fetch *f, CURL *c, CURLcode code)
{
    long status = 0;
    char *type = NULL;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type);
    if (code == CURLE_WRITE_ERROR)
        err_set(&f->e, "longer than %zu bytes", f->most);
    else if (code != CURLE_OK)
        untold(f, code);
    else if (status != 200)
        err_set(&f->e, "the server answers %ld", status);
    else if (!is_type(type, f->type))
        err_set(&f->e, "it is %.60s, not %s", type ? type : "of no type", f->type);
    else
        f->ok = true;
}

/* In a thread of the pool. */
static void work(uv_work_t *w)
{
    struct fetch *f = w->data;
    CURL *c = curl_easy_init();
    struct curl_slist *addresses = curl_slist_append(NULL, f->resolve);
    if (c && addresses) {
        set_up(f, c, addresses);
        judge(f, c, curl_easy_perform(c));
    } else {
        err_set(&f->e, "out of memory");
    }
    curl_slist_free_all(addresses);
    curl_easy_cleanup(c);
}

static void after(uv_work_t *w, int status)
{
    struct fetch *f = w->data;
    if (status != 0)
        err_set(&f->e, "not done");
    bool ok = f->ok && status == 0;
    f->done(f->ctx, ok ? buf_span(&f->body) : SPAN_NONE, ok ? NULL : &f->e);
    buf_free(&f->body);
    free(f->url);
    free(f->resolve);
    free(f->type);
    free(f->authorities);
    free(f);
}

void fetch_text(uv_loop_t *loop, const char *host, const char *url, const struct ip *v, size_t n,
                const char *type, const char *authorities, size_t most, fetch_done *done, void *ctx)
{
    struct fetch *f = xcalloc(1, sizeof *f);
    struct buf b = {0};
    char ip[IP_TEXT_SIZE];
    buf_printf(&b, "%s:%d:", host, FETCH_HTTPS_PORT);
    for (size_t i = 0; i < n && i < FETCH_ADDRESSES_MAX; i++)
        buf_printf(&b, strchr(ip_text(&v[i], ip), ':') ? "%s[%s]" : "%s%s", i ? "," : "", ip);
    *f = (struct fetch){.most = most, .done = done, .ctx = ctx};
    f->url = xstrdup(url);
    f->resolve = xasprintf("%.*s", SPAN_ARG(buf_span(&b)));
    f->type = xstrdup(type);
    f->authorities = authorities ? xstrdup(authorities) : NULL;
    buf_free(&b);
    f->work.data = f;
    uv_queue_work(loop, &f->work, work, after);
}
