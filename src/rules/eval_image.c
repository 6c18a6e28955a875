/* ImageInfo (semantics 8.3): how many pictures, how large, how much text beside them. */
#include "rules/eval_state.h"

#include "rules/eval.h"

#include <math.h>

enum image_type { IMAGE_GIF, IMAGE_PNG, IMAGE_JPEG, IMAGE_ALL, IMAGE_TYPES };

struct image_size {
    enum image_type type;
    uint32_t width, height;
    struct span name;
};

struct image_counts {
    double count[IMAGE_TYPES], area[IMAGE_TYPES];
    struct image_size *v;
    size_t n, cap;
};

static uint32_t be16(struct span s, size_t at)
{
    const unsigned char *p = (const unsigned char *)s.p + at;
    return at + 2 <= s.n ? (uint32_t)p[0] << 8 | p[1] : 0;
}

static uint32_t be32(struct span s, size_t at)
{
    return at + 4 <= s.n ? be16(s, at) << 16 | be16(s, at + 2) : 0;
}

static uint32_t le16(struct span s, size_t at)
{
    const unsigned char *p = (const unsigned char *)s.p + at;
    return at + 2 <= s.n ? (uint32_t)p[1] << 8 | p[0] : 0;
}

static void read_gif(struct span s, struct image_size *out)
{
    if (!span_starts(s, SPAN("GIF87a")) && !span_starts(s, SPAN("GIF89a")))
        return;
    out->width = le16(s, 6);
    out->height = le16(s, 8);
}

/* Looked through in steps of eight bytes, as SpamAssassin does. */
static void read_png(struct span s, struct image_size *out)
{
    if (!span_starts(s, SPAN("\x89PNG\r\n\x1a\n")))
        return;
    for (size_t at = 8; at + 8 <= s.n; at += 8) {
        struct span type = span_sub(s, at + 4, at + 8);
        if (span_eq(type, SPAN("IEND")))
            return;
        if (span_eq(type, SPAN("IHDR")) && be32(s, at) == 13) {
            out->width = be32(s, at + 8);
            out->height = be32(s, at + 12);
            return;
        }
    }
}

/* Start of frame, any coding. */
static bool is_frame(uint32_t mark)
{
    return mark >= 0xc0 && mark <= 0xcf && mark != 0xc4 && mark != 0xc8 && mark != 0xcc;
}

static void read_jpeg(struct span s, struct image_size *out)
{
    if (!span_starts(s, SPAN("\xff\xd8")))
        return;
    for (size_t at = 2; at + 4 <= s.n;) {
        uint32_t mark = be16(s, at), len = be16(s, at + 2);
        if (mark >> 8 != 0xff || (mark & 0xff) == 0xda || (mark & 0xff) == 0xd9 || len < 2)
            return;
        if (is_frame(mark & 0xff)) {
            out->height = be16(s, at + 5);
            out->width = be16(s, at + 7);
            return;
        }
        at += 2 + len;
    }
}

