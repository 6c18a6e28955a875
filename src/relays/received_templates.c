#include "relays/received_templates.h"

/* Authenticated web mail: who is meant is the browser. */
const struct received_template received_webmail[] = {
    {"$iI$_$!.!$!-!$0by $bW with HTTP", ANYWHERE,
     .guard = " ({SquirrelMail|NaSMail} authenticated user "},
    {"$iI by $bW ($I) with HTTP (WebMailUI)", ANYWHERE, .guard = "aol.com"},
    {NULL},
};

static const struct received_template microsoft_smtpsvc[] = {
    {"$hQ ([$iI]$1) by $bW with Microsoft SMTPSVC"},
    {"mail pickup service by $W with Microsoft SMTPSVC$.", .result = RECEIVED_IGNORED},
    {NULL},
};

static const struct received_template exchange[] = {
    {"$hW ({[|}$iI{%$Z|}{]|}) by $bW ", NO_ID},
    {NULL},
};

static const struct received_template xmail[] = {
    {"$hW ({[|}$iI{]|}:$N) by $bW{ ($W)|} with [XMail", .special = SPECIAL_XMAIL},
    {NULL},
};

static const struct received_template ecelerity[] = {
    {"([$iI:$N] helo=$hW) by $bW "},
    {"$W ([$iI:$N]) by $bW "},
    {NULL},
};

static const struct received_template exim[] = {
    {"$_with local{-$W|} ", ANYWHERE, RECEIVED_IGNORED},
    {"[$iI] ($sL) by $bW ", COMMENT},
    {"$rW ([$iI]$sL) by $bW ", HELO_IS_RDNS | COMMENT},
    {"$rW [$iI]{:$N|} by $bW ", HELO_IS_RDNS},
    {"", .special = SPECIAL_EXIM_BITS},
    {NULL},
};

static const struct received_template postfix[] = {
    {"$hW ($rW [$iI]) by $bW ", LOOKS_UP | UNKNOWN_IS_NONE},
    {"$hW ($rW[$iI]) by $bW ", LOOKS_UP | UNKNOWN_IS_NONE},
    {NULL},
};

static const struct received_template scalix[] = {
    {"$hW ({ |}$iI) by $bW"},
    {NULL},
};

static const struct received_template domino[] = {
    {"$hW ([$iI]) by $bW (Lotus"},
    {NULL},
};

const struct received_family received_families[] = {
    {" SMTPSVC", microsoft_smtpsvc},
    {" with {Microsoft SMTP Server|mapi id} {($P) |}$N.$N.$N.$N{$.| }", exchange},
    {"[XMail ", xmail},
    {"(ecelerity$_", ecelerity},
    {"Exim", exim},
    {" (Postfix) with", postfix},
    {"(Scalix SMTP Relay", scalix},
    {" (Lotus Domino ", domino},
    {NULL, NULL},
};

/* Forms that a form further up always catches first (such as "[ip] by host via HTTP") are left out.
 */
const struct received_template received_templates[] = {
    {"$iI ([$I]) by $bW", .guard = "$_with HTTP$_"},
    /* Sendmail; qmail-ldap writes something like it that means something else */
    {"$hW ($rW [$iI]$A) by $bW (", LOOKS_UP | IDENT_IN_RDNS, .unless = " by $W (qmail-$W) with "},
    {"$hW ($rW [$iI]) by $bW with $W (", LOOKS_UP},
    {"$rW ([$iI] helo=$hW) by $bW with "},
    {"$hW (<unknown$Q>[$iI]) by $bW "},
    {"$hW ($(r$W.$W$)r[$iI]) by $bW ", LOOKS_UP},
    {"$hW ($dQ@[$iI]$A) by $bW (", LOOKS_UP},
    {"by $(b$W.hotmail.msn.com$)b ", ANYWHERE, .special = SPECIAL_HOTMAIL},
    {"$rW ({HELO|EHLO} $hQ) ($iI) by $bW (qpsmtpd/$W) with {ESMTP|SMTP}"},
    {"$rW (LHLO $hQ) ($iI) by $bW with LMTP"},
    {"$rW ({HELO|EHLO} $hQ) [$iI] by $bW ($P) with {ESMTP|SMTP}"},
    {"$hW ([$iI]) by $bW via smtpd (for $W) with SMTP("},
    {"$W{ ({HELO|EHLO} $Q)|} ({$W@|}{[|}$I{]|}){ (envelope-sender <$W>)|} by $W{ ($O)|} with {$A |}"
     "{SMTP|QMQP}$! id !",
     .special = SPECIAL_QMAIL},
    {"$W ( [$iI])$L by $bW "},
    {"($hW [$iI]) by $bW "},
    {"[$iI] by $bW "},
    {"({[|}$iI{]|}) by $bW "},
    {"$hW [$iI] by $bW [$I] with ", LOOKS_UP},
    {"$hW [($iI)] by $bW ($I) "},
    {"$hW ([$iI]) by $bW (", LOOKS_UP},
    {"$hW ($rW [$iI])$L by $bW$_", LOOKS_UP | SOFTDNSERR},
    {"$hW ([$iI{{.|:}$N|}])$L by $bW ", LOOKS_UP},
    {"$hW ($rW [$iI]){ (authenticated bits=$N)|} by $bW (", LOOKS_UP},
    {"with {POP3|IMAP}", ANYWHERE, RECEIVED_FETCHED},
    {"$rW ({HELO|EHLO} $hK) ({$dQ@|}{[|}$iI{]|})$A by $bW ", LOOKS_UP | RESETS_IDENT},
    {"$rW ({$dQ@|}{[|}$iI{]|})$A by $bW ", LOOKS_UP | HELO_IS_RDNS | RESETS_IDENT},
    {"$rW($iI) by $bW via smap ", LOOKS_UP},
    {"$rW($iI, {HELO|EHLO} $hQ) by $bW via smap ", LOOKS_UP},
    {"$iI by $bW ({SMTPL|InterScan}$_"},
    {"$W by $W with BSMTP", .result = RECEIVED_IGNORED},
    {"$hW ($rW [$iI]) by $bW with ", LOOKS_UP},
    {"$rW ({HELO|EHLO} $hQ) ({$dW@|}$iI$L) by $bW with ", LOOKS_UP},
    {"[$iI] ({account $W |}{HELO|EHLO} $hQ) by $bW ("},
    {"$rW ([$iI] verified) by $bW (", LOOKS_UP | HELO_IS_RDNS, .guard = " (CommuniGate Pro"},
    {"$(h$B$W$)h ($iI) by $bW "},
    {"$W ($W) by $W (Content Technologies ", .result = RECEIVED_IGNORED},
    {"$hW ([$iI] [$W]) by $bW with "},
    {"$iI by $bW with "},
    {"$hW ($rW[$iI]) by $bW ", LOOKS_UP},
    {"[$iI]$W ({HELO|EHLO} $hQ) by $bW "},
    {"$iI ({HELO|EHLO} $hQ) by $bW "},
    {"$hW [$iI] by $bW "},
    {"$rW($iI) by $bW "},
    {"$hW (unverified [$iI]) by $bW "},
    {"$iI ($M$P) by $bW with "},
    {"[$iI] ($sP) by $bW ", COMMENT},
    {"$rW ({$W@|}$iI) by $bW with "},
    {"$rW($iI){, claiming to be \"$hW\"|} via $W by $bW,", LOOKS_UP_UNLESS_UNKNOWN | RESETS_HELO},
    {"$hW ($W@$iI with login) by $(b$W.yahoo.com$)b with SMTP"},
    {"X-Originating-IP: $iI$(b$)b$."},
    {NULL},
};

