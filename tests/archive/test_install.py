"""The built archive puts itself on a host: every name answers there, by every Python.

The disks are real ones: one that is too small and one that is read-only, mounted for the
test alone, where that is allowed.
"""
import os
import shutil
import stat
import subprocess

import pytest

from conftest import PYTHONS, ROOT, by_first_line, run

STACKS = "/usr/libexec/xapi/cluster-stack"
STACK = STACKS + "/xhad"

#: With mounts of its own: makes $1 a small disk of $2, puts the tree $3 on it, and goes on.
SMALL_DISK = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o size=$2,mode=755 none "$1"
cp -a "$3/." "$1"
[ -z "$4" ] || mount -o remount,ro "$1"
before=$(find "$1" -printf '%P %y %m %s %l %T@\n' | sort)
code=0
shift 4
"$@" || code=$?
root=$(printf '%s\n' "$@" | sed -n 's/^--root=//p')
[ "$(find "$root" ! -type d -printf '%P %y %m %s %l %T@\n' | sort)" = \
  "$(printf '%s\n' "$before" | grep -v ' d [0-9]* ')" ] || { echo "it has changed" >&2; exit 99; }
exit $code
"""


@pytest.fixture
def host(tmp_path):
    """The root of a host with an original of two files."""
    root = str(tmp_path / "host")
    for folder in (STACK, "/usr/bin", "/etc/logrotate.d", "/etc/portreserve",
                   "/etc/systemd/system", "/etc/xensource/bugtool"):
        os.makedirs(root + folder)
    os.symlink("python3.6", root + "/usr/bin/python3")
    for name in ("ha_query_liveset", "xhad"):
        with open(root + STACK + "/" + name, "w") as stream:
            stream.write("original\n")
        os.utime(root + STACK + "/" + name, (1, 1234567890))
    return root


def call(python, archive, *words):
    return run(by_first_line(python, archive) + list(words))


def test_every_name_answers_from_where_it_was_installed(python, archive, host):
    done = call(python, archive, "install", "--root=" + host)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    with open(archive, "rb") as given, open(host + STACK + "/xha.pyz", "rb") as laid:
        assert given.read() == laid.read()
    links = [name for name in os.listdir(host + STACK)
             if os.path.islink(host + STACK + "/" + name)]
    assert {"ha_start_daemon", "ha_query_liveset", "xhad", "calldaemon"} <= set(links)
    for name in sorted(links):
        shown = call(python, host + STACK + "/" + name, "--help")
        assert (shown.returncode, shown.stderr) == (0, ""), name
        assert name == "ha_null" or "Usage: xha.pyz " + name in shown.stdout
    again = call(python, host + STACK + "/xha.pyz", "install", "--root=" + host)
    assert again.returncode == 0 and "nothing to do" in again.stdout


def test_the_installed_archive_removes_itself(python, archive, host):
    call(python, archive, "install", "--root=" + host)
    done = call(python, host + STACK + "/xha.pyz", "uninstall", "--root=" + host)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(os.listdir(host + STACK)) == ["ha_query_liveset", "xhad"]
    assert os.listdir(host + STACKS) == ["xhad"]
    assert os.stat(host + STACK + "/xhad").st_mtime == 1234567890
    assert os.listdir(host + "/etc/systemd/system") == []


def test_the_files_of_the_tree_are_those_that_are_laid_down(archive, host):
    call(PYTHONS[-1], archive, "install", "--root=" + host)
    for name, path in (("logrotate", "/etc/logrotate.d/xhad"),
                       ("portreserve", "/etc/portreserve/xhad"),
                       ("bugtool.xml", "/etc/xensource/bugtool/xha.xml"),
                       ("xha-bugtool", STACK + "/xha-bugtool")):
        with open(os.path.join(ROOT, "install", name), "rb") as ours:
            with open(host + path, "rb") as laid:
                assert ours.read() == laid.read()
    assert stat.S_IMODE(os.stat(host + STACK + "/xha-bugtool").st_mode) == 0o755


def test_the_sources_cannot_be_installed(archive, host, tmp_path):
    done = run([PYTHONS[-1].python, "-c", "import sys; sys.path[:0] = [{!r}, {!r}]\n"
                "from xha import cli; sys.exit(cli.main('xha', sys.argv[1:]))".format(
                    farm(tmp_path), os.path.join(ROOT, "build", "dependencies")),
                "install", "--root=" + host])
    assert done.returncode == 16 and "run dist/xha.pyz install" in done.stderr


def farm(tmp_path):
    """A directory in which src/ has the name of the package."""
    os.symlink(os.path.join(ROOT, "src"), str(tmp_path / "xha"))
    return str(tmp_path)


def mounts_allowed():
    return subprocess.call(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL) == 0


SIZES = [
    # free, KB   and the archive's size   read-only   code   said
    (0,          0,                       "",         2,     "make room"),
    (200,        0,                       "",         2,     "make room"),
    (12,         1,                       "",         2,     "make room"),
    (200,        1,                       "ro",       16,    "read-only file system"),
]


@pytest.mark.skipif(not mounts_allowed(), reason="only root may mount a small disk")
@pytest.mark.parametrize("free_kb, archives, read_only, code, said", SIZES)
def test_a_disk_that_is_too_small_or_read_only_is_left_as_it_was(
        archive, host, tmp_path, free_kb, archives, read_only, code, said):
    here = str(tmp_path / "disk")
    os.mkdir(here)
    own = shutil.copy(archive, str(tmp_path / "copy.pyz"))
    free_kb += archives * (os.path.getsize(archive) // 4096 + 1) * 4
    used_kb = 4 * 2     # The two files; memory counts no links and no directories.
    done = run(["unshare", "--mount", "/bin/sh", "-c", SMALL_DISK, "sh", here,
                "{}k".format(used_kb + free_kb), host, read_only]
               + by_first_line(PYTHONS[-1], own) + ["install", "--root=" + here],
               env={"PATH": os.environ["PATH"]})
    assert done.returncode == code, done.stderr
    assert said in done.stderr and "nothing has been changed" in done.stderr
