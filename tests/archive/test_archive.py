"""One file runs on every CPython, by itself, and says so clearly when it cannot."""
import hashlib
import os
import shutil
import zipfile

import pytest

from conftest import PYTHONS, ROOT, VERSIONS, Probe, by_first_line, run
from tools import archive as builder
from tools import dependencies

COMPILED = """
import netifaces, crcmod
assert netifaces.ifaddresses("lo")[netifaces.AF_INET][0]["addr"] == "127.0.0.1"
print(type(netifaces.__spec__.loader) is _xha.Extensions,
      sys.modules["crcmod.crcmod"]._usingExtension,
      hex(crcmod.mkCrcFun(0x11EDC6F41, 0, True, 0xFFFFFFFF)(b"123456789")))
"""

ALL_MODULES = """
import os
for name in {names!r}:
    __import__(name)
"""


def modules_of(archive):
    """The names of the package's modules that are no program, as the archive lists them."""
    with zipfile.ZipFile(archive) as content:
        return sorted("xha." + os.path.basename(name)[:-3] for name in content.namelist()
                      if name.startswith("site-packages/xha/") and name.endswith(".py")
                      and not name.endswith(("/__init__.py", "/__main__.py")))


def rewritten(archive, path, change):
    """A copy of the archive in which ``change(files)`` was done to its members."""
    with zipfile.ZipFile(archive) as content:
        files = {name: content.read(name) for name in content.namelist()}
    change(files)
    with open(archive, "rb") as stream:
        first_line = stream.readline()
    with open(path, "wb") as stream:
        stream.write(first_line)
        with zipfile.ZipFile(stream, "w") as target:
            for name in sorted(files):
                target.writestr(name, files[name])
    return path


def test_there_is_a_python_to_try():
    assert PYTHONS
    assert {python.version for python in PYTHONS} <= set(VERSIONS)


def test_the_archive_holds_a_bundle_for_each_python_found_here(archive):
    with zipfile.ZipFile(archive) as content:
        names = set(content.namelist())
    for python in PYTHONS:
        tag = "cpython-" + python.version.replace(".", "")
        assert {tag + ".bundle", tag + "/_xha.pyc"} <= names


def test_old_kernels_read_the_whole_first_line(archive):
    with open(archive, "rb") as stream:
        line = stream.readline()
    assert line.startswith(b"#!/usr/bin/python3 -ISc")
    assert len(line.rstrip(b"\n")) <= 127


def test_the_archive_knows_no_path_of_the_machine_that_built_it(archive):
    with zipfile.ZipFile(archive) as content:
        for name in content.namelist():
            assert ROOT.encode() not in content.read(name), name


def test_the_archive_can_be_executed(archive):
    assert os.access(archive, os.X_OK)


def test_compiled_parts_run_in_memory(python, probe):
    assert probe(python, COMPILED) == "True True 0xe3069283"


def test_every_module_can_be_imported(python, probe, archive):
    names = modules_of(archive)
    assert "xha.errors" in names
    shown = probe(python, ALL_MODULES.format(names=names) + "print(len(sys.modules) > 60)")
    assert shown == "True"


def test_no_module_reads_the_archive_once_it_has_started(python, archive, tmp_path):
    copy = shutil.copy(archive, str(tmp_path / "xha.pyz"))
    names = modules_of(archive)
    gone = "import netifaces, crcmod, os; os.unlink({!r})\n".format(copy)
    assert Probe(copy)(python, gone + ALL_MODULES.format(names=names) + "print('alive')") == "alive"
    assert not os.path.exists(copy)


def test_the_start_imports_nothing_that_it_does_not_need(python, probe):
    before = "import sys; bare = set(sys.modules)\n"
    shown = probe(python, "print(*sorted(set(sys.modules) - bare))", before).split()
    # What comes with zipimport and the checksum differs by version; what is slow does not.
    assert "_xha" in shown
    assert not set(shown) & {"site", "runpy", "typing", "re", "ctypes", "zipfile", "tempfile",
                             "importlib.util", "subprocess", "pathlib", "_bootstrap"}
    assert len(shown) < 20