/* Inside qmail's gate. */
const struct received_template received_qmail[] = {
    {"$rW ({HELO|EHLO} $hH) ($dQ@{[|}$iI{]|}){ (envelope-sender <$W>)|} by $bW"},
    {"$rW ({HELO|EHLO} $hH) ({[|}$iI{]|}){ (envelope-sender <$W>)|} by $bW"},
    {"$rW ($dQ@{[|}$iI{]|}){ (envelope-sender <$W>)|} by $bW", HELO_IS_RDNS},
    {"$rW ({[|}$iI{]|}){ (envelope-sender <$W>)|} by $bW", HELO_IS_RDNS},
    {NULL},
};

#define IGNORE .result = RECEIVED_IGNORED

/* Local hand-overs, and hand-overs by programs that do not tell the address. */
const struct received_template received_ignored[] = {
    {"$W ($U@$F) by $W (", IGNORE},
    {"$W $W by $W with local-{e|}smtp ", IGNORE},
    {"127.0.0.1 (AVG SMTP $W [$W])", IGNORE},
    {"$W@$W by $W ", IGNORE},
    {"Unknown/Local (", IGNORE},
    {"$F ({$W@|}$F{)|[}", IGNORE},
    {"$W ({$W@|}$F) ", IGNORE},
    {"$W ($W@$W [$F]) ", IGNORE},
    {"(AUTH: $W) by $W with ", IGNORE},
    {"localhost (localhost [[UNIX: localhost]]) by ", IGNORE},
    {"$W.amazon.com by $W.amazon.com with ESMTP (peer crosscheck: ", IGNORE},
    {"$E by $W with Novell_GroupWise", IGNORE},
    {"no.name.available by $W via smtpd (for ", IGNORE},
    {"$W by $W ($2) with qmail-scanner", IGNORE, .special = SPECIAL_SCANNER},
    {"$W by $W with local", IGNORE},
    {"$W ([unix socket]) by $W (Cyrus v$5.$5.$5) with LMTPA", IGNORE},
    {"$W by $W {with|via|for|(}", IGNORE},
    {"$W {{with|via|for} $W|(unverified)} by$_", IGNORE},
    {"$W (unknown) by $W (SG) with $_", IGNORE},
    {"$W ($W [local]) by $W (OpenSMTPD) with $_", IGNORE},
    {"(LSMTP for", ANYWHERE, IGNORE},
    {"([$F]) with MailEnable ", IGNORE},
    {"facebook.com ($P) by facebook.com with Thrift id $W$.", IGNORE},
    {"$W named $W by gmailapi.google.com with HTTPREST$.", IGNORE},
    {"$W id $W$.", IGNORE},
    {"[<$L (Jetsend", IGNORE},
    {NULL},
};

/* simta, Rockliffe: "FROM ... BY ... ID ..." */
const struct received_template received_simta[] = {
    {"$hW ($rW [$iI]) BY $bW {($P) WITH SMTP |}ID {<|}$nY{>|}{ FOR <$3>|}$.",
     LOOKS_UP | UNVERIFIED_IS_NONE},
    {NULL},
};

/* "(from ... ) by ..." */
const struct received_template received_parenthesis[] = {
    {"$hQ [$iI]) by $bW (NAVGW $L) with "},
    {"$W@localhost) by $W ", IGNORE},
    {"$U@$P) by $W(jqueuemail) id $4", IGNORE},
    {NULL},
};
