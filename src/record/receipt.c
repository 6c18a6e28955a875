#include "record/db_private.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/xalloc.h"

/* Stored form: one byte that tells the form, u32 length of the JSON, the bytes. A change of the
 * dictionary is a new form; the old one stays, for the records that were written with it. */
enum form { FORM_PLAIN = 'p', FORM_DEFLATE_1 = '1' };
enum { HEAD = 5, SMALL = 64 };

/* Most useful at the end (deflate refers back over shorter distances more cheaply). */
static const char dictionary_1[] =
    "BODY: RAW: URI: \"smtputf8\":true,\"unscanned\":true,\"reason\":\"virus engine does not "
    "answer\","
    "\"reason\":\"policy "
    "\"outcome\":\"hold\",\"outcome\":\"defer\",\"outcome\":\"reject\",\"reason\":"
    "\"virus\",\"state\":\"found\",\"state\":\"no engine\",\"state\":\"error\",\"state\":\"not "
    "run\","
    "\"SPF_HELO_NONE\",\"SPF_PASS\",\"DKIM_SIGNED\",\"MISSING_MID\",\"HTML_IMAGE_RATIO_\",\"RDNS_"
    "NONE\","
    "\"MISSING_HEADERS\",\"MIME_HTML_ONLY\",\"description\":\"Message only has text/html MIME "
    "parts\","
    "\"FREEMAIL_FROM\",\"description\":\"Sender email is commonly abused enduser mail provider\","
    "\"HTML_MESSAGE\",\"score\":0.001,\"area\":\"BODY\",\"description\":\"HTML included in "
    "message\","
    "\"T_SCC_BODY_TEXT_LINE\",\"score\":-0.01,\"description\":\"No description available.\","
    "\"autolearn\":\"unavailable\",\"autolearn\":\"no\",\"hits\":[{\"name\":\"\",\"score\":0.1,"
    "\"description\":\"\",\"evidence\":\"\",\"count\":2},{\"name\":\"\",\"score\":1,\"area\":"
    "\"BODY\",\"description\":\""
    "\"}],\"subrules\":[\"__HAS_FROM\",\"__HAS_MESSAGE_ID\",\"__HAS_MSGID\",\"__HAS_RCVD\",\"__HAS_"
    "SUBJECT\","
    "\"__HAS_TO\",\"__HAVE_BOUNCE_RELAYS\",\"__HTML_LINK_IMAGE\",\"__KAM_BODY_LENGTH_LT_1024\","
    "\"__MIME_HTML\",\"__MIME_VERSION\",\"__MSGID_OK_DIGITS\",\"__MSGID_OK_HOST\",\"__NONEMPTY_"
    "BODY\","
    "\"__RCVD_IN_\",\"__SANE_MSGID\",\"__SUBJECT_ENCODED_B64\",\"__TAG_EXISTS_BODY\",\"__TAG_"
    "EXISTS_HEAD\","
    "\"__TAG_EXISTS_HTML\",\"__TAG_EXISTS_META\",\"__TOCC_EXISTS\",\"__TO_NO_ARROWS_R\",\"__LAST_"
    "UNTRUSTED_"
    "RELAY_NO_AUTH\",\"__CT\",\"__CTE\",\"__CT_TEXT_PLAIN\",\"__DKIM_DEPENDABLE\",\"__ANY_TEXT_"
    "ATTACH\","
    "\"__BODY_TEXT_LINE\",\"__E_LIKE_LETTER\",\"__DOS_HAS_ANY_URI\",\"__DOS_RCVD_\",\"__LOWER_E\"]}"
    ","
    "{\"receipt\":1,\"id\":\"00\",\"time\":\"20\",\"gateway\":\"\",\"software\":\"gatehouse "
    "0.1.0\","
    "\"configuration\":\"/etc/gatehouse/"
    "gatehouse.yaml\",\"size\":10,\"micros\":10,\"peer\":{\"ip\":\"\","
    "\"port\":,\"name\":\"\",\"helo\":\"\",\"listener\":\"mx\",\"protocol\":\"ESMTPS\",\"tls\":"
    "\"TLSv1.3\","
    "\"cipher\":\"TLS_AES_256_GCM_SHA384\",\"user\":\"\"},\"envelope\":{\"from\":\"\",\"to\":[\"\"]"
    "},"
    "\"decisions\":[{\"outcome\":\"tag\",\"reason\":\"spam\",\"detail\":\"score  >= "
    "5.0\",\"outcome\":"
    "\"accept\",\"reason\":\"clean\",\"detail\":\"score  < "
    "5.0\",\"policy\":\"default\",\"spam\":false,"
    "\"required\":5,\"recipients\":[\"\"]}],\"rules\":{\"ran\":true,\"score\":,\"required\":5,"
    "\"version\":\"4.0.1\",\"autolearn\":\"no\"},\"virus\":{\"state\":\"clean\",\"engine\":\"clamd "
    "1.4.6/"
    "\"},\"skipped\":[],\"facts\":{}}";

struct packer {
    z_stream pack, unpack;
};

struct packer *packer_new(void)
{
    struct packer *p = xcalloc(1, sizeof *p);
    if (deflateInit2(&p->pack, 3, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
        inflateInit2(&p->unpack, -15) != Z_OK)
        abort();
    return p;
}

void packer_free(struct packer *p)
{
    if (!p)
        return;
    deflateEnd(&p->pack);
    inflateEnd(&p->unpack);
    free(p);
}

void receipt_pack(struct packer *p, struct span json, struct buf *out)
{
    z_stream *z = &p->pack;
    bool small = json.n < SMALL || json.n > RECORD_RECEIPT_MAX;
    buf_u8(out, small ? FORM_PLAIN : FORM_DEFLATE_1);
    buf_u32(out, (uint32_t)json.n);
    if (small) {
        buf_add(out, json);
        return;
    }
    deflateReset(z);
    deflateSetDictionary(z, (const Bytef *)dictionary_1, sizeof dictionary_1 - 1);
    size_t most = deflateBound(z, json.n);
    z->next_in = (Bytef *)(uintptr_t)json.p;
    z->avail_in = (uInt)json.n;
    z->next_out = (Bytef *)buf_room(out, most);
    z->avail_out = (uInt)most;
    deflate(z, Z_FINISH);
    out->n += most - z->avail_out;
    out->p[out->n] = '\0';
}

bool receipt_unpack(struct packer *p, struct span packed, struct buf *out)
{
    struct cursor c = cursor_over(packed);
    uint8_t form = cursor_u8(&c);
    size_t size = cursor_u32(&c);
    if (c.failed || size > RECORD_RECEIPT_MAX)
        return false;
    if (form == FORM_PLAIN) {
        buf_add(out, c.rest);
        return c.rest.n == size;
    }
    if (form != FORM_DEFLATE_1)
        return false;
    z_stream *z = &p->unpack;
    inflateReset(z);
    inflateSetDictionary(z, (const Bytef *)dictionary_1, sizeof dictionary_1 - 1);
    z->next_in = (Bytef *)(uintptr_t)c.rest.p;
    z->avail_in = (uInt)c.rest.n;
    z->next_out = (Bytef *)buf_room(out, size);
    z->avail_out = (uInt)size;
    int code = inflate(z, Z_FINISH);
    out->n += size - z->avail_out;
    out->p[out->n] = '\0';
    return code == Z_STREAM_END && z->avail_out == 0;
}
