"""Byte-compile a folder for the Python that runs this: bundler.py PACKAGES START OUTPUT.

Run once by each CPython that the archive is for, from 3.6 on.  PACKAGES is a site-packages
folder; OUTPUT gets a file TAG.bundle with all its modules in the form that START
(boot/_xha.py) reads, and TAG/_xha.pyc, the start-up itself (TAG is such as cpython-36).

The bytes depend on nothing but the sources and this Python: names are sorted, no time and
no path of this machine is recorded, and PYTHONHASHSEED must be 0, because before 3.11 the
order of a frozenset inside a code object is the one in memory.
"""
import binascii
import importlib.util
import marshal
import os
import runpy
import sys
import warnings
from typing import Any, Dict, Iterator, Tuple


def _code(path: str, shown: str) -> Any:
    """The code object of a source file that tracebacks call ``shown``."""
    with open(path, "rb") as stream:
        return compile(stream.read(), shown, "exec", dont_inherit=True, optimize=0)


def _modules(packages: str) -> Iterator[Tuple[str, bool, str]]:
    """Each module in a folder: its name, whether it is a package, and its path inside."""
    for folder, _, files in os.walk(packages):
        for name in files:
            if name.endswith(".py"):
                inside = os.path.relpath(os.path.join(folder, name), packages)
                is_package = name == "__init__.py"
                stem = os.path.dirname(inside) if is_package else inside[:-3]
                yield stem.replace(os.sep, "."), is_package, inside


def main(packages: str, start: str, output: str) -> None:
    """Write the two files."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        sys.exit("bundler: PYTHONHASHSEED must be 0")
    warnings.simplefilter("error")
    tag = str(sys.implementation.cache_tag)
    places = {}  # type: Dict[str, Tuple[bool, int, int]]
    codes = b""
    for name, is_package, inside in sorted(_modules(packages)):
        code = _code(os.path.join(packages, inside), "xha.pyz/" + inside)
        begin, codes = len(codes), codes + marshal.dumps(code)
        places[name] = (is_package, begin, len(codes))
    # Version 2 of marshal: the same values give the same bytes, whoever else refers to them.
    body = marshal.dumps(places, 2) + codes
    magic = runpy.run_path(start)["BUNDLE_MAGIC"]
    with open(os.path.join(output, tag + ".bundle"), "wb") as stream:
        stream.write(magic + binascii.crc32(body).to_bytes(4, "little") + body)
    os.makedirs(os.path.join(output, tag), exist_ok=True)
    header = bytes(8 if sys.version_info < (3, 7) else 12)  # no source file to compare with
    with open(os.path.join(output, tag, "_xha.pyc"), "wb") as stream:
        stream.write(importlib.util.MAGIC_NUMBER + header
                     + marshal.dumps(_code(start, "xha.pyz/_xha.py")))


if __name__ == "__main__":
    main(*sys.argv[1:])
