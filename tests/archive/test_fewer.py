"""On a machine that has less, the archive is still built, and says what it lacks."""
import os

import pytest

from conftest import PYTHONS, Probe
from test_archive import COMPILED
from tools import archive as builder
from tools import environments, machine

PARTS = """
import crcmod
try:
    import netifaces
    found = "lo" in netifaces.interfaces()
except ImportError:
    found = None
print(found, sys.modules["crcmod.crcmod"]._usingExtension,
      hex(crcmod.mkCrcFun(0x11EDC6F41, 0, True, 0xFFFFFFFF)(b"123456789")))
"""


def build(pythons, folder):
    """Build an archive for ``pythons`` in an empty folder."""
    python = environments.environment("build", PYTHONS[-1], "build")
    output = os.path.join(str(folder), "xha.pyz")
    builder.build(python, pythons, str(folder), output)
    return output


@pytest.fixture(scope="module")
def without_compiler(tmp_path_factory):
    """An archive that was built where there is no compiler."""
    before = os.environ.get("CC")
    os.environ["CC"] = "there-is-no-such-compiler"
    try:
        assert machine.compiler() is None
        return build(PYTHONS, tmp_path_factory.mktemp("without-compiler"))
    finally:
        del os.environ["CC"]
        if before is not None:
            os.environ["CC"] = before


@pytest.fixture(scope="module")
def for_oldest_only(tmp_path_factory):
    """An archive that was built where the oldest CPython is the only one."""
    return build(PYTHONS[:1], tmp_path_factory.mktemp("for-oldest-only"))


def test_without_a_compiler_crcmod_is_pure_and_netifaces_comes_from_a_wheel_if_there_is_one(
        python, without_compiler):
    there_is_a_wheel = python.number <= (3, 9)
    assert Probe(without_compiler)(python, PARTS) == "{} False 0xe3069283".format(
        True if there_is_a_wheel else None)


def test_a_python_that_the_builder_lacked_has_netifaces_through_the_stable_abi(
        python, for_oldest_only):
    compiled = python is PYTHONS[0]
    assert Probe(for_oldest_only)(python, PARTS) == "True {} 0xe3069283".format(compiled)


def test_the_python_that_the_builder_had_has_all(for_oldest_only):
    assert Probe(for_oldest_only)(PYTHONS[0], COMPILED) == "True True 0xe3069283"


def test_the_builder_says_which_pythons_it_lacked(tmp_path, capsys):
    build(PYTHONS[:1], tmp_path)
    said = capsys.readouterr().out
    for python in PYTHONS[1:]:
        assert python.version in said
    assert "!!!" in said
