"""Where nothing can be written, read or asked for, the archive still starts.

Each row of what a dom0 may lack is made real: a mount namespace in which every file system
is read-only, a user who owns nothing, an empty environment, a kernel that refuses memfd_create.
"""
import ctypes
import os
import struct

import pytest

from conftest import AS_NOBODY, OPEN_HOME, PYTHONS, by_first_line, closed_home, own_mounts, run
from test_archive import COMPILED

#: In a mount namespace of its own: opens a closed home, makes every mount read-only and runs
#: the rest of its arguments.
READ_ONLY = OPEN_HOME + r"""
while read -r _ place _; do
    mount -o remount,bind,ro "$place" 2>/dev/null || true
done < /proc/self/mounts
for place in / /tmp /var/tmp /run /dev/shm "$PWD"; do
    if [ -d "$place" ] && touch "$place/xha-can-write" 2>/dev/null; then
        echo "$place is not read-only" >&2; exit 99
    fi
done
exec "$@"
"""

#: Refuses memfd_create (319) with EPERM, as a strict container or an old kernel would.
NO_MEMFD = r"""
import ctypes, struct
def refuse_memfd():
    LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
    program = b"".join(struct.pack("<HBBI", *step) for step in (
        (LOAD, 0, 0, 0), (JUMP_IF_EQUAL, 0, 1, 319),
        (RETURN, 0, 0, 0x00050001), (RETURN, 0, 0, 0x7FFF0000)))
    kept = ctypes.create_string_buffer(program)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    request = struct.pack("<HxxxxxxQ", 4, ctypes.addressof(kept))
    assert libc.prctl(22, 2, request) == 0, ctypes.get_errno()
refuse_memfd()
"""


def read_only(command, user):
    """``command`` where every file system is read-only, as root or as nobody."""
    user = AS_NOBODY if user == "nobody" else []
    return own_mounts(READ_ONLY) + user + command


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_it_starts_where_nothing_can_be_written(python, archive, user):
    done = run(read_only(by_first_line(python, archive) + ["--version"], user))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_compiled_parts_run_where_nothing_can_be_written(python, probe, user):
    done = run(read_only(probe.command(python, COMPILED), user))
    assert (done.returncode, done.stdout, done.stderr) == (0, "True True 0xe3069283\n", "")


def test_compiled_parts_run_where_the_kernel_refuses_files_in_memory(python, probe, tmp_path):
    before = set(os.listdir(str(tmp_path)))
    shown = probe(python, COMPILED, NO_MEMFD, env={"TMPDIR": str(tmp_path)})
    assert shown == "True True 0xe3069283"
    assert set(os.listdir(str(tmp_path))) == before, "the passing file is gone"


def test_the_refusal_of_files_in_memory_is_real(python):
    code = NO_MEMFD + ("libc = ctypes.CDLL(None, use_errno=True)\n"
                       "print(libc.syscall(319, b'x', 0), ctypes.get_errno())")
    assert run([python.python, "-I", "-S", "-c", code]).stdout == "-1 1\n"


def test_without_any_place_for_compiled_parts_it_runs_without_them(python, probe):
    code = ("import crcmod\n"
            "crc = crcmod.mkCrcFun(0x11EDC6F41, 0, True, 0xFFFFFFFF)\n"
            "print(sys.modules['crcmod.crcmod']._usingExtension, hex(crc(b'123456789')))\n"
            "try:\n"
            "    import netifaces\n"
            "except ImportError as error:\n"
            "    print(error)\n")
    done = run(read_only(probe.command(python, code, NO_MEMFD), "root"))
    assert (done.returncode, done.stderr) == (0, "")
    crc, refusal = done.stdout.splitlines()
    assert crc == "False 0xe3069283"
    assert refusal.startswith("cannot load netifaces: memory: ")
    assert "/dev/shm: " in refusal and "/var/lib/xha: " in refusal


