"""Messages of the kinds that the public corpora of 2002 to 2005 do not have, made from a seed: newsletters with
chains of DKIM and ARC, Exchange Online, Gmail, iPhone mail, forwards, delivery reports, invitations, S/MIME, PGP,
TNEF, uuencode, yEnc, many languages and charsets, encoded words, Received lines of many MTAs, redirected, punycoded
and disguised links, broken MIME. And rules that tell apart what was read: see fingerprint()."""
import base64
import quopri

TEXTS = {
    "en": ["Your order has shipped and will arrive on Monday.", "Please find attached the minutes of our meeting.",
           "We noticed unusual activity on your account; verify your identity within 24 hours.", "Thanks, see you there!",
           "Congratulations! You have been selected to receive a $1,000 gift card.", "I know your password is hunter2.",
           "Send $950 in bitcoin to 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2 within 48 hours.", "Get rid of debt – act now!",
           "Dear Sir/Madam, I am Barrister James, attorney of the late Mr. Engineer who died in a plane crash.",
           "We can put your website on the first page of Google. SEO services at low cost.", "100% free, no obligation",
           "Lose weight fast with this one weird trick", "Your mailbox is almost full, upgrade storage quota here",
           "To unsubscribe from this newsletter click here or write to us at 12 High Street, London.",
           "The sum of USD 10,500,000.00 (ten million five hundred thousand dollars)", "It’s “quoted” — naïve café…"],
    "de": ["Sehr geehrte Damen und Herren, anbei erhalten Sie Ihre Rechnung über 49,90 €.", "Schöne Grüße aus Köln",
           "Ihr Paket konnte nicht zugestellt werden, bitte bestätigen Sie die Adresse."],
    "fr": ["Votre colis est arrivé à l'entrepôt, veuillez régler les frais.", "À bientôt, cordialement, Éloïse"],
    "es": ["Estimado cliente: su factura está vencida. Haga clic aquí ahora mismo.", "Mañana será otro día, señor"],
    "pl": ["Dzień dobry, w załączeniu przesyłam fakturę.", "Zażółć gęślą jaźń"],
    "cs": ["Příliš žluťoučký kůň úpěl ďábelské ódy", "Vážený zákazníku, děkujeme za objednávku."],
    "tr": ["Merhaba, siparişiniz kargoya verildi.", "Iğdır'ın ığıl ığıl akan ırmağı"],
    "ru": ["Здравствуйте! Приглашаем вас на семинар по налогам.", "Заработок в интернете без вложений, жмите сюда"],
    "uk": ["Шановні колеги, надсилаємо рахунок.", "Її гідність"],
    "el": ["Καλημέρα σας, επισυνάπτω το τιμολόγιο.", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία"],
    "he": ["שלום רב, מצורפת חשבונית עבור ההזמנה שלך.", "לחץ כאן עכשיו"],
    "ar": ["مرحبا، نرفق لكم الفاتورة الخاصة بطلبكم.", "اضغط هنا الآن"],
    "ja": ["お世話になっております。ご注文ありがとうございます。", "今すぐこちらをクリックしてください。アカウントが停止されました。"],
    "zh": ["您好,您的订单已发货。", "点击这里领取奖金!代开发票。"],
    "tw": ["您好,您的訂單已出貨。", "點擊這裡領取獎金"],
    "ko": ["안녕하세요, 주문하신 상품이 발송되었습니다.", "지금 클릭하세요 (광고)"],
    "th": ["สวัสดีครับ กรุณาชำระเงินภายในวันนี้"],
    "vi": ["Kính gửi quý khách, đơn hàng của bạn đã được giao."],
    "fun": ["🎉🎉 Sale 🔥 50% off 💸", "𝐅𝐫𝐞𝐞 𝕞𝕠𝕟𝕖𝕪", "pay\u200bpal\u00adaccount", "\u202eexe.fdp\u202c", "ＦＲＥＥ", "рaypal",
            "a\u0301e\u0308 \ufeffbom \u3000wide\u2003space\u00a0nbsp"],
}
CHARSETS = {
    "en": ["us-ascii", "utf-8", "iso-8859-1", "windows-1252", "utf-16", "utf-7"], "de": ["iso-8859-15", "utf-8", "cp850", "macintosh"],
    "fr": ["iso-8859-1", "utf-8", "windows-1252"], "es": ["iso-8859-1", "utf-8"], "pl": ["iso-8859-2", "windows-1250", "utf-8"],
    "cs": ["iso-8859-2", "windows-1250", "utf-8"], "tr": ["iso-8859-9", "windows-1254", "utf-8"],
    "ru": ["koi8-r", "windows-1251", "iso-8859-5", "utf-8", "cp866"], "uk": ["koi8-u", "windows-1251", "utf-8"],
    "el": ["iso-8859-7", "windows-1253", "utf-8"], "he": ["iso-8859-8", "windows-1255", "utf-8"], "ar": ["windows-1256", "iso-8859-6", "utf-8"],
    "ja": ["iso-2022-jp", "shift_jis", "euc-jp", "utf-8"], "zh": ["gb2312", "gbk", "gb18030", "utf-8"], "tw": ["big5", "utf-8"],
    "ko": ["euc-kr", "iso-2022-kr", "utf-8"], "th": ["tis-620", "utf-8"], "vi": ["windows-1258", "utf-8"], "fun": ["utf-8", "utf-16le"],
}
LABELS = ["iso-8859-8-i", "unknown-8bit", "x-unknown", "ansi", "\"utf-8", "UTF8", "utf-8; format=flowed", "default_charset", "ks_c_5601-1987",
          "x-gbk", "cp932", "x-sjis", "unicode-1-1-utf-7", "ISO_8859-1", "latin1", "windows-31j", "'utf-8'", "utf-8 ", "iso-8859-1*en", "gb_2312-80"]
HOSTS = ["mail.example.net", "mx1.example.org", "smtp-out.example.com", "ec2-203-0-113-9.compute.example.net", "host-203-0-113-77.dyn.example.net",
         "localhost", "[203.0.113.5]", "WIN-ABC123", "mail-ej1-f51.google.com", "AM6PR04MB1234.eurprd04.prod.outlook.com", "a.b", "x_y.example.net",
         "xn--bcher-kva.example", "user-PC", "mout.kundenserver.de", "sonic301-20.consmr.mail.ne1.yahoo.com"]
IPS = ["203.0.113.9", "198.51.100.77", "192.0.2.1", "10.1.2.3", "192.168.1.5", "127.0.0.1", "2001:db8::25", "2603:10a6:20b:123::21", "8.8.4.4",
       "::1", "fe80::1", "172.16.5.4", "::ffff:203.0.113.8", "100.64.1.1"]
RECEIVED = [
    "from {h} ({r} [{i}])\n\tby {b} (Postfix) with ESMTPS id 4ABC123\n\tfor <{t}>; {d}",
    "from {h} ({r} [IPv6:{i}])\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n\t key-exchange X25519 server-signature RSA-PSS)\n"
    "\t(No client certificate requested)\n\tby {b} (Postfix) with ESMTPS id X\n\tfor <{t}>; {d} (UTC)",
    "from [{i}] (helo={h})\n\tby {b} with esmtpsa (TLS1.3:ECDHE:256) (Exim 4.96)\n\t(envelope-from <{f}>)\n\tid 1qABcD-0001Xy-2z\n\tfor {t}; {d}",
    "from {r} ([{i}]:51234 helo={h})\n\tby {b} with esmtp (Exim 4.94.2)\n\tid 1k; {d}",
    "from {h} ({r} [{i}] (may be forged))\n\tby {b} (8.17.1/8.17.1) with ESMTPS id 3AL9x\n\t(version=TLSv1.3 cipher=X bits=256 verify=NOT)\n\tfor <{t}>; {d}",
    "from {h} ({i}) by {b} ({i}) with\n Microsoft SMTP Server (version=TLS1_2,\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.20.7001.28; {d}",
    "from {b} ([fe80::1234])\n by {h} ([fe80::99%4]) with mapi id 15.20.7001.028; {d}",
    "from {h} (2603:10a6:20b:5cf::5) by {b}\n (2603:10a6:20b:123::21) with HTTPS; {d}",
    "by 2002:a05:6214:1234:b0:635:abcd with SMTP id ab12csp123456qvb; {d}",
    "from {h} ({h}. [{i}])\n        by mx.google.com with SMTPS id x12sor123.12.{d}\n        for <{t}>\n        (Google Transport Security);\n        {d}",
    "by mail-ej1-f51.google.com with SMTP id a1so1ejc.1\n        for <{t}>; {d}",
    "from {h} ({h} [{i}]) by inbound-smtp.us-east-1.amazonaws.com with SMTP id abc123def\n for {t}; {d}",
    "(qmail 12345 invoked by uid 89); 21 Nov 2026 10:00:00 -0000", "(qmail 99 invoked from network); 21 Nov 2026 10:00:00 -0000",
    "from unknown (HELO {h}) ({f}@{i})\n  by {b} with SMTP; 21 Nov 2026 09:59:59 -0000",
    "from {h} ({i}) by {b} (8.5.140) id 5F00 for {t}; {d}", "from {i} ([{i}]) by {b} (Cyrus v2.4.17) with LMTPA; {d}",
    "from {b} ([unix socket]) by {b} (Cyrus 3.2) with LMTP; {d}", "from localhost (localhost [127.0.0.1])\n\tby {b} (Postfix) with ESMTP id A; {d}",
    "from localhost ([127.0.0.1]) by localhost ({b} [127.0.0.1]) (amavisd-new, port 10024)\n with ESMTP id x; {d}",
    "from mail pickup service by {b} with Microsoft SMTPSVC;\n\t {d}", "from {h} ([{i}]) by {b} with Microsoft SMTPSVC(10.0.14393.4169); {d}",
    "from [{i}] by web12345.mail.yahoo.com via HTTP; {d}", "from sonic.gate.mail.ne1.yahoo.com by {h} with HTTP; {d}",
    "from {f} by {b} (MDaemon PRO v20) with ESMTP id md50.msg\n for <{t}>; {d}", "from [{i}] (account {f} HELO {h})\n  by {b} (CommuniGate Pro SMTP 6.2) with ESMTPSA id 1 for {t}; {d}",
    "from {h} ({h} [{i}])\n  (TLS: TLSv1/SSLv3,256bits,AES256)\n  by {b} with ESMTPS; {d}", "from {h} (unknown[{i}]) by {b}(Haraka/2.8) with ESMTP id A.1; {d}",
    "from {h} ({h} [{i}]) by {b} (OpenSMTPD) with ESMTPSA id 1a2b (TLSv1.3:AEAD:256:NO) for <{t}>; {d}",
    "from {h} (HELO {h}) ({i})\n by {b} (qpsmtpd/0.94) with (ECDHE-RSA-AES256-GCM-SHA384 encrypted) ESMTPS; {d}",
    "from {h} ({i}) by {b} (Axigen) with ESMTPA id 1; {d}", "from {h} (unverified [{i}]) by {b} (SurgeMail 7) with ESMTP id 1; {d}",
    "from {h} by {b} with local (Exim 4.94) (envelope-from <{f}>) id 1; {d}", "by {b} (Postfix, from userid 33) id ABC; {d}",
    "from {h} ([{i}])\n\tby {b} (Lotus Domino Release 9.0.1)\n\twith ESMTP id 2026-1 ;\n\t{d}", "from [{i}] by {b} (Kerio Connect 9); {d}",
    "from {h} [{i}] by {b} with ESMTP (SMTPD-11.0) id A; {d}", "from {h} ({i}:52211) by {b} id <B@{b}>; {d}", "(from www-data@localhost) by {h} (8.14.4/Submit) id x; {d}",
    "from {h} ({r} [{i}]) by {b} (Mimecast) with ESMTPS id us-mta-1-abc-1; {d}", "from pps.filterd ({h} [127.0.0.1]) by {b} (8.17/8.17) with ESMTP id 3; {d}",
    "from {h} via TCP with SMTP id 1 by {b}; {d}", "FROM {h} BY {b}; {d}", "from {h} ({r}[{i}] helo={h} auth={f}) by {b} with asmtp; {d}",
    "from {h} (EHLO {h}) ([{i}]) by {b} (JAMES SMTP Server 2.3.2) with SMTP ID 1; {d}", "from [{i}] (port=1234 helo={h} ident=root) by {b} with esmtpa id 1; {d}",
    "from {h} ({i}) by\n {b} with Microsoft SMTP Server id 8.3; {d}", "nonsense", "from {h}", "from {h} ([{i}]) by {b} ; {d}",
]
AGENTS = ["X-Mailer: iPhone Mail (20H115)", "X-Mailer: Apple Mail (2.3774.600.62)", "X-Mailer: Microsoft Outlook 16.0", "User-Agent: Mozilla Thunderbird",
          "X-Mailer: Microsoft Office Outlook 12.0", "X-Mailer: Microsoft Outlook Express 6.00.2900.5512", "X-Mailer: PHPMailer 6.6.0 (https://github.com/PHPMailer/PHPMailer)",
          "X-Mailer: MailChimp Mailer - **CIDabc123**", "X-PHP-Originating-Script: 33:mail.php", "X-Mailer: The Bat! (v9.0) Professional", "X-Mailer: Zimbra 8.8",
          "User-Agent: Roundcube Webmail/1.4.3", "X-Mailer: WebService/1.1.21762 YMailNorrin", "X-Mailer: Foxmail 7.2[cn]", "X-Mailer: Yandex [ http://yandex.ru ]",
          "User-Agent: K-9 Mail for Android", "X-Mailer: git-send-email 2.39.2", "X-Mailer: nodemailer (6.1.0; +https://nodemailer.com/)", "X-Mailer: Leaf PHPMailer 2.8"]
EXTRA = [
    "ARC-Seal: i=1; a=rsa-sha256; t=1700000000; cv=none;\n        d=google.com; s=arc-20160816;\n        b=AbCd+/EfGh12==", "X-Google-DKIM-Signature: v=1; a=rsa-sha256; d=1e100.net",
    "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=microsoft.com; s=arcselector9901;\n h=From:Date:Subject; bh=abc=; b=def",
    "ARC-Authentication-Results: i=1; mx.google.com; dkim=pass header.i=@example.net; spf=pass smtp.mailfrom=a@example.net; dmarc=pass",
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=s1;\n\th=From:To:Subject:Date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\n\tb=AAAA",
    "DKIM-Signature: v=1; a=ed25519-sha256; d=mailer.example.com; s=x; h=from; bh=; b=", "Authentication-Results: mx.example.org; dkim=fail reason=\"bad\" header.d=example.net",
    "X-MS-Exchange-Organization-SCL: -1", "X-MS-Has-Attach: yes", "X-MS-TNEF-Correlator:", "X-Microsoft-Antispam: BCL:0;", "X-MS-Exchange-CrossTenant-id: 84df9e7f-e9f6-40af-b435-aaaaaaaaaaaa",
    "X-Forefront-Antispam-Report: CIP:203.0.113.9;CTRY:US;LANG:en;SCL:9;SRV:;IPV:NLI;SFV:SPM;H:x;PTR:x;CAT:SPM;", "X-Gm-Message-State: AOJu0Yx" + "a" * 60,
    "List-Unsubscribe: <https://example.com/u/?id=12345>, <mailto:u@example.com?subject=x>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click", "List-ID: News <news.example.com>",
    "Feedback-ID: 123:456:campaign:esp", "Precedence: bulk", "X-Campaign: abc", "X-Report-Abuse: see https://example.com/abuse", "Auto-Submitted: auto-replied", "X-Priority: 1 (Highest)",
    "Importance: high", "X-MSMail-Priority: High", "Thread-Index: AdABCDEFGHIJKLMNOPQRSTUVWXYZab==", "Thread-Topic: x", "In-Reply-To: <CAabc123@mail.gmail.com>",
    "References: <CAabc123@mail.gmail.com>\n\t<def@example.net>", "X-Originating-IP: [203.0.113.200]", "X-Sender-IP: 203.0.113.200", "Organization: =?utf-8?q?M=C3=BCller_GmbH?=",
    "Received-SPF: pass (example.org: domain of a@example.net designates 203.0.113.9 as permitted sender)", "Return-Path: <bounces+123-abc-bob=example.org@em.example.net>",
    "X-Spam-Status: No, score=-2.6", "X-Virus-Scanned: amavis at example.org", "Reply-To: <scam.man@gmail.com>", "Disposition-Notification-To: a@example.net", "Errors-To: x@example.com",
    "X-Envelope-From: <x@example.com>", "Delivered-To: bob@example.org", "X-Original-To: bob@example.org", "X-Very-Long: " + "abc def " * 400, "X-8bit: caf\xe9 \xc3\xa9",
    "Content-Language: en-US", "X-Face: " + "~`!@#$%^&*()" * 12, "X-Empty:", "X-Tab:\tvalue", "X-AntiAbuse: This header was added to track abuse, please include it with any abuse report",
    "Resent-From: x@example.net", "Resent-Date: Sat, 21 Nov 2026 09:00:00 +0000", "Sender: list-bounces@example.com", "Mailing-List: contact x@example.com; run by ezmlm", "Bcc: hidden@example.com",
]
DATES = ["Sat, 21 Nov 2026 10:00:00 +0000", "Sat, 21 Nov 2026 10:00:00 -0800 (PST)", "21 Nov 2026 10:00:00 GMT", "Sat, 21 Nov 26 10:00 EST", "Sat, 21 Nov 2026 10:00:00",
         "Sat, 21 Nov 2026 12:30:00 +0530", "Sun, 21 Nov 2026 10:00:00 +0000", "Sat Nov 21 10:00:00 2026", "Mon, 23 Nov 2026 10:00:00 +0000", "Fri, 20 Nov 2026 03:00:00 +0300",
         "Sat, 21 Nov 2026 10:00:00 +9900", "Sat, 31 Feb 2026 10:00:00 +0000", "2026-11-21T10:00:00Z", "", "Sat, 21 November 2026 10:00:00 UTC", "Sa, 21 Nov 2026 10:00:00 +0100 (MEZ)"]
IDS = ["<20261121100000.4711@example.net>", "<CAF=abc+x1y2z3@mail.gmail.com>", "<AM6PR04MB1234ABCD@AM6PR04MB1234.eurprd04.prod.outlook.com>", "<0100018c1234-abcd-000000@email.amazonses.com>",
       "<A1B2C3D4-E5F6-7890-ABCD-EF1234567890@example.net>", "<000001d9abcd$12345678$3698d000$@example.net>", "<x@[203.0.113.9]>", "<no-brackets", "1234@localhost", "<>", "<a b@c>",
       "<1700000000.12345.0@example.net> (added by postmaster)", "<E1qABcD-0001Xy-2z@mx.example.org>", "<123.456.JavaMail.root@app1>", "<geopod-ismtpd-3-0@geopod-ismtpd-3-0>"]
URLS = ["https://www.example.com/", "http://xn--pypal-4ve.com/login", "https://www.google.com/url?q=https%3A%2F%2Fevil.example.net%2Fa&sa=D", "https://t.co/AbC123", "http://bit.ly/2xYz",
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fbad.example.net%2F&data=05%7C01", "https://urldefense.com/v3/__https://bad.example.net/x__;!!A!B$",
        "http://203.0.113.66:8080/~x/login.php?email=bob@example.org", "http://0xcb007142/", "http://3405803842/", "http://user:pw@bank.example.com/", "https://paypal.com.evil.example.net/",
        "http://bücher.example/", "https://пример.рф/путь", "www.example.co.uk/page.html", "example.com/plain", "ftp://ftp.example.org/f.exe", "mailto:bob@example.org?subject=x&body=y",
        "tel:+1-800-555-0199", "data:text/html;base64,PGI+eDwvYj4=", "javascript:alert(1)", "https://docs.google.com/forms/d/e/1FAIp/viewform", "https://storage.googleapis.com/x/index.html#bob@example.org",
        "https://example.com/a b", "https://example.com/a%0d%0ab", "hxxp://example.com", "https://example.com./", "https://EXAMPLE.com:443/../x", "//cdn.example.net/x.js", "/relative/path", "#top", "?q=1",
        "https://example.web.app/", "https://x.blogspot.com/", "https://ipfs.io/ipfs/Qm123", "https://example.com/unsubscribe?u=1&amp;id=2", "cid:logo@example", "https://[2001:db8::1]/",
        "http://www.example.com\\@evil.example.net/", "https://example.com/?next=http://other.example.org/path?x=http://third.example.info", "HTTP://Example.Com/", "https:example.com", "https:///example.com",
        "https://ex\u00adample.com/", "https://example。com/", "http://1.2.3/", "http://localhost/", "http://intranet", "https://a.b.c.d.e.example.museum/", "mailto:x@", "http://example.com,http://example.org"]
NAMES = ["Alice Example", "PayPal Service", "\"Bob, Jr.\"", "bob@example.org", "\"service@paypal.com\"", "Jörg Müller", "Иван Петров", "田中太郎", "דוד כהן", "محمد", "Amazon.com", "IT HELPDESK", "", "\"\"",
         "Dr. med. A. B. (C)", "<admin>", "=?utf-8?", "DHL | Versand", "admin@example.org <admin@example.org>"]
ADDRESSES = ["alice@example.net", "no-reply@accounts.example.com", "x@hotmail.com", "user123456@gmail.com", "a.b+c@sub.example.co.uk", "bounce-1234@news.example.com", "ALICE@EXAMPLE.NET", "alice@", "@example.net",
             "alice", "alice@xn--bcher-kva.example", "jörg@example.net", "\"odd name\"@example.net", "a@[203.0.113.9]", "bob@example.org", "root@localhost", "alice@example.net.", "x" * 70 + "@example.net"]
TYPES = {"pdf": b"%PDF-1.4\n1 0 obj <</Type /Catalog>> endobj\ntrailer <</Root 1 0 R>>\n%%EOF\n", "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\2\x58\0\0\1\x2c\x08\2\0\0\0" + bytes(300),
         "gif": b"GIF89a\x90\1\x2c\1\x80\0\0" + bytes(200), "jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x11\x08\1\xf4\2\x80\3\1\x22\0\2\x11\1\3\x11\1" + bytes(200),
         "docm": b"PK\3\4\x14\0\6\0" + bytes(80), "doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "exe": b"MZ\x90\0" + bytes(100), "zip": b"PK\3\4" + bytes(60), "html": b"<html><script>x()</script></html>",
         "ics": b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n", "vcf": b"BEGIN:VCARD\r\nFN:x\r\nEND:VCARD\r\n", "eml": b"From: x@example.net\nSubject: inner\n\ninner text\n", "txt": b"plain http://in.example.com/\n"}


class Maker:
    def __init__(self, rng):
        self.rng = rng
        self.lang = rng.choice([*TEXTS, "en", "en", "en", "fun"])

    def pick(self, values):
        return self.rng.choice(values)

    def chance(self, p):
        return self.rng.random() < p

    def words(self, n=3):
        return " ".join(self.pick(TEXTS[self.lang if self.chance(.8) else self.pick(list(TEXTS))]) for _ in range(self.rng.randint(1, n)))

    def encoded(self, text):
        """Bytes of a header value: encoded words, raw UTF-8 or raw bytes of a charset."""
        kind = self.rng.randrange(8)
        cs = self.pick(CHARSETS[self.lang])
        data = text.encode(cs, "replace")
        if kind == 0 or text.isascii() and kind < 5:
            return text.encode()
        if kind == 1:
            return data.replace(b"\n", b"").replace(b"\r", b"").replace(b"\0", b"")
        label = self.pick(LABELS) if self.chance(.1) else self.pick([cs, cs.upper(), cs + "*en"] if self.chance(.2) else [cs])
        out, step = [], self.rng.choice([15, 30, 45, 200])
        for i in range(0, len(data), step):
            piece = data[i:i + step]
            q = "".join(chr(c) if chr(c).isalnum() and c < 128 else "_" if c == 32 else f"={c:02X}" for c in piece)
            mode = self.pick("BbQq") if self.chance(.2) else "BQ"[kind % 2]
            word = base64.b64encode(piece).decode() if mode in "Bb" else q
            out.append(f"=?{label}?{mode}?{word}?=")
        return self.pick([" ", "\n ", "\n\t", ""] if self.chance(.2) else ["\n "]).join(out).encode()

    def address(self):
        name, addr = self.pick(NAMES), self.pick(ADDRESSES)
        shown = self.encoded(name) if not name.isascii() or self.chance(.2) else name.encode()
        form = self.rng.randrange(8)
        addr = addr.encode()
        return [shown + b" <" + addr + b">", addr, b"<" + addr + b">", addr + b" (" + shown + b")", b'"' + shown.replace(b'"', b"") + b'" <' + addr + b">",
                shown + b" <" + addr + b">, " + self.pick(ADDRESSES).encode(), shown + b"\n\t<" + addr + b">", shown + b"<" + addr + b">"][form if self.chance(.5) else 0]

    def received(self):
        v = {"h": self.pick(HOSTS), "r": self.pick(HOSTS + ["unknown"]), "i": self.pick(IPS), "b": self.pick(["mx.example.org", *HOSTS]), "t": "bob@example.org",
             "f": "alice@example.net", "d": self.pick(DATES[:4])}
        return self.pick(RECEIVED).format(**v).encode()

    def head(self, kind):
        fields = [(b"Received", self.received()) for _ in range(self.rng.choice([0, 1, 1, 2, 2, 3, 5, 8]))]
        fields += [tuple(e.encode("latin-1").split(b": ", 1) if ": " in e else (e.rstrip(":").encode("latin-1"), b"")) for e in self.rng.sample(EXTRA, self.rng.randint(0, 8))]
        agent = self.pick(AGENTS).encode().split(b": ", 1)
        own = [(b"From", self.address()), (b"To", self.pick([b"bob@example.org", self.address(), b"undisclosed-recipients:;", self.address() + b",\n " + self.address()])),
               (b"Subject", self.encoded(self.pick(["", "Re: ", "Fwd: ", "[News] ", "***SPAM*** ", "AW: "]) + self.words(1))), (b"Date", self.pick(DATES if self.chance(.3) else DATES[:1]).encode()),
               (b"Message-ID", self.pick(IDS).encode()), tuple(agent), (b"Cc", self.address())]
        fields += [f for f in own if self.chance(.93 if f[0] != b"Cc" else .2)]
        if self.chance(.3):
            self.rng.shuffle(fields)
        if self.chance(.9):
            fields.append((b"MIME-Version", self.pick([b"1.0"] * 6 + [b"1.0 (Apple Message framework v1)", b"1.0 (1.0)"])))
        return fields + kind

    # --- bodies ---

    def charset_of(self):
        cs = self.pick(CHARSETS[self.lang])
        return cs, (self.pick(LABELS) if self.chance(.08) else cs)

    def code(self, data, binary=False):
        """(encoding, bytes)"""
        cte = self.pick(["base64"] * 6 + ["quoted-printable"]) if binary else self.pick(["quoted-printable", "quoted-printable", "base64", "8bit", "7bit", None])
        if cte == "base64":
            coded = base64.encodebytes(data)
            if self.chance(.1):
                coded = self.pick([coded.rstrip(b"=\n") + b"\n", coded.replace(b"\n", b""), coded + b"trailing text\n", coded[:len(coded) // 2] + b"\n\n" + coded[len(coded) // 2:], b" " + coded])
            return cte, coded
        if cte == "quoted-printable":
            coded = quopri.encodestring(data)
            return cte, self.pick([coded.replace(b"=\n", b"= \n"), coded.lower(), coded + b"=", coded + b"=3"]) if self.chance(.08) else coded
        return cte, data

    def leaf(self, ctype, data, charset=None, name=None, disposition=None, binary=False):
        cte, body = self.code(data, binary)
        value = ctype
        if charset:
            value += self.pick(['; charset="{}"', "; charset={}", ";\n\tcharset={}", "; Charset=\"{}\""]).format(charset)
        if name:
            value += self.pick(['; name="{}"', "; name={}", ";\n name*=utf-8''{}"]).format(name)
        head = [(b"Content-Type", value.encode())]
        if cte:
            head.append((b"Content-Transfer-Encoding", self.pick([cte, cte.upper(), cte + " "] if self.chance(.1) else [cte]).encode()))
        if disposition:
            head.append((b"Content-Disposition", disposition.encode()))
        if self.chance(.1):
            head.append((b"Content-ID", b"<logo@example>"))
        return head, body

    def text(self):
        lines = []
        for _ in range(self.rng.randint(1, 12)):
            line = self.words()
            if self.chance(.25):
                line += " " + self.pick(["{}", "<{}>", "({})", "[{}]", "{}.", "\"{}\"", "{},", "x={}", "{}\u3002", "\n{}\n"]).format(self.pick(URLS))
            if self.chance(.1):
                line = self.pick(["> ", "| ", "\t", "   ", "-- \n", "* "]) + line
            lines.append(line)
        if self.chance(.06):
            lines.append(self.pick(["begin 644 photo.jpg\n#0V%T\n`\nend", "=ybegin line=128 size=10 name=x.bin\nabcdefghij\n=yend size=10", "x" * 3000, "-----BEGIN PGP MESSAGE-----\n\nabc=\n-----END PGP MESSAGE-----",
                                    "Sent from my iPhone", "\f", "=?utf-8?B?4pyT?=", "word " * 700]))
        return self.pick(["\n", "\n\n", "\r\n", " \n"] if self.chance(.3) else ["\n"]).join(lines) + self.pick(["\n", "", "\n\n\n"])

    def plain(self):
        cs, label = self.charset_of()
        return self.leaf(self.pick(["text/plain", "text/plain; format=flowed; delsp=yes", "TEXT/PLAIN", "text"] if self.chance(.2) else ["text/plain"]), self.text().encode(cs, "replace"), label if self.chance(.9) else None)

    def html_piece(self):
        u, t = self.pick(URLS), self.words(1)
        return self.pick([
            f'<p>{t}</p>', f'<a href="{u}">{t}</a>', f"<a href='{u}'>{self.pick(URLS)}</a>", f'<a href={u} target=_blank><img src="{self.pick(URLS)}" width=600 height=300 alt="{t}"></a>',
            f'<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">{t}</div>', f'<span style="font-size:0px;color:#fff">{t}</span>', f'<td bgcolor="#eeeeee" style="padding:0;font:12px/1.5 Arial">{t}</td>',
            '<img src="https://track.example.com/o.gif?x=1" width="1" height="1" border="0">', '<!--[if mso]><table><tr><td><![endif]-->', '<style type="text/css">@media only screen {.x{width:100%!important}}</style>',
            f'<font color="white" size="1" face="Arial, sans-serif">{t}</font>', f'&nbsp;&zwnj;&#847; &#x1F389; &copy;&euro;&#8203;{t}', '<br/><br /><hr>', f'<blockquote type="cite">{t}</blockquote>',
            f'<o:p>&nbsp;</o:p><p class=MsoNormal>{t}', f'<base href="{u}">', f'<meta http-equiv="refresh" content="0;url={u}">', f'<form action="{u}" method=post><input type=password name=p></form>',
            f'<button onclick="location=\'{u}\'">{t}</button>', f'<svg><image href="{u}"/></svg>', f'<table background="{u}"><tr><td>{t}', f'<iframe src="{u}"></iframe>', f'<title>{t}</title>',
            f'<script>var a="{u}";</script>', f'<link rel=stylesheet href="{u}">', f'<h1 style="color:rgb(255,0,0)">{t}</h1>', f'V<b></b>I<i></i>A<u></u>GRA {t}', f'<a href="{u}"\nclass=x style="color:#1155cc">{t}',
            f'<img src="data:image/png;base64,{base64.b64encode(TYPES["png"]).decode()}">', f'<center><marquee>{t}</marquee></center>', '<' + t[:9] + '>', f'<div dir="rtl">{t}</div>', f'<a name="x">{t}</a>',
            f'<v:roundrect href="{u}" fillcolor="#EB7035"><w:anchorlock/>{t}</v:roundrect>', '<!-- ' + t + ' --><!doctype html>', f'<area href="{u}"><map name=m></map>', '<![CDATA[' + t + ']]>', f'<a href="&#104;ttp://enc.example.com/&amp;x">{t}</a>'])

    def html(self):
        cs, label = self.charset_of()
        top = self.pick(["<!DOCTYPE html><html><head><meta charset=utf-8></head><body>", "<html xmlns:o=\"urn:schemas-microsoft-com:office:office\"><body>", "", "<HTML><BODY bgcolor=#FFFFFF>", "<html><head><title>x</title></head><body>"])
        body = top + self.pick(["\n", "", " "]).join(self.html_piece() for _ in range(self.rng.randint(1, 25))) + self.pick(["</body></html>", "", "</html>\n\n", "</table></body>"])
        return self.leaf(self.pick(["text/html"] * 9 + ["TEXT/HTML"]), body.encode(cs, "replace"), label if self.chance(.9) else None)

    def attachment(self):
        ext = self.pick(list(TYPES))
        ctype = {"pdf": "application/pdf", "png": "image/png", "gif": "image/gif", "jpg": "image/jpeg", "ics": "text/calendar; method=REQUEST", "html": "text/html", "txt": "text/plain", "vcf": "text/x-vcard",
                 "zip": "application/zip"}.get(ext, "application/octet-stream")
        if self.chance(.15):
            ctype = self.pick(["application/octet-stream", "application/x-pdf", "text/plain", "image/png", "application/ms-tnef"])
        name = self.pick(["report", "Invoice 2026", "scan", "facture_é", "照片", "invoice.pdf"]) + "." + ext
        return self.leaf(ctype, TYPES[ext] + bytes(self.rng.randrange(50)), None, name, self.pick([f'attachment; filename="{name}"', "inline", None, f"attachment;\n filename*=utf-8''{name}"]), True)

    def multi(self, subtype, parts, extra=""):
        b = self.pick(["_000_{0}_", "----=_Part_{0}.{0}", "Apple-Mail={0}", "b1_{0}", "{0}", "--{0}--", "=_{0}"]).format(self.rng.getrandbits(40))
        quoted = self.pick([f'"{b}"', f'"{b}"', b])
        out = self.pick([b"", b"This is a multi-part message in MIME format.\n", b"\n"])
        for head, body in parts:
            out += b"--" + b.encode() + self.pick([b"\n"] * 9 + [b" \n", b"\r\n"]) + self.flat(head) + b"\n" + body + self.pick([b"\n", b"\n\n", b""])
        broken = self.rng.randrange(20)
        if broken == 0:
            pass
        elif broken == 1:
            out += b"--" + b.encode() + b"\n"
        else:
            out += b"\n--" + b.encode() + b"--\n" + self.pick([b"", b"", b"epilogue http://after.example.com/\n"])
        return [(b"Content-Type", f"multipart/{subtype};{extra}{self.pick([' ', chr(10) + chr(9)])}boundary={quoted}".encode())], out

    def report(self):
        status = ([(b"Content-Type", b"message/delivery-status")], b"Reporting-MTA: dns; mx.example.net\nArrival-Date: Sat, 21 Nov 2026 10:00:00 +0000\n\nFinal-Recipient: rfc822; nobody@example.net\nAction: failed\nStatus: 5.1.1\n"
                  b"Diagnostic-Code: smtp; 550 5.1.1 <nobody@example.net>: user unknown\n")
        original = ([(b"Content-Type", self.pick([b"message/rfc822", b"text/rfc822-headers"]))], self.message(0))
        return self.multi("report", [self.plain(), status, original], " report-type=delivery-status;")

    def signed(self):
        if self.chance(.5):
            sig = self.leaf("application/pkcs7-signature", bytes(300), None, "smime.p7s", 'attachment; filename="smime.p7s"', True)
            return self.multi("signed", [self.plain(), sig], ' protocol="application/pkcs7-signature"; micalg=sha-256;')
        sig = ([(b"Content-Type", b'application/pgp-signature; name="signature.asc"')], b"-----BEGIN PGP SIGNATURE-----\n\niQEzBAEBCAAdFiEE=\n-----END PGP SIGNATURE-----\n")
        return self.multi("signed", [self.plain(), sig], ' micalg=pgp-sha512; protocol="application/pgp-signature";')

    def encrypted(self):
        if self.chance(.5):
            return self.leaf("application/pkcs7-mime; smime-type=enveloped-data", bytes(500), None, "smime.p7m", "attachment; filename=smime.p7m", True)
        return self.multi("encrypted", [([(b"Content-Type", b"application/pgp-encrypted")], b"Version: 1\n"), ([(b"Content-Type", b"application/octet-stream")], b"-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----\n")],
                          ' protocol="application/pgp-encrypted";')

    def entity(self, depth=0):
        kind = self.rng.randrange(20 if depth < 3 else 6)
        if kind <= 2:
            return self.plain()
        if kind <= 5:
            return self.html()
        if kind <= 10:
            return self.multi("alternative", [self.plain(), self.html()] + ([self.leaf("text/calendar; method=REQUEST", TYPES["ics"], "utf-8")] if self.chance(.2) else []))
        if kind <= 13:
            return self.multi("mixed", [self.entity(depth + 1)] + [self.attachment() for _ in range(self.rng.randint(0, 3))])
        if kind == 14:
            return self.multi("related", [self.html()] + [self.attachment() for _ in range(self.rng.randint(1, 2))], ' type="text/html";')
        if kind == 15:
            return self.signed()
        if kind == 16:
            return self.encrypted()
        if kind == 17:
            return self.report()
        if kind == 18:
            return self.multi(self.pick(["digest", "mixed", "parallel", "appledouble", "x-unknown"]), [([(b"Content-Type", b"message/rfc822")], self.message(depth + 1)) for _ in range(self.rng.randint(1, 2))])
        return self.attachment()

    def flat(self, fields):
        return b"".join(n + self.pick([b": "] * 30 + [b":", b":  ", b":\t"]) + v + b"\n" for n, v in fields)

    def message(self, depth=-1):
        head, body = self.entity(depth + 1)
        data = self.flat(self.head(head)) + b"\n" + body
        return data


ODD = [b"Content-Type: text/plain; charset=utf-8; name*0*=utf-8''a%20; name*1=b.html", b"Content-Type: text/html (comment); charset=(x)utf-8", b"Content-Type:text/plain;charset=\"iso-8859-1", b"Content-Type: ;",
       b"Content-Type: text", b"Content-Type: multipart/mixed", b"Content-Type: message/partial; id=x; number=1", b"Content-Type: text/x-aol; charset=us-ascii", b"Content-Type: text/enriched", b"Content-Type: text/html;; charset=utf-8;",
       b"Content-Transfer-Encoding: x-uuencode", b"Content-Transfer-Encoding: quoted-printable\nContent-Transfer-Encoding: base64", b"Content-Transfer-Encoding: BASE64 (x)", b"Content-Disposition: attachment; filename=\"=?utf-8?B?4pyT?=.pdf\"",
       b"From nobody Sat Nov 21 10:00:00 2026", b">From x", b"Subject :late colon", b"Subject", b": empty name", b" folded first line", b"\tand a tab", b"X-Nul: a\0b", b"To: a@example.net,,b@example.net;", b"From: a@b@c.example",
       b"From: \"unclosed <a@example.net>", b"From: (comment (nested) \\) here) a@example.net", b"From: group: a@example.net, b@example.net;", b"Reply-To: \xff\xfe@example.net", b"Date: Sat, 21 Nov 2026 10:00:00 +0000\n (comment\n continued)",
       b"Received: from a.example.net by b.example.net; Sat, 21 Nov 2026 25:61:00 +0000", b"Received: (qmail 1 invoked by alias); 1 Jan 1970 00:00:00 -0000", b"Received: from [1.2.3.4] by x with SMTP; garbage date", b"X-Spam-Checker-Version: x",
       b"Message-ID:\n\t<folded@example.net>", b"Message-ID: <a@b> <c@d>", b"List-Id:", b"Resent-Message-ID: <r@example.net>", b"Apparently-To: x@example.net", b"X-Mailer: \xe2\x9c\x93", b"Subject: =?utf-8?Q?=F0=9F=8E=89?= =?utf-8?Q?_?= plain =?x?=",
       b"Subject: =?utf-8?B?4pyT4pyT?==?utf-8?B?4pyT?=", b"Subject: =?ISO-2022-JP?B?GyRCRnxLXBsoQg==?= =?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", b"To: =?utf-8?q?a=2Cb?= <x@example.net>", b"From: =?utf-8?q?=22PayPal=22?= <x@example.net>"]
PIECES = [b"\0", b"\r", b"\r\n", b"\n\n\n", b"\x1b$B", b"\xa0", b"\xc2\xa0", b"\xe2\x80\x8b", b"\xff", b"=\n", b"=3D", b"=?", b"<", b"</a>", b"<!--", b"-->", b"&#", b"&amp;", b"\"", b"http://", b".com", b"@", b"\t", b" ",
          b"<a href=http://x.example.com>", b"<style>", b"</style>", b"<script>", b"</script>", b"<title>", b"begin 644 a.exe\n", b"--", b"://", b"%00", b"\xe3\x80\x82", b"<br>", b"<p>", b"<div style='display:none'>", b"<b", b"/>"]


def damage(data, rng):
    """What broken senders and filters on the way make of mail."""
    for _ in range(rng.randint(1, 5)):
        head, sep, body = data.partition(b"\n\n")
        kind = rng.randrange(9)
        if kind <= 2:
            lines = head.split(b"\n")
            lines.insert(rng.randint(0, len(lines)), rng.choice(ODD))
            data = b"\n".join(lines) + sep + body
        elif kind <= 5:
            at = rng.randint(0, len(body))
            data = head + sep + body[:at] + rng.choice(PIECES) * rng.choice([1, 1, 2, 30]) + body[at:]
        elif kind == 6:
            data = head + sep + body[:rng.randint(0, len(body))]
        elif kind == 7:
            i, j = sorted(rng.randint(0, len(body)) for _ in range(2))
            data = head + sep + body[:i] + body[j:] + body[i:j]
        else:
            data = head + rng.choice([b"\n", b"\r\n\r\n", b"", b"\n \n", b"\n\n\n"]) + body
    return data


def make(rng):
    data = Maker(rng).message()
    if rng.random() < .3:
        data = damage(data, rng)
    if rng.random() < .12:
        data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return data


def fingerprint():
    """Rules that hit by the length, the ends and the bytes of what rules read, so that a difference in any text shows
    although no rule of the stock set is about it."""
    out, m = [], 41
    for i in range(0x80, 0x100):  # 0x90 stands for all characters beyond Latin-1 (URI_WIDE)
        out += [f"body __FB_{i:02X} /\\x{i:02X}/"] + ([f"uri __FU_{i:02X} /\\x{i:02X}/"] if i != 0x90 else [])
    kinds = ["body __FBL_{k} /{r}/s", "uri __FUL_{k} /{r}/s", "rawbody __FWL_{k} /{r}/s", "full __FFL_{k} /{r}/s"]
    for name in ("From:addr", "From:name", "Reply-To:addr", "To:addr", "To:name", "ToCc", "EnvelopeFrom", "MESSAGEID", "Subject", "Subject:raw", "ALL", "ALL:raw", "X-Spam-Relays-Untrusted", "X-Spam-Relays-Trusted",
                 "X-Spam-Relays-External", "X-Spam-Relays-Internal", "Received", "From:raw", "To:raw", "ALL-EXTERNAL", "ALL-TRUSTED", "Message-ID:host", "List-Unsubscribe", "From:domain", "From:addr:host"):
        kinds.append("header __FH_" + "".join(c for c in name if c.isalnum()) + "_{k} " + name + " =~ /{r}/s")
    for k in range(m):
        r = f"^(?:.{{{m}}})*.{{{k}}}\\z"
        out += [kind.format(k=k, r=r) for kind in kinds]
        if k < 7:
            out.append(f"mimeheader __FMH_{k} Content-Type =~ /^(?:.{{7}})*.{{{k}}}$/")
        out.append(f"body __FHR_{k} eval:html_range('ratio','{k / m:.3f}','{(k + 1) / m:.3f}')")
        out.append(f"body __FHL_{k} eval:html_range('non_space_len','{k * 37}','{k * 37 + 37}')")
    for c in range(0x21, 0x7f):
        out += [f"body __FBE_{c:02X} /\\x{c:02X}\\s*\\z/", f"body __FBS_{c:02X} /^\\x{c:02X}/", f"uri __FUE_{c:02X} /\\x{c:02X}\\z/", f"rawbody __FWE_{c:02X} /\\x{c:02X}\\s*\\z/"]
    def ranges(name, call, kind, values):
        out.extend(f"{kind} __FE_{name}_{i} eval:{call.format(a, b)}" for i, (a, b) in enumerate(zip(values, values[1:])))

    unit = [f"{i / 40:.3f}" for i in range(41)]
    steps = [0, 1, 2, 3, 4, 5, 6, 8, 10, 14, 20, 30, 45, 70, 100, 200, 400, 700, 1000, 2000, 5000, 20000]
    for test in ("bad_tag_ratio", "non_element_ratio", "closed_extra_ratio", "obfuscation_ratio"):
        ranges(test, "html_range('" + test + "','{}','{}')", "body", unit)
    for test in ("length", "html_length", "image_area", "backhair_count", "min_size", "max_size"):
        ranges(test, "html_range('" + test + "','{}','{}')", "body", steps)
    ranges("image_ratio", "html_image_ratio('{}','{}')", "body", unit)
    ranges("image_only", "html_image_only('{}','{}')", "body", steps)
    ranges("difference", "multipart_alternative_difference('{}','{}')", "body", list(range(0, 101, 4)))
    ranges("multipart", "check_mime_multipart_ratio('{}','{}')", "body", unit)
    ranges("vertical", "tvd_vertical_words('{}','{}')", "body", list(range(0, 101, 4)))
    ranges("base64", "check_base64_length('{}','{}')", "body", list(range(1, 90, 4)))
    ranges("pixels", "pixel_coverage('all','{}','{}')", "body", [i * i * 40 for i in range(1, 90, 4)])
    ranges("images", "image_count('all','{}','{}')", "body", steps[1:12])
    ranges("picture", "image_to_text_ratio('all','{}','{}')", "body", unit)
    ranges("shifted", "check_for_shifted_date('{}','{}')", "header", ["-96", "-48", "-24", "-12", "-6", "-3", "0", "3", "6", "12", "24", "48", "96"])
    ranges("similar", "similar_recipients('{}','{}')", "header", unit)
    for n in steps[1:18]:
        out += [f"body __FE_sig_{n} eval:plaintext_sig_length('{n}')", f"body __FE_text_{n} eval:plaintext_body_length('{n}')",
                f"body __FE_qp_{n} eval:check_qp_ratio('{n / 1000}')", f"body __FE_size_{n} eval:check_body_length('{n}')",
                f"body __FE_unicode_{n} eval:check_abundant_unicode_ratio('{n / 1000}')", f"body __FE_stock_{n} eval:check_stock_info('{n}')",
                f"body __FE_blank_{n} eval:check_blank_line_ratio('{n - 1}','{n}','{n % 7}')",
                f"body __FE_title_{n} eval:html_title_subject_ratio('{n / 10}')"]
    for what in ("mime_base64_count", "mime_base64_encoded_text", "mime_body_html_count", "mime_body_text_count", "mime_faraway_charset", "mime_missing_boundary", "mime_multipart_alternative",
                 "mime_qp_count", "mime_qp_long_line", "mime_ascii_text_illegal", "mime_bad_iso_charset"):
        out.append(f"body __FM_{what} eval:check_for_mime('{what}')")
        out += [f"meta __FM_{what}_{n} __FM_{what} == {n}" for n in range(1, 40)]
    for tag in ("a", "b", "body", "br", "center", "div", "font", "form", "head", "html", "iframe", "img", "meta", "o:p", "p", "script", "span", "style", "table", "td", "title", "tr", "v:roundrect"):
        out += [f"body __FT_{i} eval:html_tag_{call}" for i, call in ((f"e_{sum(tag.encode())}_{len(tag)}", f"exists('{tag}')"), (f"o_{sum(tag.encode())}_{len(tag)}", f"balance('{tag}', '> 0')"))]
    for flag in ("missing_mime_head_body_separator", "missing_mime_headers", "truncated_headers", "mime_epilogue_exists"):
        out.append(f"header __FP_{flag} eval:check_msg_parse_flags('{flag}')")
    out += ["body __FX_case eval:check_for_uppercase('1','101')", "body __FX_ascii eval:check_for_ascii_text_illegal()", "body __FX_ma eval:check_ma_non_text()", "body __FX_only eval:check_for_mime_html_only()",
            "body __FX_src eval:check_iframe_src()", "body __FX_https eval:check_https_http_mismatch('1','10')", "body __FX_https2 eval:check_https_http_mismatch('0','100')", "body __FX_embeds eval:html_test('embeds')",
            "header __FX_far eval:check_for_faraway_charset_in_headers()", "body __FX_far2 eval:check_for_faraway_charset()", "ok_locales en"]
    return "\n".join(out) + "\n"