def test_the_catalogue_of_messages_is_inside(python, probe):
    code = ("import hashlib, pkgutil\n"
            "print(hashlib.sha256(pkgutil.get_data('xha', 'sysloglist')).hexdigest())")
    with open(os.path.join(ROOT, "sysloglist"), "rb") as stream:
        assert probe(python, code) == hashlib.sha256(stream.read()).hexdigest()


def test_the_build_id_is_that_of_the_sources(python, probe):
    assert probe(python, "from xha._build import BUILD_ID; print(BUILD_ID)") == builder.build_id()


def test_a_traceback_shows_the_source(python, probe):
    code = ("import linecache, xha.errors\n"
            "linecache.lazycache(xha.errors.XhaError.__init__.__code__.co_filename,\n"
            "                    vars(xha.errors))\n"
            "print(linecache.getline(xha.errors.XhaError.__init__.__code__.co_filename, 1))")
    assert probe(python, code).startswith('"""Our exceptions')


def test_our_modules_win_over_those_of_the_machine(python, probe, tmp_path):
    (tmp_path / "docopt.py").write_text("print('not ours')\n")
    code = "sys.path.insert(0, {!r})\nimport docopt; print(docopt.__file__)".format(str(tmp_path))
    assert probe(python, code) == probe.archive + "/site-packages/docopt.py"


def test_a_python_that_it_was_not_built_for_runs_the_sources(python, archive, tmp_path):
    def forget(files):
        for name in list(files):
            if name.endswith((".bundle", ".pyc")):
                del files[name]

    copy = rewritten(archive, str(tmp_path / "xha.pyz"), forget)
    code = "import xha.errors as e; print(e.__file__, type(e.__spec__.loader).__name__)"
    assert Probe(copy)(python, code) == copy + "/site-packages/xha/errors.py zipimporter"
    assert Probe(copy)(python, COMPILED) == "True True 0xe3069283"


def test_a_daemon_that_has_packed_its_archive_can_still_import_the_rest(
        python, archive, tmp_path):
    copy = str(tmp_path / "xha.pyz")
    shutil.copy(archive, copy)
    code = ("import _xha, os, xha.errors as e; _xha.pack(('xha.errors',)); os.unlink({!r});"
            "import xha.simpool, docopt;"
            "print(xha.simpool.Pool.__name__, docopt.docopt.__name__,"
            " e.__spec__.loader.get_code('xha.errors').co_name)")
    assert Probe(copy)(python, code.format(copy)) == "Pool docopt <module>"


#: Fails in a function of a module of ours, and shows that.
SHOW = """
import _xha, os, traceback, xha.errors, xha.ctlformat
_xha.pack()
{before}
try:
    xha.ctlformat.decode_request(None)
except TypeError:
    print(traceback.format_exc())
"""


@pytest.mark.parametrize("before, shown, why", [
    ("", True, "the archive is as it was"),
    ("os.unlink({0!r})", False, "it was removed"),
    ("os.truncate({0!r}, 5000)", False, "it was cut off"),
    ("with open({0!r}, 'r+b') as file: file.write(os.urandom(os.path.getsize({0!r})))", False,
     "it was written over"),
], ids=lambda value: value if isinstance(value, str) and value.startswith("it ") else "")
def test_a_daemon_that_has_packed_its_archive_still_shows_where_it_failed(
        python, archive, tmp_path, before, shown, why):
    """A bug in a daemon must never be hidden by another as its traceback is made."""
    copy = str(tmp_path / "xha.pyz")
    shutil.copy(archive, copy)
    found = Probe(copy)(python, SHOW.format(before=before.format(copy)))
    assert found.endswith("TypeError: object of type 'NoneType' has no len()"), found
    assert "ctlformat.py\", line " in found and ", in decode_request" in found
    assert ("if len(line) > REQUEST_MAX:" in found) is shown, found


