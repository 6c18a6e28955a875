"""A writer of MaxMind's database format (version 2.0), as small as a test needs: 24-bit records, IPv4 networks in
an IPv6 tree, maps of texts, numbers and maps."""
import ipaddress


class Sized(int):
    """A number of another size than 32 bits: kind 5 has 16, kind 9 has 64."""
    def __new__(cls, value, kind):
        number = super().__new__(cls, value)
        number.kind = kind
        return number


def field(value):
    def head(kind, size):
        first = min(size, 29)
        extra = bytes([size - 29]) if size >= 29 else b""
        return (bytes([kind << 5 | first]) if kind <= 7 else bytes([first, kind - 7])) + extra
    if isinstance(value, dict):
        return head(7, len(value)) + b"".join(field(k) + field(v) for k, v in value.items())
    if isinstance(value, list):
        return head(11, len(value)) + b"".join(field(v) for v in value)
    if isinstance(value, int):
        raw = value.to_bytes(8, "big").lstrip(b"\0")
        return head(getattr(value, "kind", 6), len(raw)) + raw
    raw = value.encode()
    return head(2, len(raw)) + raw


def write(path, networks, kind="Test"):
    """networks: {"203.0.113.0/24": {...}}"""
    nodes, data, places = [[None, None]], b"", {}
    for net, record in networks.items():
        net = ipaddress.ip_network(net)
        bits = int(net.network_address) if net.version == 6 else int(net.network_address)
        length = net.prefixlen if net.version == 6 else 96 + net.prefixlen
        key = repr(record)
        if key not in places:
            places[key] = len(data)
            data += field(record)
        at = 0
        for i in range(length):
            bit = bits >> (127 - i) & 1
            if i == length - 1:
                nodes[at][bit] = ("data", places[key])
            else:
                if nodes[at][bit] is None:
                    nodes.append([None, None])
                    nodes[at][bit] = len(nodes) - 1
                at = nodes[at][bit]
    n = len(nodes)

    def pointer(v):
        number = n if v is None else n + 16 + v[1] if isinstance(v, tuple) else v
        return number.to_bytes(3, "big")
    meta = {"binary_format_major_version": Sized(2, 5), "binary_format_minor_version": Sized(0, 5),
            "build_epoch": Sized(1, 9), "database_type": kind, "description": {"en": "test"}, "ip_version": Sized(6, 5),
            "languages": ["en"], "node_count": n, "record_size": Sized(24, 5)}
    tree = b"".join(pointer(left) + pointer(right) for left, right in nodes)
    path.write_bytes(tree + b"\0" * 16 + data + b"\xab\xcd\xefMaxMind.com" + field(meta))
