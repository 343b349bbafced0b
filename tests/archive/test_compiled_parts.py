"""The compiled parts of the archive ask no more of a machine than the oldest dom0 has.

Which versions of glibc's symbols a library needs is read from its bytes (``tools/elf.py``), by
the builder and by this test; the last tests show that the reader sees what is wrong, and sees
what others see.
"""
import glob
import os
import re
import shutil
import subprocess
import zipfile

import pytest

from conftest import PYTHONS
from tools import dependencies, elf

LIMIT = dependencies.read_spec()["extensions"]["max-glibc"]

#: What every Linux with glibc has.
LIBRARIES = {"libc.so.6", "libpthread.so.0", "libm.so.6"}


@pytest.fixture(scope="module")
def parts(archive):
    """Every ELF file in the archive, whatever its name is: its bytes by its name."""
    with zipfile.ZipFile(archive) as content:
        files = {name: content.read(name) for name in content.namelist()}
    return {name: image for name, image in files.items()
            if image.startswith(b"\x7fELF") or name.endswith(".so")}


def test_the_oldest_dom0_has_glibc_2_17():
    assert LIMIT == "2.17"


def test_each_python_here_has_its_compiled_parts(parts):
    for python in PYTHONS:
        for name in ("netifaces", "crcmod/_crcfunext"):
            assert "site-packages/" + name + python.suffix in parts
    assert "site-packages/netifaces.abi3.so" in parts


def test_no_compiled_part_needs_a_newer_glibc(parts):
    versions = set()
    for name, image in parts.items():
        needs = elf.needs(image)
        assert needs.beyond_glibc(LIMIT) == [], name
        assert set(needs.libraries) <= LIBRARIES and needs.search_paths == [], name
        versions.update(version for _, version in needs.versions)
    # They do ask for something: the reader has not just looked past it.
    assert "GLIBC_2.2.5" in versions


#: What the library is made to need instead of GLIBC_2.2.5.
# version        refused       why
REFUSED = [
    (b"GLIBC_2.18", "GLIBC_2.18", "the version after the last that is allowed"),
    (b"GLIBC_2.4.1", "", "older, by number and not by letters"),
    (b"GLIBC_2.17", "", "the last that is allowed"),
    (b"GLIBC_2.100", "GLIBC_2.100", "newer, by number and not by letters"),
    (b"GLIBC_3.0", "GLIBC_3.0", "another world"),
    (b"GLIBC_ABI_D", "GLIBC_ABI_D", "a loader of another kind"),
    (b"GLIBC_PRIVA", "GLIBC_PRIVA", "this machine's glibc and no other"),
]


@pytest.mark.parametrize("name, refused, why", REFUSED, ids=[row[-1] for row in REFUSED])
def test_the_reader_sees_a_version_that_is_too_new(parts, name, refused, why):
    old = b"\0GLIBC_2.2.5\0"
    image = parts["site-packages/netifaces.abi3.so"]
    assert image.count(old) == 1
    changed = image.replace(old, b"\0" + name.ljust(len(old) - 2, b"\0") + b"\0")
    assert elf.needs(changed).beyond_glibc(LIMIT) == ([refused] if refused else [])


def test_the_builder_refuses_such_a_library(parts, tmp_path):
    image = parts["site-packages/netifaces.abi3.so"]
    path = tmp_path / "netifaces.so"
    path.write_bytes(image)
    dependencies._check_library(str(path), LIMIT)
    path.write_bytes(image.replace(b"\0GLIBC_2.2.5\0", b"\0GLIBC_2.34\0\0"))
    with pytest.raises(dependencies.BuildError) as refusal:
        dependencies._check_library(str(path), LIMIT)
    assert "GLIBC_2.34" in str(refusal.value)
    path.write_bytes(image.replace(b"\0libc.so.6\0", b"\0libpython\0"))
    with pytest.raises(dependencies.BuildError) as refusal:
        dependencies._check_library(str(path), LIMIT)
    assert "libpython" in str(refusal.value)


def test_what_is_no_library_is_refused_and_not_passed_over(parts):
    image = parts["site-packages/netifaces.abi3.so"]
    for damaged in (b"", b"MZ", image[:64], image[:1000], image[:20] + bytes(200),
                    b"\x7fELF\x01" + image[5:]):
        with pytest.raises(ValueError):
            elf.needs(damaged)


def test_the_reader_sees_what_objdump_sees(parts, tmp_path):
    """Also in libraries that are not ours, such as those of this machine's own Python."""
    if shutil.which("objdump") is None:
        pytest.skip("no objdump here to compare with")
    images = list(parts.values())
    home = os.path.dirname(os.path.dirname(os.path.realpath(PYTHONS[0].python)))
    for path in glob.glob(home + "/lib/python3.*/lib-dynload/*.so"):
        with open(path, "rb") as stream:
            images.append(stream.read())
    path = str(tmp_path / "one.so")
    for image in images:
        with open(path, "wb") as stream:
            stream.write(image)
        shown = subprocess.check_output(["objdump", "-p", path], universal_newlines=True,
                                        env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
        needs = elf.needs(image)
        assert needs.libraries == re.findall(r"^  NEEDED +(\S+)$", shown, re.M)
        assert needs.search_paths == re.findall(r"^  R(?:UN)?PATH +(\S+)$", shown, re.M)
        wanted, library = [], ""
        for line in shown.partition("Version References:\n")[2].splitlines():
            heading = re.match(r"  required from (\S+):$", line)
            library = heading.group(1) if heading else library
            entry = re.match(r"    0x\w+ 0x\w+ \d+ (\S+)$", line)
            if entry:
                wanted.append((library, entry.group(1)))
        assert needs.versions == wanted