def test_a_damaged_copy_says_so_and_does_not_run(python, archive, tmp_path):
    def damage(files):
        for name in files:
            if name.endswith(".bundle"):
                flipped = bytearray(files[name])
                flipped[len(flipped) // 2] ^= 1
                files[name] = bytes(flipped)

    copy = rewritten(archive, str(tmp_path / "xha.pyz"), damage)
    done = run(by_first_line(python, copy) + ["--version"])
    assert done.returncode == 2
    assert done.stderr == ("xha.pyz: this file is damaged, copy it again: "
                           "its checksum is wrong\n")


def test_a_copy_that_was_cut_off_does_not_run(python, archive, tmp_path):
    with open(archive, "rb") as stream:
        content = stream.read()
    copy = tmp_path / "xha.pyz"
    for kept in (200, len(content) // 2, len(content) - 1000, len(content) - 1):
        copy.write_bytes(content[:kept])
        for command in ([python.python, str(copy)],
                        by_first_line(python, archive)[:2] + [str(copy)]):
            assert run(command + ["--version"]).returncode != 0, kept


# how                              why
OPTIMISED = [
    (["-O"], {}, "assertions would be gone"),
    (["-OO"], {}, "so would docstrings, which are the usage text"),
    ([], {"PYTHONOPTIMIZE": "1"}, "the environment asks for it too"),
]


@pytest.mark.parametrize("options, environment, why", OPTIMISED,
                         ids=[row[-1] for row in OPTIMISED])
def test_python_without_assertions_is_refused(python, archive, options, environment, why):
    done = run([python.python] + options + [archive, "--version"], env=environment)
    assert done.returncode == 16
    assert "assertions" in done.stderr and "Traceback" not in done.stderr


def test_the_first_line_ignores_the_callers_python_settings(python, archive, tmp_path):
    (tmp_path / "os.py").write_text("raise SystemExit('not ours')\n")
    hostile = {"PYTHONOPTIMIZE": "1", "PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nowhere",
               "PYTHONINSPECT": "1"}
    done = run(by_first_line(python, archive) + ["--version"], env=hostile, cwd=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_every_way_of_calling_it_gives_the_same(python, archive, tmp_path):
    link = tmp_path / "xha"
    link.symlink_to(archive)
    folder, name = os.path.split(archive)
    calls = [
        (by_first_line(python, archive), "/"),
        (by_first_line(python, archive)[:2] + [str(link)], "/"),
        (by_first_line(python, archive)[:2] + [name], folder),
        (by_first_line(python, archive)[:2] + ["./" + name], folder),
        ([python.python, archive], "/"),
        ([python.python, str(link)], "/"),
        ([python.python, name], folder),
        ([python.python, "-I", "-S", archive], "/"),
    ]
    shown = [run(command + ["--version"], cwd=folder) for command, folder in calls]
    assert [(done.returncode, done.stdout, done.stderr) for done in shown] == [
        (0, shown[0].stdout, "")] * len(calls)
    assert shown[0].stdout.strip()


def test_a_link_of_an_original_name_is_that_command(python, archive, tmp_path):
    link = tmp_path / "ha_query_liveset"
    link.symlink_to(archive)
    nowhere = {"XHA_RUN_DIR": str(tmp_path / "no-daemon-runs-here")}
    for command in (by_first_line(python, archive)[:2] + [str(link)], [python.python, str(link)]):
        done = run(command, env=nowhere)
        assert done.returncode == 14, done.stderr  # the daemon is not present
        assert done.stdout == "" and "Traceback" not in done.stderr


def test_shivs_own_way_still_works(python, archive, tmp_path):
    environment = {"XHA_EXTRACT": "1", "SHIV_ROOT": str(tmp_path)}
    for command in (by_first_line(python, archive), [python.python, archive]):
        done = run(command + ["--version"], env=environment)
        assert (done.returncode, done.stderr) == (0, "")
    assert os.listdir(str(tmp_path))


def test_the_kernel_starts_it(archive):
    interpreter = dependencies.read_spec()["archive"]["interpreter"]
    if os.path.exists(interpreter):
        done = run([archive, "--version"])
        assert (done.returncode, done.stderr) == (0, "")
    else:
        with pytest.raises(FileNotFoundError):
            run([archive, "--version"])


def test_the_archive_was_built_from_the_sources_that_are_here(archive):
    with zipfile.ZipFile(archive) as content:
        text = content.read("site-packages/xha/_build.py").decode()
    assert builder.build_id() in text, "run `python3 build.py archive` again"