def test_a_place_where_nothing_may_be_executed_is_passed_over(python, probe, tmp_path):
    script = 'mount -t tmpfs -o noexec none "$0" && exec "$@"'
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    command = own + ["/bin/sh", "-c", script, str(tmp_path)] + probe.command(
        python, COMPILED, NO_MEMFD)
    done = run(command, env={"TMPDIR": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "True True 0xe3069283\n", "")


def test_no_descriptor_stays_open_behind_a_compiled_part(python, probe):
    code = COMPILED + "import os; print(*os.listdir('/proc/self/fd'))"
    listed = probe(python, code).splitlines()[-1].split()
    assert set(listed) <= {"0", "1", "2", "3"}  # 3: the listing itself


def test_a_filter_of_the_kernel_has_this_size():
    # struct sock_fprog on x86-64: a length, padding, a pointer.
    assert struct.calcsize("<HxxxxxxQ") == 16
    assert ctypes.sizeof(ctypes.c_void_p) == 8


#: A whole life of a daemon, in namespaces of its own, where only /run and what the kernel makes
#: (/proc, /dev) can be written: no log, no /tmp, no /var/lib.  $1 and $2: the Python and the
#: code that the archive's first line makes of it; $3: the archive; $4: xhad or xha.pyz.
LIFE = r"""
mount -t proc proc /proc
mount -t tmpfs -o mode=755 none /run
truncate -s 266240 /run/statefile
ln -s "$3" /run/xhad
cat > /run/xhad.conf <<END
<xhad-config version="1.0"><common-config>
<GenerationUUID>0f0f0f0f-aaaa-4bbb-8ccc-00000000d00d</GenerationUUID><UDPport>694</UDPport>
<host><HostID>10000000-1111-4222-8333-000000000000</HostID><IPaddress>127.0.0.1</IPaddress></host>
<parameters><HeartbeatInterval>1</HeartbeatInterval><HeartbeatTimeout>5</HeartbeatTimeout>
<StateFileInterval>1</StateFileInterval><StateFileTimeout>5</StateFileTimeout>
<HeartbeatWatchdogTimeout>5</HeartbeatWatchdogTimeout>
<StateFileWatchdogTimeout>8</StateFileWatchdogTimeout></parameters>
</common-config><local-config><localhost>
<HostID>10000000-1111-4222-8333-000000000000</HostID>
<HeartbeatInterface>lo</HeartbeatInterface><StateFile>/run/statefile</StateFile>
<WatchdogMode>NONE</WatchdogMode></localhost></local-config></xhad-config>
END
ip link set lo up
while read -r _ place _; do
    case $place in
        /run|/proc|/proc/*|/dev|/dev/*) ;;
        *) mount -o remount,bind,ro "$place" 2>/dev/null || true
    esac
done < /proc/self/mounts
for place in / /tmp /var/tmp /var/log /var/lib "$PWD"; do
    if [ -d "$place" ] && touch "$place/xha-can-write" 2>/dev/null; then
        echo "$place is not read-only" >&2; exit 99
    fi
done
python=$1 code=$2 archive=$3 how=$4
xha() { "$python" "$code" "$archive" "$@"; }
xha write-statefile init -C /run/xhad.conf 2>/dev/null
case $how in
    start-daemon) xha start-daemon -C /run/xhad.conf;;
    daemon) xha daemon -C /run/xhad.conf 2>/dev/null & ;;
    xhad) "$python" "$code" /run/xhad /run/xhad.conf 2>/dev/null & ;;
esac
until [ "$(xha host-state 2>/dev/null)" = Online ]; do sleep 0.1; done
cat "/proc/$(xha pid)/comm"
xha propose-master
xha disarm-fencing
xha stop-daemon
find /run -type f | sort
"""

#: environment, how, why
LIVES = [
    ({}, "start-daemon", "no environment at all"),
    ({"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, "daemon", "what xapi gives its scripts"),
    ({"HOME": "/nowhere", "LC_ALL": "xx_YY.nothing", "LANG": "tlh", "TMPDIR": "/nowhere",
      "PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"}, "xhad", "what cannot be used"),
]


@pytest.mark.parametrize("environment, how, why", LIVES, ids=[row[-1] for row in LIVES])
@pytest.mark.parametrize("bare", [PYTHONS[0], PYTHONS[-1]],
                         ids=[PYTHONS[0].version, PYTHONS[-1].version])
def test_a_daemon_lives_where_only_run_can_be_written(bare, archive, environment, how, why):
    """It is online, named xhad, master, and leaves nothing but its own files in /run."""
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"] + mapped
               + ["/bin/sh", "-c", OPEN_HOME + LIFE, "sh", closed_home()]
               + by_first_line(bare, archive) + [how], env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["xhad", "TRUE"]
    assert [line for line in lines[2:] if line not in (
        "/run/statefile", "/run/xhad.conf", "/run/xhad.lock", "/run/xhad.wd.id",
        "/run/xha/watchdog.json")] == []


ONE_HOST = """<xhad-config version="1.0"><common-config>
<GenerationUUID>0f0f0f0f-aaaa-4bbb-8ccc-00000000d00d</GenerationUUID><UDPport>694</UDPport>
<host><HostID>10000000-1111-4222-8333-000000000000</HostID><IPaddress>127.0.0.1</IPaddress></host>
</common-config><local-config><localhost>
<HostID>10000000-1111-4222-8333-000000000000</HostID>
<HeartbeatInterface>lo</HeartbeatInterface><StateFile>/nowhere</StateFile>
<WatchdogMode>NONE</WatchdogMode></localhost></local-config></xhad-config>
"""

#: Parts of the library without which there is no daemon; the last two where the archive itself
#: needs them.  (netifaces and crcmod can be missing: see above.)
NEEDED = ["_socket", "select", "fcntl", "resource", "_posixsubprocess", "zlib", "binascii"]


@pytest.mark.parametrize("part", NEEDED)
@pytest.mark.parametrize("bare", [PYTHONS[0], PYTHONS[-1]],
                         ids=[PYTHONS[0].version, PYTHONS[-1].version])
def test_a_python_that_lacks_a_part_is_named_as_the_cause_and_nothing_is_left(
        bare, archive, part, tmp_path):
    """Half an installation: exit code 16 with the name of what is missing; no lock, no socket."""
    config, place = tmp_path / "xhad.conf", tmp_path / "run"
    config.write_text(ONE_HOST)
    python, code, path = by_first_line(bare, archive)
    assert code.startswith("-IScimport sys;")
    code = code.replace("import sys;", "import sys;sys.modules[{!r}]=None;".format(part), 1)
    done = run([python, code, path, "daemon", "--config=" + str(config), "--run-dir=" + str(place)])
    assert done.returncode == 16, done
    said, = done.stderr.splitlines()
    assert said.startswith(("xha.pyz: this Python lacks a part: ",
                            "xha.pyz daemon: this Python lacks a part: ")) and part in said
    left = os.listdir(str(place)) if place.exists() else []
    assert left == []
