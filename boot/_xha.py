"""The archive's start-up: runs the package from inside xha.pyz and writes nothing to disk.

A daemon that must guard a host cannot first need a writable disk, a home directory or a
lock.  So everything that it runs is in this one file and is taken from there: the modules
from one *bundle* of bytecode for this version of Python (from their sources, slower, when
the archive was built without this version), and the compiled extensions through memory.

Invariants:
  * once ``prepare`` has returned, importing a pure module of ours reads no file: an archive
    that is replaced or lost under a running daemon changes nothing in that daemon (the two
    libraries are read when they are first imported, which a daemon does as it starts);
  * a bundle is believed only when its checksum is right: a damaged copy ends with a message.

Reached in two ways, both with the path as the caller wrote it (a link is not resolved):
  * the file is executed: its first line is ``python3 -ISc...;_xha.run()``, which leaves out
    ``site`` (other people's .pth files) and ``runpy``;
  * ``python3 xha.pyz ...``: the archive's ``__main__.py``.

``XHA_EXTRACT=1`` in the environment goes through shiv's own bootstrap instead, which copies
the packages to disk first: for the day on which loading from memory is the problem.

Imports at the top are built into every CPython: nothing is searched for, and ``typing``
alone would cost as much as the rest of the start.
"""
import _imp
import marshal
import sys
from _frozen_importlib import ModuleSpec
from posix import environ

MYPY = False
if MYPY:  # read by the type checker, never run
    from types import CodeType, ModuleType
    from typing import Any, Callable, Dict, List, Optional, Tuple
    from zipimport import zipimporter

# Numbers of xha.errors.ExitCode, which cannot be imported yet.  Source: spec 6, exit codes.
SYSTEM_ERROR = 2
INVALID_ENVIRONMENT = 16

#: First bytes of a bundle; then CRC-32 of the rest (4 bytes, little-endian); then the rest:
#: marshal of {module name: (whether a package, where its code begins and ends)}, and the codes,
#: each by marshal, counted from the end of that.
BUNDLE_MAGIC = b"xhaC"
_HEAD_BYTES = 8

#: Modules that are shared libraries, in the order in which their images are named.
EXTENSIONS = ("netifaces", "crcmod._crcfunext")

#: Where a library may be written for a moment when the kernel refuses to keep it in memory.
PLACES = ("/dev/shm", "/run", "/tmp", "/var/tmp", "/var/lib/xha")

_SYS_MEMFD_CREATE_X86_64 = 319
_MFD_CLOEXEC = 1

_called_as = ""


class Modules:
    """Finds and loads the pure modules, from a bundle that is in memory whole."""

    def __init__(self, root: str, zipped: "zipimporter", bundle: bytes) -> None:
        self._root = root + "/site-packages/"
        self._zipped = zipped
        self._places = _open_bundle(bundle)
        # Of all, also of those that are forgotten once they are imported: for tracebacks.
        self._packages = {name for name, place in self._places.items() if place[0]}
        # One piece: what takes it apart leaves holes in memory when it is packed.
        self._bundle = bundle
        self._packed = b""

    def find_spec(self, name: str, path: "Any" = None,
                  target: "Any" = None) -> "Optional[ModuleSpec]":
        """The module ``name`` of the bundle, or None when it is not ours."""
        if name not in self._places:
            return None
        spec = ModuleSpec(name, self, origin=self.get_filename(name),  # type: ignore[arg-type]
                          is_package=self.is_package(name))
        spec.has_location = True
        if self.is_package(name):
            spec.submodule_search_locations = [self._root + name.replace(".", "/")]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """A plain module will do."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run the module's code in it."""
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name: str) -> "CodeType":
        """The code of the module ``name``, which is in the bundle."""
        _, begin, end = self._places[name]
        bundle = memoryview(self._bundle or _unpacked(self._packed))
        code = marshal.loads(bundle[begin:end])  # type: CodeType
        return code

    def pack(self, again: "Tuple[str, ...]" = ()) -> None:
        """Compress the modules that are not imported yet, and those whose code is wanted
        ``again``; forget the others."""
        import zlib
        rest, places = bytearray(), {}
        for name, (is_package, begin, end) in self._places.items():
            if name not in sys.modules or name in again:
                places[name] = (is_package, len(rest), len(rest) + end - begin)
                rest += memoryview(self._bundle)[begin:end]
        self._packed, self._places, self._bundle = zlib.compress(bytes(rest)), places, b""

    def is_package(self, name: str) -> bool:
        """Whether ``name``, which is ours, is a package."""
        return name in self._packages

    def get_filename(self, name: str) -> str:
        """Where the source of ``name`` is in the archive."""
        inside = "/__init__.py" if self.is_package(name) else ".py"
        return self._root + name.replace(".", "/") + inside

    def get_source(self, name: str) -> str:
        """The source of ``name``, for tracebacks: the one thing still read from the archive.

        Raises:
            ImportError: it cannot be read, for whatever reason.  Anything else would be raised
                out of the very traceback that was to be shown.
        """
        try:
            return self.get_data(self.get_filename(name)).decode("utf-8")
        except Exception as error:
            raise ImportError("no source of {}: {}".format(name, error))

    def get_data(self, path: str) -> bytes:
        """The bytes of a file beside a module; ``path`` as ``__file__`` begins.

        Raises:
            OSError: no such file in the archive.
        """
        if path.startswith(self._root):
            path = "site-packages/" + path[len(self._root):]
        return self._zipped.get_data(path)


