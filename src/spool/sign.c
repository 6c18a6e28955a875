/* Signing for the scanners: the spool has the private keys, and looks at no message. An RSA
 * signature takes a millisecond, so it is made in a thread of the loop's pool. */
#include <stdlib.h>
#include <time.h>

#include "auth/signer.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "flow/signing.h"
#include "spool/spool_private.h"

struct signature_job {
    uv_work_t work;
    struct spool *sp;
    uint64_t serial, tag; /* whom to answer */
    struct buf payload, fields;
    struct err e;
    bool made;
};

static void in_thread(uv_work_t *work)
{
    struct signature_job *j = work->data;
    struct sign_request r;
    if (!sign_request_decode(buf_span(&j->payload), &r))
        err_set(&j->e, "the request can't be read");
    else if (!j->sp->signer)
        err_set(&j->e, "the spool has no keys");
    else
        j->made = signer_sign(j->sp->signer, &r, (uint64_t)time(NULL), &j->fields, &j->e) == 0;
}

static void made(uv_work_t *work, int status)
{
    struct signature_job *j = work->data;
    struct spool *sp = j->sp;
    struct peer_link *to = spool_peer(sp, j->serial);
    struct buf b = {0};
    (void)status;
    struct span text = j->made ? buf_span(&j->fields) : span_str(j->e.text);
    sign_answer_encode(&b, &(struct sign_answer){j->made, text});
    if (to)
        link_send(to->link, FRAME_SIGN_RESULT, j->tag, buf_span(&b), -1);
    buf_free(&b);
    buf_free(&j->payload);
    buf_free(&j->fields);
    free(j);
    sp->asking--;
    spool_maybe_done(sp);
}

void sign_request(struct spool *sp, uint64_t serial, uint64_t tag, struct span payload)
{
    struct signature_job *j = xcalloc(1, sizeof *j);
    j->work.data = j;
    j->sp = sp;
    j->serial = serial;
    j->tag = tag;
    buf_add(&j->payload, payload);
    sp->asking++;
    uv_queue_work(&sp->loop, &j->work, in_thread, made);
}
