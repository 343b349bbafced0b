"""The three packages that xha uses, from pinned sources, as they go into the archive.

The compiled extensions are built straight with the C compiler rather than by pip: what pip
builds is tied to the Python of this machine (rpath, libpython), holds its paths, and with
crcmod turns a failed compilation into a silent pure-Python package.  All versions lie side
by side in one folder, each under the name of its own ABI, and import picks the right one.
"""
import concurrent.futures
import configparser
import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence

from tools import elf, environments, machine
from tools.environments import DOWNLOADS
from tools.machine import ROOT, BuildError, Interpreter, run, say

#: What netifaces's setup.py would find out on any Linux with glibc.
NETIFACES_MACROS = [name + "=1" for name in (
    "HAVE_GETIFADDRS", "HAVE_GETNAMEINFO", "HAVE_NETPACKET_PACKET_H", "HAVE_SOCKADDR_IN",
    "HAVE_SOCKADDR_IN6", "HAVE_SOCKADDR_UN", "HAVE_SOCKADDR_LL", "HAVE_PF_NETLINK")]

#: Makes netifaces keep to the stable ABI of CPython 3.6, for versions we do not know yet.
STABLE_ABI_MACROS = ["Py_LIMITED_API=0x03060000", "PyList_SET_ITEM=PyList_SetItem"]

#: Regular expressions in docopt that are no raw strings: from 3.12 on each is a warning on
#: standard error whenever the file is compiled.
DOCOPT_ESCAPES = (b"'(<\\S*?>)'", b"'\\[default: (.*)\\]'", b"'\\n *(<\\S+?>|-\\S+?)'")

LICENSES = {"docopt": "LICENSE-MIT", "netifaces": "LICENSE", "crcmod": "LICENSE"}


class Library(NamedTuple):
    """One extension to compile."""

    source: str
    output: str
    include: str
    macros: List[str]


def read_spec() -> configparser.ConfigParser:
    """xha.pyz.spec."""
    spec = configparser.ConfigParser()
    spec.read(os.path.join(ROOT, "xha.pyz.spec"))
    return spec


