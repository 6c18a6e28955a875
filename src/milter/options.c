#include "milter/options.h"

/* What the MTA is asked for (at most 50 names for each stage are honoured by Sendmail). */
static const struct {
    uint32_t stage; /* SMFIM */
    const char *names;
} macros[] = {
    {0, "j v {daemon_name} {daemon_port} {client_addr} {client_name} {client_ptr} {client_port}"},
    {1, "{tls_version} {cipher} {cipher_bits}"},
    {2, "i {auth_type} {auth_authen} {tls_version} {cipher} {client_addr} {client_name} "
        "{client_port}"},
    {3, "i {rcpt_mailer} {rcpt_host} {rcpt_addr}"},
    {5, "i {auth_authen}"},
};

bool milter_offer_parse(struct span data, struct milter_options *offer)
{
    if (data.n < 12)
        return false;
    *offer =
        (struct milter_options){milter_u32(data.p), milter_u32(data.p + 4), milter_u32(data.p + 8)};
    return offer->version >= MILTER_VERSION_MIN;
}

/* Rather not sent at all than not answered. */
static uint32_t quiet(uint32_t offered, uint32_t no, uint32_t nr)
{
    return offered & no ? no : offered & nr;
}

struct milter_options milter_choose(const struct milter_options *offer, uint32_t wanted, bool helo)
{
    uint32_t o = offer->steps;
    uint32_t steps =
        quiet(o, MILTER_NO_UNKNOWN, MILTER_NR_UNKNOWN) | quiet(o, MILTER_NO_DATA, MILTER_NR_DATA);
    steps |= o & (helo ? 0 : MILTER_NR_HELO);
    steps |= o & (MILTER_NR_HEADER | MILTER_NR_EOH | MILTER_NR_BODY | MILTER_LEADING_SPACE);
    if (!(o & MILTER_NR_BODY))
        steps |= o & MILTER_CAN_SKIP;
    return (struct milter_options){
        .version = offer->version < MILTER_VERSION ? offer->version : MILTER_VERSION,
        .actions = offer->actions & wanted,
        .steps = steps,
    };
}

void milter_answer_offer(struct buf *b, const struct milter_options *chosen)
{
    struct buf data = {0};
    milter_add_u32(&data, chosen->version);
    milter_add_u32(&data, chosen->actions);
    milter_add_u32(&data, chosen->steps);
    bool ask = chosen->version >= 6 && (chosen->actions & MILTER_CAN_SET_MACROS);
    for (size_t i = 0; ask && i < sizeof macros / sizeof *macros; i++) {
        milter_add_u32(&data, macros[i].stage);
        buf_str(&data, macros[i].names);
        buf_char(&data, '\0');
    }
    milter_packet(b, MILTER_OPTNEG, buf_span(&data));
    buf_free(&data);
}