class Extensions:
    """Finds and loads the shared libraries of the archive, of this Python's own ABI."""

    def __init__(self, root: str, zipped: "zipimporter") -> None:
        self._root = root
        self._zipped = zipped

    def find_spec(self, name: str, path: "Any" = None,
                  target: "Any" = None) -> "Optional[ModuleSpec]":
        """The library ``name``; None when it is not ours or has none for this Python."""
        if name not in EXTENSIONS:
            return None
        for suffix in _imp.extension_suffixes():  # the exact ABI first, then the stable one
            inside = "site-packages/" + name.replace(".", "/") + suffix
            try:
                image = self._zipped.get_data(inside)
            except OSError:
                continue
            spec = ModuleSpec(name, self, origin=self._root + "/" + inside,  # type: ignore
                              loader_state=image)
            return spec
        return None

    def create_module(self, spec: ModuleSpec) -> "ModuleType":
        """Load the library from memory or, where that is refused, from a passing file.

        Raises:
            ImportError: nowhere can it be loaded; says what each place answered.
        """
        origin, image = spec.origin, spec.loader_state
        spec.loader_state = None
        chosen = environ.get(b"TMPDIR", b"").decode("utf-8", "surrogateescape")
        refusals = []
        for place in ("",) + ((chosen,) if chosen else ()) + PLACES:
            try:
                module = _load(spec, image, place)
            except (ImportError, OSError) as error:
                refusals.append("{}: {}".format(place or "memory", error))
                continue
            spec.origin = module.__file__ = origin
            return module
        raise ImportError("cannot load {}: {}".format(spec.name, "; ".join(refusals)))

    def exec_module(self, module: "ModuleType") -> None:
        """Finish what ``create_module`` began."""
        _imp.exec_dynamic(module)


def _load(spec: ModuleSpec, image: bytes, place: str) -> "ModuleType":
    """Load a library through a file in the directory ``place``, or in memory for "".

    The file is gone when this returns; the mapped library stays.  glibc takes two libraries
    for one when their paths are equal, even after a descriptor was closed and its number
    used again, so each library's path has its own number of "./".
    """
    import os
    if place:
        import tempfile
        descriptor, path = tempfile.mkstemp(".so", "xha-", place)
    else:
        descriptor = _memory_file(spec.name)
        path = "/proc/{}self/fd/{}".format("./" * EXTENSIONS.index(spec.name), descriptor)
    try:
        rest = memoryview(image)
        while rest:
            rest = rest[os.write(descriptor, rest):]
        spec.origin = path
        module = _imp.create_dynamic(spec)  # type: ModuleType
        return module
    finally:
        os.close(descriptor)
        if place:
            os.unlink(path)


def _memory_file(name: str) -> int:
    """A file that exists in memory only.  OSError, ImportError: it cannot be had."""
    import os
    create = getattr(os, "memfd_create", None)  # type: Optional[Callable[[str], int]]
    if create is not None:  # CPython 3.8 and newer
        return create(name)
    if os.uname().machine != "x86_64":
        raise OSError("memfd_create: its number is known for x86-64 alone")
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.syscall(_SYS_MEMFD_CREATE_X86_64, name.encode(), _MFD_CLOEXEC))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor


