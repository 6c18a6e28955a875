"""Debian packages that exclude what is installed, unpacked beside it instead."""
import pathlib
import subprocess


class Missing(Exception):
    """A program that can't be had here."""


def unpack(name, packages, probe):
    """Where they are unpacked. probe: a file that must then be there."""
    cache = pathlib.Path(f"/var/tmp/gatehouse-test-{name}")
    where = cache / "root"
    if not (where / probe).exists():
        cache.mkdir(parents=True, exist_ok=True)
        r = subprocess.run(["apt-get", "download", "-q", *packages], cwd=cache, capture_output=True,
                           text=True)
        if r.returncode != 0:
            raise Missing("no package archive: " + r.stderr[-200:])
        for deb in cache.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(deb), str(where)], check=True)
    return where
