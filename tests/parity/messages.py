"""Messages of our own that touch many kinds of rules: written into a directory."""
import base64
import email.policy
import pathlib
import quopri
from email.message import EmailMessage

DATE = "Sat, 21 Nov 2026 10:00:00 +0000"
RECEIVED = ("from mail.example.net (mail.example.net [203.0.113.9])\n\tby mx.example.org (Postfix) with ESMTPS "
            "id 4ABC123\n\tfor <bob@example.org>; " + DATE)
OUTLOOK = "Microsoft Outlook Express 6.00.2900.2180"

SPAMMY = """Dear friend,

I am the widow of a late bank director. The sum of $15,500,000.00 (fifteen million five hundred thousand
US dollars) lies in a private account, and I need your urgent assistance to transfer it. You will get 30%
of the total sum. Please send your full name, bank account number, telephone number and a copy of your
passport. This transaction is 100% risk free and strictly confidential.

CLICK HERE NOW: http://203.0.113.77/claim.php?id=bob@example.org
To be removed from this list, reply with REMOVE in the subject.
"""
PILLS = "Buy V1agra and C1alis online, lowest prices, no prescription needed!!! http://pills.example.com/?a=1\n"
HTML = ("<html><head><title>Offer</title></head><body bgcolor=\"#ffffff\"><font color=\"#ffffff\" size=1>hidden "
        "words</font><h1>HURRY</h1><a href=\"http://bank.example.com.login.example.net/x\">https://www.bank"
        ".example.com</a><img src=\"http://tracker.example.net/i.gif\" width=1 height=1></body></html>\n")


def simple(body=SPAMMY, subject="hello", sender="Alice <alice@example.net>", to="bob@example.org", **headers):
    lines = {"Received": RECEIVED, "From": sender, "To": to, "Subject": subject, "Date": DATE,
             "Message-ID": "<20261121100000.4711@example.net>", **headers}
    head = "".join(f"{k.replace('_', '-')}: {v}\n" for k, v in lines.items() if v is not None)
    return (head + "\n" + body).encode("utf-8", "surrogateescape")


def multipart(text="plain words\n", html=HTML, attach=None):
    m = EmailMessage(policy=email.policy.default.clone(linesep="\n"))
    m["Received"], m["From"], m["To"] = RECEIVED.replace("\n", ""), "Alice <alice@example.net>", "bob@example.org"
    m["Subject"], m["Date"], m["Message-ID"] = "both forms", DATE, "<1.2@example.net>"
    m.set_content(text)
    m.add_alternative(html, subtype="html")
    for name, data in attach or ():
        m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return m.as_bytes()


def coded(body, encoding, charset="utf-8", kind="plain"):
    data = body.encode(charset)
    data = base64.encodebytes(data) if encoding == "base64" else quopri.encodestring(data)
    return simple("", MIME_Version="1.0", Content_Type=f'text/{kind}; charset="{charset}"',
                  Content_Transfer_Encoding=encoding) + data


