"""The source of Xen that hypervisor_patch/ is for, as Debian ships it: pinned, downloaded once."""
import hashlib
import http.client
import os
import time
import urllib.parse
import urllib.request
from typing import List

from tools.environments import DOWNLOADS
from tools.machine import BuildError, say

#: Of Debian 12.  What Debian changes in it touches no file of the patch.
NAME = "xen_4.17.5+72-g01140da4e8.orig.tar.xz"
SHA256 = "53922f4d0a02c577f2ea9d63f65989cd88715779eebeed879ca1d314103ee06e"

#: A mirror forgets a version when its successor comes; the snapshots keep every file for ever,
#: under its SHA-1.
ADDRESSES = (
    "http://deb.debian.org/debian/pool/main/x/xen/" + urllib.parse.quote(NAME),
    "https://snapshot.debian.org/file/484aee73ee641a79784ccca082d88548f1979258",
)

#: What it takes to unpack it and to apply a patch.
PROGRAMS = ("patch", "tar", "xz")

#: The file is this long and no longer, bytes.
SIZE = 4735560

#: How long an address may be silent, and how long it may take in all, s.
SILENT_S, WHOLE_S = 10, 25


class Unreachable(Exception):
    """The source cannot be had here and now; the text says why."""


def path() -> str:
    """Where the source is once it was fetched."""
    return os.path.join(DOWNLOADS, NAME)


def fetch() -> str:
    """See to it that the source is there, whole; return its path.

    Raises:
        Unreachable: no address gave a file.
        BuildError: what is there, or was given, is another file than the pinned one.
    """
    if os.path.exists(path()):
        with open(path(), "rb") as stream:
            data = stream.read()
        try:
            _verify(data, path())
        except BuildError:
            os.unlink(path())
            raise
        return path()
    troubles = []  # type: List[str]
    for address in ADDRESSES:
        try:
            data = _download(address)
        except (OSError, http.client.HTTPException) as error:
            troubles.append("{}: {}".format(address, error))
            continue
        _verify(data, address)
        _keep(data)
        say("downloaded " + address)
        return path()
    raise Unreachable("no source of Xen: " + "; ".join(troubles))


def _download(address: str) -> bytes:
    """The file at ``address``, or as much of it as shows that it is too long."""
    until = time.monotonic() + WHOLE_S
    data = b""
    with urllib.request.urlopen(address, timeout=SILENT_S) as answer:
        while len(data) <= SIZE:
            part = answer.read(1 << 16)
            if not part:
                break
            data += part
            if time.monotonic() > until:
                raise OSError("too slow: {} bytes in {} s".format(len(data), WHOLE_S))
    return data


def _verify(data: bytes, whence: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise BuildError("{}: sha256 {} is not the pinned {}".format(whence, found, SHA256))


def _keep(data: bytes) -> None:
    """Write the file in one go: half a file is never found under its name."""
    os.makedirs(DOWNLOADS, exist_ok=True)
    partial = "{}.{}".format(path(), os.getpid())
    with open(partial, "wb") as stream:
        stream.write(data)
    os.replace(partial, path())
