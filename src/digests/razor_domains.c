/* Where Razor cuts host names. The list is part of what engine 8 hashes: other lists, newer ones
 * too, would make signatures that no server knows. */
#include "digests/razor_private.h"

static const char suffixes[] =
    ".com .net .org .info .biz .edu .gov.ar .int.ar .net.ar .com.ar .mil.ar .ar .com.au "
    ".org.au .gov.au .org.au .id.au .oz.au .info.au .net.au .asn.au .csiro.au .telememo.au "
    ".conf.au edu.au .au .com.az .net.az .org.az .az .art.br .com.br .esp.br .etc.br .g12.br "
    ".gov.br .ind.br .inf.br .mil.br .net.br .org.br .pro.br .psi.br .rec.br .tmp.br .br "
    ".ab.ca .bc.ca .gc.ca .mb.ca .nf.ca .ns.ca .nt.ca .on.ca .pe.ca .qc.ca .sk.ca .yk.ca .ca "
    ".ac.cn .com.cn .edu.cn .gov.cn .net.cn .org.cn .bj.cn .sh.cn .tj.cn .cq.cn .he.cn "
    ".sx.cn .nm.cn .ln.cn .jl.cn .hl.cn .js.cn .zj.cn .ah.cn .hb.cn .hn.cn .gd.cn .gx.cn "
    ".hi.cn .sc.cn .gz.cn .yn.cn .xz.cn .sn.cn .gs.cn .qh.cn .nx.cn .xj.cn .tw.cn .hk.cn "
    ".mo.cn .cn .arts.co .com.co .edu.co .firm.co .gov.co .info.co .int.co .nom.co .mil.co "
    ".org.co .rec.co .store.co .web.co .co .ac.cr .co.cr .ed.cr .fi.cr .go.cr .or.cr .sa.cr "
    ".cr .com.cu .net.cu .org.cu .cu .ac.cy .com.cy .gov.cy .net.cy .org.cy .cy .cz .de "
    ".com.ec .k12.ec .edu.ec .fin.ec .med.ec .gov.ec .mil.ec .org.ec .net.ec .ec .com.eg "
    ".edu.eg .eun.eg .gov.eg .net.eg .org.eg .sci.eg .eg .ac.fj .com.fj .gov.fj .id.fj "
    ".org.fj .school.fj .fj .site.voila.fr .fr .com.ge .edu.ge .gov.ge .mil.ge .net.ge "
    ".org.ge .pvt.ge .ge .co.gg .org.gg .sch.gg .ac.gg .gov.gg .ltd.gg .ind.gg .net.gg "
    ".alderney.gg .guernsey.gg .sark.gg .gg .edu.gu .com.gu .mil.gu .gov.gu .net.gu .org.gu "
    ".gu .com.hk .edu.hk .gov.hk .idv.hk .net.hk .org.hk .hk .co.hu .org.hu .priv.hu "
    ".info.hu .tm.hu .nui.hu .hu .ac.id .co.id .go.id .mil.id .net.id .or.id .id .k12.il "
    ".org.il .ac.il .gov.il .muni.il .co.il .net.il .il .co.im .lkd.co.im .plc.co.im .net.im "
    ".gov.im .org.im .nic.im .ac.im .im .ernet.in .nic.in .ac.in .co.in .gov.in .net.in "
    ".res.in .in .com.jo .gov.jo .edu.jo .net.jo .jo .co.jp .ne.jp .or.jp .lg.jp .ne.jp "
    ".ad.jp .ac.jp .go.jp .gr.jp .jp .ac.kr .co.kr .go.kr .ne.kr .or.kr .re.kr .pe.kr "
    ".seoul.kr .kyonggi.kr .com.la .net.la .org.la .la .com.lb .org.lb .net.lb .gov.lb "
    ".mil.lb .lb .com.lc .edu.lc .gov.lc .net.lc .org.lc .lc .com.lv .edu.lv .gov.lv .org.lv "
    ".mil.lv .id.lv .net.lv .asn.lv .conf.lv .lv .com.ly .net.ly .org.ly .ly .edu.mm .com.mm "
    ".gov.mm .net.mm .org.mm .mm .com.mo .edu.mo .gov.mo .net.mo .org.mo .mo .com.mt .net.mt "
    ".org.mt .mt .com.mx .net.mx .org.mx .mx .com.my .org.my .gov.my .edu.my .net.my .my "
    ".com.na .org.na .net.na .na .com.nc .net.nc .org.nc .nc .ne .nf .ng .com.ni .ni .com.np "
    ".net.np .ort.np .np .co.nz .net.nz .govt.nz .ac.nz .nz .ac.pa .com.pa .net.pa .org.pa "
    ".edu.pa .gob.pa .sld.pa .pa .com.pe .net.pe .org.pe .pe .com.ph .net.ph .org.ph .mil.ph "
    ".ngo.ph .ph .com.pl .net.pl .org.pl .pl .com.py .net.py .org.py .edu.py .py .org.ru "
    ".net.ru .pp.ru .com.ru .ru .com.sg .net.sg .org.sg .edu.sg .gov.sg .sg .com.sh .edu.sh "
    ".gov.sh .net.sh .mil.sh .org.sh .sh .co.sv .sv .com.sy .net.sy .org.sy .sy .ac.th "
    ".co.th .go.th .net.th .or.th .in.th .th .com.tn .ind.tn .tourism.tn .fin.tn .net.tn "
    ".gov.tn .nat.tn .org.tn .info.tn .ens.tn .intl.tn .rnrt.tn .rnu.tn .rns.tn .edunet.tn "
    ".tn .bbs.tr .com.tr .edu.tr .gov.tr .k12.tr .mil.tr .net.tr .org.tr .tr .com.tw .net.tw "
    ".org.tw .gove.tw .tw .com.ua .net.ua .gov.ua .ua .ac.ug .co.ug .or.ug .go.ug .ug .ac.uk "
    ".co.uk .gov.uk .ltd.uk .me.uk .mod.uk .net.uk .nic.uk .nhs.uk .org.uk .plc.uk "
    ".police.uk .sch.uk .uk .ak.us .al.us .ar.us .az.us .sf.ca.us .ca.us .co.us .ct.us "
    ".dc.us .de.us .fed.us .fl.us .ga.us .hi.us .ia.us .id.us .il.us .in.us .isa.us .kids.us "
    ".ks.us .ky.us .la.us .ma.us .md.us .me.us .mi.us .mn.us .mo.us .ms.us .mt.us .nc.us "
    ".nd.us .ne.us .nh.us .nj.us .nm.us .nsn.us .nv.us .ny.us .oh.us .ok.us .or.us .pa.us "
    ".ri.us .sc.us .sd.us .tn.us .tx.us .ut.us .vt.us .va.us .wa.us .wi.us .wv.us .wy.us .us "
    ".com.uy .edu.uy .net.uy .org.uy .uy .com.ve .edu.ve .gov.ve .net.ve .co.ve .bib.ve "
    ".tec.ve .int.ve .org.ve .firm.ve .store.ve .web.ve .arts.ve .rec.ve .info.ve .nom.ve "
    ".mil.ve .ve .co.vi .net.vi .org.vi .vi .ac.yu .co.yu .edu.yu .org.yu .yu .ws .ac.za "
    ".alt.za .co.za .edu.za .gov.za .mil.za .net.za .ngo.za .nom.za .org.za .school.za "
    ".tm.za .web.za .za";

/* The first suffix of the list that the host ends with decides, with the label in front of it. One
 * entry has no dot of its own and stands for itself. */
struct span razor_domain(struct span host)
{
    struct span rest = span_of(suffixes, sizeof suffixes - 1), suffix;
    while ((suffix = span_word(&rest, " ")).p) {
        if (!span_ends(host, suffix))
            continue;
        if (suffix.p[0] != '.')
            return suffix;
        struct span front = span_sub(host, 0, host.n - suffix.n);
        size_t dot = span_rfind(front, '.'), from = dot == SIZE_MAX ? 0 : dot + 1;
        if (from < front.n)
            return span_from(host, from);
    }
    return host;
}