static bool image_type(struct span type, enum image_type *out)
{
    static const struct {
        const char *name;
        enum image_type type;
    } table[] = {{"image/gif", IMAGE_GIF},
                 {"image/png", IMAGE_PNG},
                 {"image/jpeg", IMAGE_JPEG},
                 {"image/jpg", IMAGE_JPEG}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (span_eq(type, span_str(table[i].name))) {
            *out = table[i].type;
            return true;
        }
    return false;
}

static void add_image(struct rules_ctx *c, struct image_counts *t, struct mime_part *p)
{
    struct image_size size = {.name = p->name};
    struct mime_field *f = mime_last(&p->fields, SPAN("Content-Transfer-Encoding"));
    if (!image_type(p->type, &size.type) || !f ||
        !span_ieq(mime_decoded(c->mime, f), SPAN("base64")))
        return;
    struct span body = mime_body(c->mime, p);
    switch (size.type) {
    case IMAGE_GIF:
        read_gif(body, &size);
        break;
    case IMAGE_PNG:
        read_png(body, &size);
        break;
    default:
        read_jpeg(body, &size);
    }
    t->count[size.type]++;
    t->count[IMAGE_ALL]++;
    double area = (double)size.width * (double)size.height;
    if (area > 0) {
        t->area[size.type] += area;
        t->area[IMAGE_ALL] += area;
        *ARENA_PUSH(c->a, t->v, t->n, t->cap) = size;
    }
}

static struct image_counts *images(struct rules_ctx *c)
{
    struct eval_state *s = eval_state(c);
    if (!s->image) {
        s->image = ARENA_NEW(c->a, struct image_counts);
        for (struct mime_part *p = c->mime->root; p; p = mime_next(p))
            if (p->leaf)
                add_image(c, s->image, p);
    }
    return s->image;
}

static int which(struct span name)
{
    static const char *const names[] = {"gif", "png", "jpeg", "all"};
    for (int i = 0; i < IMAGE_TYPES; i++)
        if (span_eq(name, span_str(names[i])))
            return i;
    return -1;
}

static bool between(const struct eval_call *call, double v)
{
    return v >= eval_number(call, 1, 0) && v <= eval_number(call, 2, INFINITY);
}

static double image_count(struct rules_ctx *c, const struct eval_call *call)
{
    int type = which(eval_arg(call, 0));
    return type >= 0 && call->nargs > 1 && between(call, images(c)->count[type]);
}

static double pixel_coverage(struct rules_ctx *c, const struct eval_call *call)
{
    int type = which(eval_arg(call, 0));
    return type >= 0 && call->nargs > 1 && between(call, images(c)->area[type]);
}

/* Of the rendered text in a body rule, of the raw text in a rawbody rule. */
static double image_to_text_ratio(struct rules_ctx *c, const struct eval_call *call)
{
    int type = which(eval_arg(call, 0));
    const struct lines *lines = call->type == EVAL_RAWBODY ? &c->text->rawbody : &c->text->body;
    double text = 0;
    for (size_t i = 0; i < lines->n; i++)
        text += (double)lines->v[i].n;
    if (type < 0 || call->nargs < 3 || text == 0 || images(c)->area[type] == 0)
        return 0;
    double ratio = text / images(c)->area[type];
    return ratio >= eval_number(call, 1, 0) && ratio < eval_number(call, 2, 0);
}

static double image_size_exact(struct rules_ctx *c, const struct eval_call *call)
{
    int type = which(eval_arg(call, 0));
    const struct image_counts *t = images(c);
    for (size_t i = 0; i < t->n; i++)
        if ((type == IMAGE_ALL || type == (int)t->v[i].type) &&
            t->v[i].height == eval_number(call, 1, -1) && t->v[i].width == eval_number(call, 2, -1))
            return 1;
    return 0;
}

static double image_size_range(struct rules_ctx *c, const struct eval_call *call)
{
    int type = which(eval_arg(call, 0));
    const struct image_counts *t = images(c);
    for (size_t i = 0; i < t->n; i++)
        if ((type == IMAGE_ALL || type == (int)t->v[i].type) &&
            t->v[i].height >= eval_number(call, 1, INFINITY) &&
            t->v[i].width >= eval_number(call, 2, INFINITY) &&
            t->v[i].height <= eval_number(call, 3, INFINITY) &&
            t->v[i].width <= eval_number(call, 4, INFINITY))
            return 1;
    return 0;
}

static double image_named(struct rules_ctx *c, const struct eval_call *call)
{
    const struct image_counts *t = images(c);
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].name.n && span_eq(t->v[i].name, eval_arg(call, 0)))
            return 1;
    return 0;
}

static int prepare_name(struct arena *a, const struct conf *conf, struct eval_call *call,
                        struct err *e)
{
    (void)conf;
    call->prepared = regex_new(a, eval_arg(call, 0), SPAN_NONE, e);
    return call->prepared ? 0 : -1;
}

static double image_name_regex(struct rules_ctx *c, const struct eval_call *call)
{
    const struct image_counts *t = images(c);
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].name.n && regex_hit(call->prepared, t->v[i].name))
            return 1;
    return 0;
}

#define ROW(fn)                                                                                    \
    {                                                                                              \
#fn, "ImageInfo", fn, .types = EVAL_BODIES                                                 \
    }
#define PREPARED(fn, how)                                                                          \
    {                                                                                              \
#fn, "ImageInfo", fn, .types = EVAL_BODIES, .prepare = how                                 \
    }
const struct eval_fn_def eval_image[] = {
    ROW(image_count),
    ROW(pixel_coverage),
    ROW(image_to_text_ratio),
    ROW(image_size_exact),
    ROW(image_size_range),
    ROW(image_named),
    PREPARED(image_name_regex, prepare_name),
    {NULL},
};
