/* Paths, mailboxes, domains, parameters, XCLIENT: nothing with a control character comes through,
 * and what was read once reads the same again. */
#include <stdlib.h>

#include "smtp/params.h"
#include "smtp/path.h"
#include "smtp/xclient.h"

static void no_controls(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of((const char *)data, size), rest = in;
    struct smtp_path p, again;
    for (int utf8 = 0; utf8 < 2; utf8++) {
        rest = in;
        if (path_parse(&rest, utf8, &p) == PATH_OK && !p.null) {
            no_controls(path_addr(&p));
            if (mailbox_parse(path_addr(&p), utf8, &again) != PATH_OK ||
                !span_eq(path_addr(&p), path_addr(&again)) || p.at != again.at)
                abort();
            if (p.non_ascii && !utf8)
                abort();
        }
        struct rcpt_params r;
        char name[PARAM_NAME_SIZE];
        if (rcpt_params_parse(in, utf8, &r, name) == PARAM_OK)
            no_controls(r.orcpt);
    }
    mailbox_parse(in, true, &p);
    struct mail_params m;
    char name[PARAM_NAME_SIZE];
    if (mail_params_parse(in, true, &m, name) == PARAM_OK)
        no_controls(m.envid);
    struct xclient x;
    if (xclient_parse(in, &x)) {
        no_controls(x.helo);
        no_controls(x.login);
        no_controls(x.name);
    }
    return 0;
}
