"""Puts xha.pyz together, so that the same sources give the same bytes.

shiv makes the archive, from one folder that is staged here; then it is written again in a
canonical form (sorted names, fixed times and modes), with our own start-up in front and one
bundle of bytecode for each Python.  What shiv put in stays and works: see boot/_xha.py.
"""
import configparser
import io
import os
import shutil
import time
import zipfile
from typing import Dict, List, Sequence

from tools import dependencies, machine
from tools.dependencies import fingerprint, read_spec
from tools.machine import ROOT, BuildError, Interpreter, run, say

BOOT = os.path.join(ROOT, "boot", "_xha.py")
SRC = os.path.join(ROOT, "src")
CATALOGUE = os.path.join(ROOT, "sysloglist")
SCHEMAS = os.path.join(ROOT, "docs", "schemas")

#: What `xha.pyz install` lays down on a host; all of it but the text for people.
INSTALL = os.path.join(ROOT, "install")

#: For `python3 xha.pyz`, which is slower: runpy comes first.
MAIN = b"import sys\nimport _xha\nsys.exit(_xha.start(sys.argv[0], sys.argv[1:]))\n"

#: The kernel hands all after the interpreter over as ONE word: -I -S -c and the code.
#: -I: nothing of the caller's environment; -S: no site and so no .pth file (3 to 30 ms).
FIRST_LINE = ("#!{}" " -ISc" "import sys;z=sys.argv[1];"
              "sys.path[:0]=[z+'/'+sys.implementation.cache_tag,z];import _xha;_xha.run()")

#: Kernels before 5.1 cut the first line here, bytes.
FIRST_LINE_MAX = 127


def _names(folder: str, ending: str) -> List[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(ending))


def laid_down() -> List[str]:
    """The names of the files in install/ that go into the archive."""
    return [name for name in _names(INSTALL, "") if not name.endswith(".md")]


def build_id() -> str:
    """What `xha.pyz build-id` prints: 16 hex digits of all that the program is made of."""
    paths = [os.path.join(SRC, name) for name in _names(SRC, ".py")]
    paths += [os.path.join(INSTALL, name) for name in laid_down()]
    paths += [os.path.join(SCHEMAS, name) for name in _names(SCHEMAS, ".json")]
    return fingerprint(paths + [CATALOGUE, BOOT, os.path.join(ROOT, "xha.pyz.spec")])[:16]


def _stage(packages: str, target: str) -> None:
    """Lay down one site-packages: the dependencies, and src/ as the package xha."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(packages, target)
    package = os.path.join(target, "xha")
    os.mkdir(package)
    for name in _names(SRC, ".py"):
        shutil.copyfile(os.path.join(SRC, name), os.path.join(package, name))
    shutil.copyfile(CATALOGUE, os.path.join(package, "sysloglist"))
    os.mkdir(os.path.join(package, "schemas"))
    for name in _names(SCHEMAS, ".json"):
        shutil.copyfile(os.path.join(SCHEMAS, name), os.path.join(package, "schemas", name))
    os.mkdir(os.path.join(package, "install"))
    for name in laid_down():
        shutil.copyfile(os.path.join(INSTALL, name), os.path.join(package, "install", name))
    shutil.copyfile(os.path.join(ROOT, "LICENSE"), os.path.join(target, "licenses", "xha.txt"))
    with open(os.path.join(package, "_build.py"), "w") as stream:
        stream.write('"""Which build this is; written by build.py."""\n\n'
                     'BUILD_ID = "{}"\n'.format(build_id()))


def _shiv(python: str, settings: configparser.SectionProxy, staged: str, output: str) -> None:
    """Let shiv make an archive of the staged folder."""
    found = run([python, "-c", "import shiv; print(shiv.__version__)"], quiet=True).strip()
    if found != settings["shiv"]:
        raise BuildError("shiv {} is installed, the specification wants {}".format(
            found, settings["shiv"]))
    run([python, "-W", "ignore", "-m", "shiv.cli", "--site-packages", staged,
         "-e", settings["entry-point"], "-o", output, "-p", settings["interpreter"],
         "--root", settings["extract-to"], "--reproducible", "--compressed"],
        quiet=True, env=machine.bare_environment(  # click on 3.6 refuses to run without UTF-8
            SOURCE_DATE_EPOCH=settings["epoch"], LC_ALL="C.UTF-8"))


def _bundles(pythons: Sequence[Interpreter], staged: str, folder: str) -> Dict[str, bytes]:
    """The bundle and the compiled start-up of each Python, by their names in the archive."""
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    bundler = os.path.join(ROOT, "tools", "bundler.py")
    for python in pythons:
        run([python.python, "-S", "-s", "-B", bundler, staged, BOOT, folder], quiet=True,
            env=machine.bare_environment())
    files = {}
    for inside, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(inside, name)
            with open(path, "rb") as stream:
                files[os.path.relpath(path, folder)] = stream.read()
    return files


def _canonical(first_line: str, epoch: int, files: Dict[str, bytes]) -> bytes:
    """The archive's bytes: the first line, and a zip file that depends on ``files`` alone."""
    if len(first_line) > FIRST_LINE_MAX:
        raise BuildError("the first line has {} bytes, old kernels read {}".format(
            len(first_line), FIRST_LINE_MAX))
    stamp = time.gmtime(epoch)
    result = io.BytesIO()
    result.write(first_line.encode() + b"\n")
    with zipfile.ZipFile(result, "w") as target:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, (stamp.tm_year, stamp.tm_mon, stamp.tm_mday, 0, 0, 0))
            member.create_system = 3
            member.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
            # Every start reads these; to inflate them would cost more than to read them.
            hot = name.endswith((".bundle", ".pyc", ".so"))
            member.compress_type = zipfile.ZIP_STORED if hot else zipfile.ZIP_DEFLATED
            target.writestr(member, files[name])
    return result.getvalue()


def build(python: str, pythons: Sequence[Interpreter], work: str, output: str) -> None:
    """Build the archive ``output`` from scratch, in the folder ``work``.

    Args:
        python: the Python of the environment "build", which has shiv.
        pythons: the CPythons of this machine that the archive is for.

    Raises:
        BuildError: with the reason, for people.
    """
    os.umask(0o022)  # shiv copies modes
    spec = read_spec()
    settings = spec["archive"]
    packages = dependencies.build(python, pythons, work)
    staged = os.path.join(work, "site-packages")
    _stage(packages, staged)
    raw = os.path.join(work, "by-shiv.pyz")
    _shiv(python, settings, staged, raw)
    with zipfile.ZipFile(raw) as source:
        files = {name: source.read(name) for name in source.namelist()
                 if not name.endswith("/")}
    files.update(_bundles(pythons, staged, os.path.join(work, "bundles")))
    with open(BOOT, "rb") as stream:
        files["_xha.py"] = stream.read()
    files["__main__.py"] = MAIN
    content = _canonical(FIRST_LINE.format(settings["interpreter"]),
                         int(settings["epoch"]), files)
    os.makedirs(os.path.dirname(output), exist_ok=True)
    with open(output + ".new", "wb") as stream:
        stream.write(content)
    os.chmod(output + ".new", 0o755)
    os.replace(output + ".new", output)
    wanted = spec["pythons"]["versions"].split()
    found = [candidate.version for candidate in pythons]
    missing = [version for version in wanted if version not in found]
    if missing:
        machine.red("no CPython {} here: there the archive runs from its sources, slower and "
                    "without compiled parts of that version".format(" ".join(missing)))
    say("{}: {} bytes, for CPython {}, build {}".format(
        os.path.relpath(output, ROOT), len(content), " ".join(found), build_id()))
