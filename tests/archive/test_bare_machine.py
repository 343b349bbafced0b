"""Where nothing can be written, read or asked for, the archive still starts.

Each row of what a dom0 may lack is made real: a mount namespace in which every file system
is read-only, a user who owns nothing, an empty environment, a kernel that refuses memfd_create.
"""
import ctypes
import os
import struct

import pytest

from conftest import AS_NOBODY, OPEN_HOME, by_first_line, own_mounts, run
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
