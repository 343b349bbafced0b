"""What a shared library of ELF asks of the machine that loads it, read from its bytes.

Read where the loader reads: from the dynamic section, through the segments.  The sections'
own table is for other tools, and a library may be without one.  Little-endian and 64 bits,
as x86-64 is; anything else is refused.
"""
import struct
from typing import Dict, Iterator, List, NamedTuple, Tuple

_X86_64 = 62
_LOAD, _DYNAMIC = 1, 2
_NULL, _NEEDED, _STRTAB, _RPATH, _RUNPATH = 0, 1, 5, 15, 29
_VERNEED, _VERNEEDNUM = 0x6ffffffe, 0x6fffffff

#: glibc's names for its versions; others of its names, such as GLIBC_ABI_DT_RELR and
#: GLIBC_PRIVATE, are no version: they ask for a loader of some kind, or for this very glibc.
_GLIBC = "GLIBC_"

_Segment = Tuple[int, int, int, int]


class Needs(NamedTuple):
    """What a library asks for."""

    #: Names of other libraries.
    libraries: List[str]
    #: Versions of symbols, as (name of the library, version).
    versions: List[Tuple[str, str]]
    #: Where the loader shall look for libraries before its usual places.
    search_paths: List[str]

    def beyond_glibc(self, limit: str) -> List[str]:
        """The versions of glibc's that a glibc of version ``limit`` does not have."""
        found = {version for _, version in self.versions if version.startswith(_GLIBC)}
        return sorted(version for version in found
                      if not _is_number(version[len(_GLIBC):])
                      or _number(version[len(_GLIBC):]) > _number(limit))


def _is_number(version: str) -> bool:
    return all(part.isdigit() for part in version.split("."))


def _number(version: str) -> Tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def needs(image: bytes) -> Needs:
    """What the library whose bytes are ``image`` asks for.

    Raises:
        ValueError: it is no such library, or is cut off.
    """
    try:
        return _needs(image)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError("damaged ELF: {}".format(error)) from error


def _needs(image: bytes) -> Needs:
    if image[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", image, 18)[0] != _X86_64:
        raise ValueError("no ELF of x86-64")
    segments = list(_segments(image))
    dynamic = [segment for segment in segments if segment[0] == _DYNAMIC]
    if not dynamic:
        raise ValueError("no dynamic section: nothing that a loader would load")
    names, single = [], {}  # type: List[Tuple[int, int]], Dict[int, int]
    _, offset, _, size = dynamic[0]
    for place in range(offset, offset + size, 16):
        tag, value = struct.unpack_from("<qQ", image, place)
        if tag == _NULL:
            break
        if tag in (_NEEDED, _RPATH, _RUNPATH):
            names.append((tag, value))
        else:
            single[tag] = value
    strings = _offset(segments, single.get(_STRTAB, -1))
    versions = []  # type: List[Tuple[str, str]]
    if single.get(_VERNEEDNUM):
        versions = list(_versions(image, _offset(segments, single.get(_VERNEED, -1)),
                                  single[_VERNEEDNUM], strings))
    return Needs(
        libraries=[_text(image, strings + at) for tag, at in names if tag == _NEEDED],
        versions=versions,
        search_paths=[_text(image, strings + at) for tag, at in names if tag != _NEEDED])


def _segments(image: bytes) -> Iterator[_Segment]:
    """Kind, offset in the file, address, and size in the file of each segment."""
    start, = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    for index in range(count):
        kind, _, offset, address, _, length = struct.unpack_from(
            "<IIQQQQ", image, start + index * size)
        yield kind, offset, address, length


def _offset(segments: List[_Segment], address: int) -> int:
    """Where in the file that is which the loader puts at this address."""
    for kind, offset, start, size in segments:
        if kind == _LOAD and start <= address < start + size:
            return offset + address - start
    raise ValueError("damaged ELF: nothing is loaded at address {:#x}".format(address))


def _versions(image: bytes, place: int, count: int, strings: int) -> Iterator[Tuple[str, str]]:
    """The versions of symbols, library by library."""
    for _ in range(count):
        _, entries, library, first, further = struct.unpack_from("<HHIII", image, place)
        entry = place + first
        for _ in range(entries):
            _, _, _, name, after = struct.unpack_from("<IHHII", image, entry)
            yield _text(image, strings + library), _text(image, strings + name)
            entry += after
        place += further


def _text(image: bytes, place: int) -> str:
    end = image.find(b"\0", place)
    if end < 0:
        raise ValueError("damaged ELF: a name without its end")
    return image[place:end].decode("ascii")