def fingerprint(paths: Iterable[str]) -> str:
    """The SHA-256 of some files' contents, in hex."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as stream:
            content = stream.read()
        digest.update(b"%d " % len(content) + content)
    return digest.hexdigest()


def _verified(path: str, pin: str) -> str:
    """``path``, if its content is the pinned one."""
    with open(path, "rb") as stream:
        found = "sha256:" + hashlib.sha256(stream.read()).hexdigest()
    if found != pin:
        os.unlink(path)
        raise BuildError("{}: {} is not the pinned {}".format(path, found, pin))
    return path


def _download(python: str, requirement: str, pin: str, *options: str) -> None:
    """Let pip download one file, which must have the pinned hash, into DOWNLOADS."""
    os.makedirs(DOWNLOADS, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted = os.path.join(folder, "wanted.txt")
        with open(wanted, "w") as stream:
            stream.write("{} --hash={}\n".format(requirement, pin))
        run([python, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes",
             "-d", DOWNLOADS, "-r", wanted] + list(options),
            quiet=True, env=environments.pip_environment())


def _source(python: str, name: str, version: str, pin: str, folder: str) -> str:
    """Unpack the pinned source package ``name`` in ``folder``; return where it is."""
    path = os.path.join(DOWNLOADS, "{}-{}.tar.gz".format(name, version))
    if not os.path.exists(path):
        # pip asks the package for its name with the setuptools of our own environment.
        _download(python, "{}=={}".format(name, version), pin,
                  "--no-binary", ":all:", "--no-build-isolation")
    with tarfile.open(_verified(path, pin)) as package:
        options = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # type: Any
        package.extractall(folder, **options)
    return os.path.join(folder, "{}-{}".format(name, version))


def _copy(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)


def _pure_parts(sources: Dict[str, str], target: str) -> None:
    """Lay down the Python of the three packages, and their licences."""
    with open(os.path.join(sources["docopt"], "docopt.py"), "rb") as stream:
        text = stream.read()
    for literal in DOCOPT_ESCAPES:
        if literal not in text:
            raise BuildError("docopt.py has no literal {!r}".format(literal))
        text = text.replace(literal, b"r" + literal)
    with open(os.path.join(target, "docopt.py"), "wb") as stream:
        stream.write(text)
    for module in ("__init__.py", "crcmod.py", "predefined.py", "_crcfunpy.py"):
        _copy(os.path.join(sources["crcmod"], "python3", "crcmod", module),
              os.path.join(target, "crcmod", module))
    for name, license_file in LICENSES.items():
        _copy(os.path.join(sources[name], license_file),
              os.path.join(target, "licenses", name + ".txt"))


def _compile(library: Library) -> None:
    """Compile one extension: no debug information, no rpath, no path of this machine."""
    folder, name = os.path.split(os.path.abspath(library.source))
    command = [str(machine.compiler()), "-O2", "-g0", "-s", "-fPIC", "-shared", "-fwrapv",
               "-fno-strict-aliasing", "-ffile-prefix-map={}=.".format(folder),
               "-Wl,--build-id=none", "-Wl,--as-needed", "-I" + library.include]
    command += ["-D" + macro for macro in library.macros]
    run(command + [name, "-o", os.path.abspath(library.output)], quiet=True, cwd=folder,
        env=machine.bare_environment())


def _check_library(path: str, limit: str) -> None:
    """Refuse an extension that a dom0 could not load.

    Raises:
        BuildError: it needs a newer glibc than ``limit``, or a library of this machine.
    """
    with open(path, "rb") as stream:
        needs = elf.needs(stream.read())
    beyond = needs.beyond_glibc(limit)
    if beyond:
        raise BuildError("{} needs {}, a dom0 may have glibc {}".format(
            path, " ".join(beyond), limit))
    tied = [name for name in needs.libraries if name.startswith("libpython")]
    tied += needs.search_paths
    if tied:
        raise BuildError("{} is tied to this machine's Python: {}".format(path, " ".join(tied)))


def _libraries(sources: Dict[str, str], version: str, pythons: Sequence[Interpreter],
               target: str) -> List[Library]:
    """What there is to compile for these Pythons."""
    netifaces = os.path.join(sources["netifaces"], "netifaces.c")
    crcmod = os.path.join(sources["crcmod"], "python3", "src", "_crcfunext.c")
    macros = NETIFACES_MACROS + ["NETIFACES_VERSION=" + version]
    found = []
    for python in pythons:
        found.append(Library(netifaces, os.path.join(target, "netifaces" + python.suffix),
                             python.include, macros))
        found.append(Library(crcmod, os.path.join(target, "crcmod", "_crcfunext" + python.suffix),
                             python.include, []))
    oldest = pythons[0]
    found.append(Library(netifaces, os.path.join(target, "netifaces.abi3.so"), oldest.include,
                         macros + STABLE_ABI_MACROS))
    return found


def _wheels(spec: configparser.ConfigParser, python: str, pythons: Sequence[Interpreter],
            target: str) -> None:
    """Take netifaces from ready-made wheels; say for which Pythons there is none."""
    version = spec["sources"]["netifaces"].split()[0]
    without = []
    for wanted in pythons:
        pin = spec["netifaces-wheels"].get(wanted.version)
        if pin is None:
            without.append(wanted.version)
            continue
        abi = "cp{}{}{}".format(*wanted.number, "m" if wanted.number < (3, 8) else "")
        path = os.path.join(DOWNLOADS, "netifaces-{}-{}-{}-manylinux_2_5_x86_64.manylinux1_x86_64"
                            ".whl".format(version, abi.rstrip("m"), abi))
        if not os.path.exists(path):
            _download(python, "netifaces==" + version, pin, "--only-binary", ":all:",
                      "--platform", "manylinux1_x86_64", "--implementation", "cp",
                      "--python-version", wanted.version.replace(".", ""), "--abi", abi)
        with zipfile.ZipFile(_verified(path, pin)) as wheel:
            wheel.extract("netifaces" + wanted.suffix, target)
    if without:
        machine.red("no netifaces for CPython {}: there the check of the interface is left out, "
                    "with a warning".format(" ".join(without)))


def _compiled_parts(spec: configparser.ConfigParser, python: str, sources: Dict[str, str],
                    pythons: Sequence[Interpreter], target: str) -> None:
    """Lay down the extensions for every Python that they can be had for."""
    if machine.compiler() is None:
        machine.red("no C compiler: crcmod stays pure Python, netifaces comes from wheels")
        _wheels(spec, python, pythons, target)
        return
    ready = [candidate for candidate in pythons if candidate.include]
    missing = [candidate.version for candidate in pythons if not candidate.include]
    if missing:
        machine.red("no headers of CPython {}: no compiled parts for it".format(
            " ".join(missing)))
    if not ready:
        return
    version = spec["sources"]["netifaces"].split()[0]
    libraries = _libraries(sources, version, ready, target)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(_compile, libraries))
    say("compiled for CPython " + " ".join(candidate.version for candidate in ready))


def build(python: str, pythons: Sequence[Interpreter], work: str) -> str:
    """Fill ``work``/dependencies, unless it holds the very same already; return its path.

    Args:
        python: the Python of the environment "build", whose pip downloads.
        pythons: the CPythons of this machine that the archive is for.

    Raises:
        BuildError: a download, a hash or a compilation is wrong.
    """
    spec = read_spec()
    target = os.path.join(work, "dependencies")
    stamp = target + ".made-from"
    wanted = "{} {} {}".format(
        fingerprint([os.path.join(ROOT, "xha.pyz.spec"), __file__, elf.__file__]),
        machine.compiler(), pythons)
    if os.path.isdir(target) and os.path.exists(stamp):
        with open(stamp) as text:
            if text.read() == wanted:
                return target
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    with tempfile.TemporaryDirectory() as folder:
        sources = {}
        for name, value in spec["sources"].items():
            version, pin = value.split()
            sources[name] = _source(python, name, version, pin, folder)
        _pure_parts(sources, target)
        _compiled_parts(spec, python, sources, pythons, target)
        for place, _, names in os.walk(target):
            for name in names:
                if name.endswith(".so"):
                    _check_library(os.path.join(place, name), spec["extensions"]["max-glibc"])
    with open(stamp, "w") as text:
        text.write(wanted)
    return target
