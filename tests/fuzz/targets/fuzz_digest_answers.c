/* What servers of Pyzor, DCC and Razor answer; the first byte says who. */
#include "digests/dcc.h"
#include "digests/pyzor.h"
#include "digests/razor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void razor(struct span s)
{
    enum { ASKED = 5 };
    struct arena *a = arena_new(0);
    struct razor_server server = RAZOR_SERVER_DEFAULT;
    struct razor_signature v[ASKED] = {{0, 4, SPAN("a")}, {0, 8, SPAN("b")}, {1, 4, SPAN("c")}};
    const struct razor_signatures sigs = {v, ASKED, ASKED, 2};
    struct razor_verdict verdicts[RAZOR_PARTS] = {0};
    struct razor_fact f = {0};
    size_t n;
    if (razor_complete(s, &n) && n > s.n)
        __builtin_trap();
    razor_greeting(s, &server);
    razor_state(a, s, &server);
    razor_list(a, s, &n);
    razor_answers(a, s, &sigs, 0, ASKED, 20, verdicts, &f);
    if (server.batch == 0 || server.average > 100 || f.confidence[4] > 100)
        __builtin_trap();
    arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span s = span_of((const char *)data + (size > 0), size - (size > 0));
    struct pyzor_reply reply;
    struct pyzor_account account;
    struct dcc_fact dcc = {0};
    struct err e;
    switch (size ? data[0] % 4 : 0) {
    case 0:
        pyzor_reply_read(s, PYZOR_CHECK, &reply);
        break;
    case 1:
        dcc_answer(s, &dcc);
        break;
    case 2:
        razor(s);
        break;
    default:
        pyzor_account_find(s, SPAN("h"), 1, &account);
        pyzor_accounts_check(s, &e);
    }
    return 0;
}
