"""A signed zone, certificates, and TLSA records for tests of DANE and MTA-STS."""
import hashlib
import subprocess

import dns_server


class SignedNsd(dns_server.Nsd):
    """nsd whose root zone is signed (ldns-signzone); `anchor` is the file with its key. `tamper` changes the text of
    the signed zone, as somebody on the way would. Other zones are not signed: delegate them in the root zone."""

    def __init__(self, directory, root, zones=None, tamper=None):
        self.key, self.tamper = None, tamper
        super().__init__(directory, {".": root, **(zones or {})})

    @property
    def anchor(self):
        return f"{self.key}.key"

    def run(self, *args):
        return subprocess.run(args, cwd=self.directory, check=True, capture_output=True, text=True).stdout.strip()

    def write(self):
        super().write()
        zone = self.directory / f"zone{sorted(self.zones).index('.')}"
        if not self.key:
            self.key = str(self.directory / self.run("ldns-keygen", "-k", "-a", "ECDSAP256SHA256", "."))
        self.run("ldns-signzone", "-o", ".", "-f", str(zone) + ".signed", str(zone), self.key)
        text = open(str(zone) + ".signed").read()
        zone.write_text(self.tamper(text) if self.tamper else text)


def openssl(*args, **kw):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, **kw).stdout


class Authority:
    """A certificate authority of our own."""

    def __init__(self, directory):
        self.dir = directory
        self.cert, self.key = directory / "ca.pem", directory / "ca.key"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test CA",
                "-keyout", self.key, "-out", self.cert)

    def issue(self, *names, days=2):
        """(chain, key) of a server; the authority's certificate stands in the chain."""
        key, request, cert = (self.dir / f"{names[0]}.{kind}" for kind in ("key", "csr", "pem"))
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={names[0]}", "-keyout", key, "-out", request)
        (self.dir / "ext").write_text("subjectAltName=" + ",".join(f"DNS:{n}" for n in names))
        cert.write_bytes(openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key,
                                 "-CAcreateserial", "-days", str(days), "-extfile", self.dir / "ext")
                         + self.cert.read_bytes())
        return cert, key


def der(cert):
    return openssl("x509", "-in", cert, "-outform", "DER")


def spki(cert):
    return openssl("pkey", "-pubin", "-outform", "DER", input=openssl("x509", "-in", cert, "-pubkey", "-noout"))


def tlsa(usage, selector, matching, cert):
    data = spki(cert) if selector else der(cert)
    digest = {0: lambda d: d.hex(), 1: lambda d: hashlib.sha256(d).hexdigest(),
              2: lambda d: hashlib.sha512(d).hexdigest()}[matching](data)
    return f"TLSA {usage} {selector} {matching} {digest}"