def _open_bundle(bundle: bytes) -> "Dict[str, Tuple[bool, int, int]]":
    """Check a bundle; its modules: whether a package, and where the code is in the bundle.

    Raises:
        ValueError: it is not as it was built.
    """
    from binascii import crc32
    head, body = bundle[:_HEAD_BYTES], memoryview(bundle)[_HEAD_BYTES:]
    if head != BUNDLE_MAGIC + crc32(body).to_bytes(4, "little"):
        raise ValueError("its checksum is wrong")
    places = marshal.loads(body)  # type: Dict[str, Tuple[bool, int, int]]
    codes = len(bundle) - max(end for _, _, end in places.values())
    return {name: (is_package, codes + begin, codes + end)
            for name, (is_package, begin, end) in places.items()}


def _unpacked(packed: bytes) -> bytes:
    from zlib import decompress
    return decompress(packed)


def pack(again: "Tuple[str, ...]" = ()) -> None:
    """Take less memory, now that what a daemon needs is imported; the rest can still be."""
    for finder in sys.meta_path:
        if isinstance(finder, Modules):
            finder.pack(again)


def prepare(root: str, zip_path: str = "") -> None:
    """Make the package ``xha`` and what it uses importable from the archive.

    Args:
        root: the archive's absolute path; file names of modules begin with it.
        zip_path: another absolute path of the same file, whose directory has been read
            already; by default ``root``.

    Raises:
        OSError, ImportError: the archive cannot be read.
        ValueError: it is damaged.
    """
    from zipimport import zipimporter
    zipped = zipimporter(zip_path or root)
    sys.meta_path.insert(0, Extensions(root, zipped))
    try:
        bundle = zipped.get_data(sys.implementation.cache_tag + ".bundle")
    except OSError:  # built without this Python
        sys.path.insert(0, root + "/site-packages")
    else:
        sys.meta_path.insert(0, Modules(root, zipped, bundle))


def _refuse(code: int, text: str) -> int:
    """One message for people, and the exit code for programs."""
    sys.stderr.write("xha.pyz: " + text + "\n")
    return code


def start(called_as: str, argv: "List[str]") -> int:
    """Run the program from the archive whose path the caller wrote as ``called_as``.

    Returns:
        The exit code of the command: its own, INVALID_ENVIRONMENT for a Python that must
        not run it, SYSTEM_ERROR for a damaged archive.
    """
    global _called_as
    if sys.version_info < (3, 6):
        return _refuse(INVALID_ENVIRONMENT, "needs Python 3.6 or newer; this is " + sys.version)
    if sys.flags.optimize:
        return _refuse(INVALID_ENVIRONMENT, "refuses to run under python -O: its assertions "
                       "are part of its safety")
    import os.path
    root = os.path.realpath(called_as)
    sys.path[:] = [path for path in sys.path if not path.startswith(called_as)]
    sys.argv[:] = [root] + argv
    _called_as = called_as
    if environ.get(b"XHA_EXTRACT") == b"1":
        return _extract(root)
    try:
        prepare(root, called_as if called_as.startswith("/") else "")
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError):
            return _refuse(INVALID_ENVIRONMENT, "this Python lacks a part: {}".format(error))
        return _refuse(SYSTEM_ERROR, "this file is damaged, copy it again: {}".format(error))
    except (OSError, ValueError) as error:
        return _refuse(SYSTEM_ERROR, "this file is damaged, copy it again: {}".format(error))
    return extracted()


def run() -> None:
    """Start from the archive's first line, where argv is ["-c", path, arguments ...]."""
    sys.exit(start(sys.argv[1], sys.argv[2:]))


def _extract(root: str) -> int:
    """Let shiv's bootstrap copy the packages to disk; it then calls ``extracted``."""
    if sys.flags.no_site:
        import site
        site.main()
    sys.path.insert(0, root)
    from _bootstrap import bootstrap  # type: ignore[import-not-found]
    bootstrap()
    return SYSTEM_ERROR  # shiv's bootstrap ends the process itself


def extracted() -> int:
    """Run the program, now that ``xha`` can be imported; shiv's entry point too."""
    from xha.cli import main
    return main(_called_as, sys.argv[1:])