def messages():
    yield "mixed-line-ends", simple("x" * 1200 + "\n" + "nul \0 byte\n").replace(b"\n", b"\r\n").replace(
        b"\r\nTo:", b"\nTo:")
    yield "plain", simple("first light\n")
    yield "advance-fee", simple()
    yield "pills", simple(PILLS, subject="Re: V I A G R A $$$")
    yield "shouting", simple("BUY NOW\n" * 30, subject="ACT NOW!!! LIMITED TIME OFFER")
    yield "html-only", simple(HTML, MIME_Version="1.0", Content_Type="text/html; charset=us-ascii")
    yield "html-base64", coded(HTML, "base64", kind="html")
    yield "text-qp-latin1", coded("Grüße aus Köln, jetzt 50% billiger\n", "quoted-printable", "iso-8859-1")
    yield "cyrillic", coded("Уважаемые дамы и господа, семинар\n", "base64", "koi8-r")
    yield "alternative", multipart()
    yield "attachment-exe", multipart(attach=[("invoice.pdf.exe", b"MZ" + bytes(200))])
    yield "attachment-zip", multipart(attach=[("photos.zip", b"PK\3\4" + bytes(100))])
    yield "no-date-no-id", simple(Date=None, Message_ID=None)
    yield "no-from", simple(sender=None)
    yield "no-subject", simple(subject=None)
    yield "no-to", simple(to="undisclosed-recipients:;")
    yield "old-date", simple(Date="Sat, 21 Nov 1998 10:00:00 +0000")
    yield "future-date", simple(Date="Mon, 21 Nov 2033 10:00:00 +0000")
    yield "bad-date", simple(Date="yesterday")
    yield "no-received", simple(Received=None)
    yield "dynamic-host", simple(Received="from 9-113-0-203.dsl.dyn.example.net (9-113-0-203.dsl.dyn.example.net "
                                 "[203.0.113.9])\n\tby mx.example.org (Postfix) with SMTP id 4; " + DATE)
    yield "helo-ip", simple(Received="from 203.0.113.9 (unknown [203.0.113.9]) by mx.example.org (Postfix) with "
                            "SMTP id 4; " + DATE)
    yield "forged-hotmail", simple(sender="x <x@hotmail.com>")
    yield "forged-yahoo", simple(sender="x <x@yahoo.com>")
    yield "outlook-without-id", simple(X_Mailer=OUTLOOK, X_MSMail_Priority="High", X_Priority="1")
    yield "mailing-list", simple("a question about the list\n", List_Id="<users.lists.example.org>",
                                 List_Unsubscribe="<mailto:leave@lists.example.org>", Precedence="bulk",
                                 Mailing_List="contact users-help@lists.example.org; run by ezmlm")
    yield "reply", simple("> what do you think?\n\nI agree.\n", subject="Re: plan",
                          In_Reply_To="<a@example.org>", References="<a@example.org>",
                          User_Agent="Mutt/2.2.9")
    yield "many-recipients", simple(to=", ".join(f"bob{i}@example.org" for i in range(40)))
    yield "sorted-recipients", simple(to="aa@example.org, ab@example.org, ac@example.org, ad@example.org, "
                                         "ae@example.org, af@example.org")
    yield "encoded-subject", simple(subject="=?utf-8?B?" + base64.b64encode("Gewinnspiel für dich".encode()).decode()
                                    + "?= =?iso-8859-1?Q?sch=F6n?=")
    yield "raw-8bit", simple("caf\udce9\n", subject="caf\udce9 \udcfc\udce4")
    yield "short-urls", simple("look: http://bit.ly/abc http://tinyurl.com/xyz http://t.co/q\n")
    yield "number-urls", simple("http://3405803849/ http://0xcb.0x0.0x71.0x4d/a http://203.0.113.9:8080/x\n")
    yield "gtube", simple("XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n")
    yield "empty-body", simple("")
    yield "blank", b"\n"
    yield "long-line", simple("x" * 5000 + "\n")
    yield "broken-boundary", simple("--x\nContent-Type: text/plain\n\nwords\n", MIME_Version="1.0",
                                    Content_Type='multipart/mixed; boundary="y"')
    yield "nested", simple("--x\nContent-Type: message/rfc822\n\n" + simple().decode() + "\n--x--\n",
                           MIME_Version="1.0", Content_Type='multipart/mixed; boundary="x"')
    yield "bitcoin", simple("I recorded you with your webcam. Send $900 in bitcoin to "
                            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa within 48 hours.\n", subject="your password")
    yield "freemail-reply", simple("please write to my private address\n", sender="M <m.one@gmail.com>",
                                   Reply_To="m.two@outlook.com")
    yield "two-types", (b"Content-Type: text/x-old; charset=us-ascii\n" + coded("대출 상담 무료\n", "quoted-printable", "euc-kr")
                       .replace(b'charset="euc-kr"', b'Charset="EUC-KR"'))
    yield "crlf", simple().replace(b"\n", b"\r\n")


def write(directory):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in messages():
        (directory / f"{name}.eml").write_bytes(data)
    return sorted(p.name for p in directory.iterdir())
