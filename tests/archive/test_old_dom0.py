"""Every command runs in the oldest dom0: CPython 3.6, nothing to write on, no environment.

Theory of operation
===================

A *dom0* here is a root directory that holds what a real one has for xha and no more, in
namespaces of its own for mounts, processes and the network:

  * /usr, /bin, /lib of this machine and the oldest CPython there is, all read-only, as are
    /, /etc, /opt, /var and /tmp;
  * the archive where `install` puts it, with the links by which xapi calls;
  * /run in memory, the one place that can be written, and /var/log where a test says so;
  * the State-File, which is shared and no part of the host, as the file /dev/statefile;
  * in /dev a handful of devices, and no /dev/shm, nor any directory by that name;
  * /proc and /sys as they are in a dom0, or read-only, too.

A process of it, which waits for the end of its input, keeps the namespaces; each command
enters them with PATH as its whole environment, as xapi's scripts are called.  When that
process ends the kernel ends all others in there, so no daemon is left whatever fails.

``NO_DAEMON`` and ``WITH_DAEMON`` are two lives of a pool of one host, as tables: each row a
command, the exit code and what is printed.  The rows run in order, for what one does the
next one meets.  Whatever a command does, it prints ASCII, no traceback, and one line for
people at most.  Which commands there are the archive itself says: one without rows here fails
the test.  (That the compiled parts need no newer glibc than such a dom0 has:
test_compiled_parts.py.)
"""
import os
import re
import shlex
import shutil
import subprocess
import time

import pytest

from conftest import PYTHONS, by_first_line, run

#: All that xapi sets.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

#: More than any command takes, s.
PATIENCE_S = 180

STACK = "/usr/libexec/xapi/cluster-stack/xhad"
CONFIG = "/etc/xensource/xhad.conf"
HOST = "10000000-1111-4222-8333-000000000000"

#: $1: an empty directory for the root.  $2: what is special to this dom0.  $3: where the Python
#: is.  $4: the State-File.  $5: what can be written beside /run; where that is nothing, /proc
#: and /sys cannot be either.
MAKE_ROOT = r"""
set -e
mount --make-rprivate /
root=$1; own=$2; python=$3; statefile=$4; writable=$5
mount -t tmpfs -o mode=755 none "$root"
cd "$root"
mkdir dev etc opt proc run sys tmp usr var var/lib var/log
ln -s ../run var/run
bind() {
    mkdir -p ".$2"
    mount --rbind "$1" ".$2"
}
for place in /bin /sbin /lib /lib32 /lib64 /libx32; do
    if [ -L "$place" ]; then cp -P "$place" .; elif [ -d "$place" ]; then bind "$place" "$place"; fi
done
for place in /usr/*; do
    if [ "$place" != /usr/libexec ] && [ -d "$place" ]; then bind "$place" "$place"; fi
done
case "$python" in /usr | /usr/*) ;; *) bind "$python" "$python" ;; esac
for place in etc opt usr/libexec; do bind "$own/$place" "/$place"; done
bind /sys /sys
mount -t proc proc proc
for name in null zero full random urandom; do
    : > dev/$name
    mount --bind /dev/$name dev/$name
done
while read -r _ place _; do
    case "$place" in
        "$root"/proc | "$root"/proc/* | "$root"/sys | "$root"/sys/*)
            [ -n "$writable" ] || mount -o remount,bind,ro "$place" ;;
        "$root" | "$root"/*) mount -o remount,bind,ro "$place" ;;
    esac
done < /proc/self/mounts
mount -o remount,bind,rw "$root"
: > dev/statefile
mount --bind "$statefile" dev/statefile
for place in run $writable; do mount -t tmpfs -o mode=755 none "$place"; done
mount -o remount,bind,ro "$root"
exec chroot "$root" /bin/sh -c "echo made; exec /bin/cat"
"""

CONFIGURATION = """<?xml version="1.0" encoding="UTF-8"?>
<xhad-config version="1.0">
  <common-config>
    <GenerationUUID>0f0f0f0f-aaaa-4bbb-8ccc-00000000d00d</GenerationUUID>
    <UDPport>694</UDPport>
    <host><HostID>{host}</HostID><IPaddress>127.0.0.1</IPaddress></host>
    <parameters>
      <HeartbeatInterval>1</HeartbeatInterval>
      <HeartbeatTimeout>5</HeartbeatTimeout>
      <StateFileInterval>1</StateFileInterval>
      <StateFileTimeout>5</StateFileTimeout>
      <HeartbeatWatchdogTimeout>5</HeartbeatWatchdogTimeout>
      <StateFileWatchdogTimeout>8</StateFileWatchdogTimeout>
      <BootJoinTimeout>45</BootJoinTimeout>
      <EnableJoinTimeout>20</EnableJoinTimeout>
    </parameters>
  </common-config>
  <local-config>
    <localhost>
      <HostID>{host}</HostID>
      <HeartbeatInterface>lo</HeartbeatInterface>
      <StateFile>/dev/statefile</StateFile>
      <WatchdogMode>NONE</WatchdogMode>
    </localhost>
  </local-config>
</xhad-config>
""".format(host=HOST)

#: The network of a dom0 is up; this one's only interface is not, when it is made.
RAISE_LOOPBACK = """
import fcntl, socket, struct
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP_RUNNING))
"""


class Dom0:
    """A host with the archive installed, until ``close``."""

    def __init__(self, python, archive, folder, writable=""):
        """Make it below ``folder``; ``writable``: a place that can be written beside /run."""
        self.python = python.python
        root, own, statefile = [os.path.join(folder, name) for name in ("root", "own", "sf")]
        os.mkdir(root)
        self._lay_down(python, archive, own)
        with open(statefile, "wb") as file:
            file.truncate(65 * 4096)
        home = os.path.dirname(os.path.dirname(os.path.realpath(self.python)))
        self._user = [] if os.geteuid() == 0 else ["--user"]
        self._keeper = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
            + (["--map-root-user"] if self._user else [])
            + ["/bin/sh", "-c", MAKE_ROOT, "sh", root, own, home, statefile, writable],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ, LC_ALL="C"))
        try:
            assert self._keeper.stdout.readline() == b"made\n"
            task = "/proc/{0}/task/{0}/children".format(self._keeper.pid)
            with open(task) as file:
                self._inside = file.read().split()[0]
            assert self.run([self.python, "-c", RAISE_LOOPBACK]) == (0, "", "")
        except BaseException:
            self.close()
            raise

    def _lay_down(self, python, archive, own):
        """The files that are this dom0's alone."""
        for place in (STACK, os.path.dirname(CONFIG), "/opt/xensource/libexec", "/usr/bin"):
            os.makedirs(own + place)
        os.symlink("python3.6", own + "/usr/bin/python3")
        done = run(by_first_line(python, archive) + ["install", "--root=" + own])
        assert done.returncode == 0, done.stderr
        with open(own + CONFIG, "w") as file:
            file.write(CONFIGURATION)
        with open(own + "/etc/passwd", "w") as file:
            file.write("root:x:0:0:root:/root:/bin/sh\n")
        if os.path.exists("/etc/ld.so.cache"):
            shutil.copy("/etc/ld.so.cache", own + "/etc/ld.so.cache")
        check = own + "/opt/xensource/libexec/xapi-health-check"
        with open(check, "w") as file:
            file.write("#!/bin/sh\nexit 0\n")
        os.chmod(check, 0o755)
        self.links = {name for name in os.listdir(own + STACK)
                      if os.path.islink(os.path.join(own + STACK, name))}
        self._start = by_first_line(python, archive)[:2]

    def popen(self, command):
        """Start a command in it."""
        return subprocess.Popen(
            ["nsenter", "--target=" + self._inside, "--mount", "--net", "--pid", "--root", "--wd"]
            + (["--user", "--preserve-credentials"] if self._user else []) + command,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=ENVIRONMENT)

    def run(self, command):
        """Run a command in it: its exit code, and what it printed, which is ASCII."""
        process = self.popen(command)
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        return process.returncode, out.decode("ascii"), err.decode("ascii")

    def command(self, line):
        """The command line for a line as a person types it; the originals' names are links."""
        words = shlex.split(line)
        if words[0] in self.links:
            return self._start + [STACK + "/" + words[0]] + words[1:]
        return self._start + [STACK + "/xha.pyz"] + words

    def call(self, line):
        """Run a command of the archive: exit code, standard output and error."""
        return self.run(self.command(line))

    def close(self):
        """End all that runs in it."""
        self._keeper.stdin.close()
        self._keeper.wait(60)
        self._keeper.stdout.close()


PLACES = [("var/log", "as in a dom0"), ("", "nothing but /run can be written")]


@pytest.fixture(params=PLACES, ids=[row[-1] for row in PLACES])
def dom0(request, archive, tmp_path):
    """A host without a daemon, with the oldest Python there is."""
    host = Dom0(PYTHONS[0], archive, str(tmp_path), request.param[0])
    host.log_is_kept = bool(request.param[0])
    try:
        yield host
    finally:
        host.close()


#: Standard output and error, as regular expressions for the whole.
NOTHING = ""
ANYTHING = r".+"
ABSENT = r"no daemon answers at /run/xha/control"
PRESENT = r"xha\.pyz \S+: a daemon runs on this host"
LOCKED = r".*a daemon is already running: process \d+ has /var/run/xhad\.lock locked"
READING = r"reading the State-File /dev/statefile for 0 s .*"
BLANK = r"(?s:.*)State-File.*: record is blank: all bytes are zero"
READ_ONLY = r"xha\.pyz uninstall: .* is on a read-only file system: .*nothing has been changed"
NO_RECORDER = r"xha\.pyz timeline: /var/lib/xha: cannot be read: No such file or directory"
NO_EVIDENCE = r"xha\.pyz \S+: there is nothing to go by: The flight recorder of this host: .*"
XML = (r'<\?xml version="1\.0" encoding="UTF-8"\?>\n<ha_liveset_info version="1\.0">\n'
       r"  <status>Online</status>(?s:.*)</ha_liveset_info>")
BUILD_ID = r"[0-9a-f]{16}"
NO_RECORD = r"There is no record of timers: nothing was stopped\..*"
STORY = r"(?s:.*)What becomes of each host(?s:.*)"
TOLD = r"pool of \d; seed 1; (?s:.*)\ndigest [0-9a-f]+"
SUMMARY = r"(?s:.*)2 runs, 0 failed, (?s:.*)"
EXCLUDED = r"host 0 is excluded now"
INCLUDED = r"host 0 is not excluded now"

# command   code   standard output   standard error
NO_DAEMON = [
    ("query-liveset",                       14, NOTHING, ABSENT),
    ("query-liveset --format=json",         14, NOTHING, ABSENT),
    ("ha_query_liveset",                    14, NOTHING, ABSENT),
    ("status",                              14, r" This host (?s:.*)no daemon(?s:.*)", NOTHING),
    ("status --format=json --no-color",     14, r"\{(?s:.*)\}", NOTHING),
    ("metrics",                             0,  r"(?s:.*)\nxha_up 0\n(?s:.*)# EOF", NOTHING),
    ("metrics --output=/run/x.prom",        0,  NOTHING, NOTHING),
    ("metrics --output=/etc/x.prom",        2,  NOTHING, r".*cannot be written.*"),
    ("propose-master",                      14, NOTHING, ABSENT),
    ("ha_propose_master",                   14, NOTHING, ABSENT),
    ("cancel-master",                       14, NOTHING, ABSENT),
    ("disarm-fencing",                      14, NOTHING, ABSENT),
    ("ha_disarm_fencing",                   14, NOTHING, ABSENT),
    ("host-state",                          14, NOTHING, ABSENT),
    ("pid",                                 14, NOTHING, ABSENT),
    ("reload-host-weight",                  14, NOTHING, ABSENT),
    ("fault list",                          14, NOTHING, ABSENT),
    ("log-mask",                            14, NOTHING, ABSENT),
    ("hold",                                14, NOTHING, ABSENT),
    ("hold xapi 5m",                        14, NOTHING, ABSENT),
    ("write-statefile rotate-key",          14, NOTHING, r".*no daemon runs on this host: .*"),
    ("schema",                              0,  r"(?s:.*)status(?s:.*)", NOTHING),
    ("schema status",                       0,  r"\{(?s:.*)\}", NOTHING),
    ("timeline",                            2,  NOTHING, NO_RECORDER),
    ("why",                                 2,  NOTHING, NO_EVIDENCE),
    ("explain",                             2,  NOTHING, NO_EVIDENCE),
    ("log-mask reset warning",              1,  NOTHING, r".*warning is always logged"),
    ("calldaemon query_liveset",            14, NOTHING, ABSENT),
    ("calldaemon getlogmask",               14, NOTHING, ABSENT),
    ("calldaemon no_such_verb",             1,  NOTHING, r".*no such verb.*"),
    ("build-id",                            0,  BUILD_ID, NOTHING),
    ("--version",                           0,  r"xha \S+ \(" + BUILD_ID + r"\)", NOTHING),
    ("--help",                              0,  r"xha: high availability(?s:.*)", NOTHING),
    ("no-such-command",                     1,  NOTHING, r".*no such command.*"),
    ("set-pool-state",                      1,  NOTHING, r".*usage: xha\.pyz set-pool-state .*"),
    ("set-pool-state \u00e9",               1,  NOTHING, r".*usage: xha\.pyz set-pool-state .*"),
    ("start-daemon --config=/caf\u00e9",    6,  NOTHING, r".*cannot read the configuration.*"),
    ("ha_null whatever",                    0,  NOTHING, NOTHING),
    ("stop-daemon",                         0,  NOTHING, NOTHING),
    ("ha_stop_daemon",                      0,  NOTHING, NOTHING),
    # The State-File is blank.
    ("start-daemon",                        9,  NOTHING, BLANK),
    ("ha_start_daemon",                     9,  NOTHING, BLANK),
    ("daemon",                              9,  NOTHING, BLANK + r".*"),
    ("xhad " + CONFIG,                      9,  NOTHING, BLANK + r".*"),
    ("dump-statefile",                      0,  r"State-File (?s:.*) is blank(?s:.*)", NOTHING),
    ("doctor --seconds=0",                  9,  r"(?s:.*)is blank(?s:.*)", READING),
    ("set-excluded",                        9,  NOTHING, BLANK),
    ("set-pool-state active",               9,  NOTHING, BLANK),
    ("set-pool-state init",                 0,  NOTHING, r".* initialised for 1 hosts"),
    # The pool has a State-File.
    ("dump-statefile",                      0,  r"(?s:.*) init\n(?s:.*)", NOTHING),
    ("dump-statefile --format=json",        0,  r"\{(?s:.*)\}", NOTHING),
    ("timing",                              0,  r"Timing of a pool of 1 host(?s:.*)", NOTHING),
    ("dump-statefile --diff /dev/statefile /dev/statefile", 0, r"no difference", NOTHING),
    ("dumpstatefile",                       0,  r"  global\.sig = (?s:.*)", NOTHING),
    ("set-excluded",                        11, NOTHING, ANYTHING),
    ("writestatefile setactive",            0,  NOTHING, r"pool state is active"),
    ("set-excluded",                        0,  NOTHING, EXCLUDED),
    ("clear-excluded",                      0,  NOTHING, INCLUDED),
    ("ha_set_excluded",                     0,  NOTHING, EXCLUDED),
    ("ha_clear_excluded -C " + CONFIG,      0,  NOTHING, INCLUDED),
    ("write-statefile exclude",             0,  NOTHING, EXCLUDED),
    ("write-statefile include",             0,  NOTHING, INCLUDED),
    ("ha_set_pool_state invalid",           0,  NOTHING, r"pool state is invalid"),
    ("ha_start_daemon",                     11, NOTHING, r"the pool state is invalid"),
    ("write-statefile init",                0,  NOTHING, r".* initialised for 1 hosts"),
    # This host alone.
    ("set-host-weight vms 3",               0,  NOTHING, NOTHING),
    ("ha_set_host_weight sr 2",             0,  NOTHING, NOTHING),
    ("weightctl native 70000",              1,  NOTHING, ANYTHING),
    ("weightctl sr 0",                      0,  NOTHING, NOTHING),
    ("weightctl",                           0,  r"native 1\nvms 3", NOTHING),
    ("cleanup-watchdog",                    0,  NO_RECORD, NOTHING),
    ("cleanupwatchdog",                     0,  NO_RECORD, NOTHING),
    ("cleanup-watchdog --force",            4,  NOTHING, r"No timer was stopped: .*"),
    ("install --dry-run",                   0,  r"(?s:.*)nothing to do(?s:.*)", NOTHING),
    ("install",                             0,  r"(?s:.*)nothing to do(?s:.*)", NOTHING),
    ("uninstall",                           16, NOTHING, READ_ONLY),
    # No host at all.
    ('what-if "crash host-a"',              0,  STORY, NOTHING),
    ('what-if --hosts=3 --ha-timeout=60 "partition a,b | c"', 0, STORY, NOTHING),
    ("simulate --language",                 0,  r"The language of scenarios(?s:.*)", NOTHING),
    ("simulate --seed=1 --hosts=3",         0,  TOLD, NOTHING),
    ("simulate --runs=2 --jobs=2 --hosts=2", 0, SUMMARY, NOTHING),
    ("sandbox",                             2,  NOTHING, r".*\(another one: --dir=DIR\)"),
    ("sandbox --hosts=2 --dir=/run/sandbox", 0, r"(?s:.*)All hosts are online\.(?s:.*)", NOTHING),
]

WITH_DAEMON = [
    ("set-pool-state init",                 0,  NOTHING, r".* initialised for 1 hosts"),
    ("ha_start_daemon --enable-faults",     0,  NOTHING, NOTHING),
    ("host-state",                          0,  r"Online", NOTHING),
    ("calldaemon gethoststate",             0,  r"Online", NOTHING),
    ("calldaemon dumpcom",                  0,  r"\{(?s:.*)\}", NOTHING),
    ("pid",                                 0,  r"\d+", NOTHING),
    ("calldaemon pid",                      0,  r"\d+", NOTHING),
    ("build-id",                            0,  BUILD_ID, NOTHING),
    ("calldaemon buildid",                  0,  BUILD_ID, NOTHING),
    ("log-mask set debug",                  0,  r"err warning notice info debug", NOTHING),
    ("calldaemon resetlogmask debug",       0,  r"err warning notice info", NOTHING),
    ("calldaemon setlogmask info",          0,  r"err warning notice info", NOTHING),
    ("calldaemon getlogmask",               0,  r"err warning notice info", NOTHING),
    ("calldaemon privatelog",               0,  r"on", NOTHING),
    ("query-liveset",                       0,  XML, NOTHING),
    ("query-liveset --format=json",         0,  r'\{"version": 1,(?s:.*)\}', NOTHING),
    ("query-liveset --format text",         0,  r"Host 0 (?s:.*) is online\.(?s:.*)", NOTHING),
    ("ha_query_liveset",                    0,  XML, NOTHING),
    ("status",                              0,  r" This host (?s:.*)online(?s:.*)", NOTHING),
    ("status --format=json",                0,  r"\{(?s:.*)\}", NOTHING),
    ("metrics",                             0,  r"(?s:.*)\nxha_up 1\n(?s:.*)# EOF", NOTHING),
    ("calldaemon query_liveset",            0,  XML, NOTHING),
    # What must not be done beside a daemon.
    ("start-daemon",                        15, NOTHING, PRESENT),
    ("ha_start_daemon",                     15, NOTHING, PRESENT),
    ("daemon",                              15, NOTHING, LOCKED),
    ("xhad " + CONFIG,                      15, NOTHING, LOCKED),
    ("set-pool-state init",                 15, NOTHING, PRESENT),
    ("write-statefile active",              15, NOTHING, PRESENT),
    ("writestatefile setactive",            15, NOTHING, PRESENT),
    ("cleanup-watchdog",                    15, NOTHING, PRESENT),
    ("cleanupwatchdog",                     15, NOTHING, PRESENT),
    ("install",                             15, NOTHING, PRESENT),
    ("uninstall",                           15, NOTHING, PRESENT),
    # What looks, and changes nothing.
    ("doctor --pool --seconds=0 --format=json", 0, r"\{(?s:.*)\}", NOTHING),
    ("timing --format=json",                0,  r"\{(?s:.*)\}", NOTHING),
    ("hold",                                0,  ANYTHING, NOTHING),
    ("hold xapi 5m",                        0,  ANYTHING, NOTHING),
    ("hold xapi --end",                     0,  ANYTHING, NOTHING),
    ("schema timeline",                     0,  r"\{(?s:.*)\}", NOTHING),
    ("timeline",                            2,  NOTHING, NO_RECORDER),
    ("why /dev/statefile",                  2,  NOTHING, r".*no last words in /dev/statefile"),
    ("explain /dev/statefile",              2,  NOTHING, r".*no last words in /dev/statefile"),
    # What needs no daemon.
    ("dump-statefile",                      0,  r"(?s:.*) active\n(?s:.*)", NOTHING),
    ("dumpstatefile",                       0,  r"  global\.sig = (?s:.*)", NOTHING),
    ('what-if "crash host-a"',              0,  STORY, NOTHING),
    ("simulate --seed=1 --hosts=2",         0,  TOLD, NOTHING),
    ("sandbox --hosts=1 --dir=/run/sandbox", 0, r"(?s:.*)All hosts are online\.(?s:.*)", NOTHING),
    ("ha_null",                             0,  NOTHING, NOTHING),
    # The pool's state and the master.
    ("set-pool-state active",               0,  NOTHING, NOTHING),
    ("ha_set_pool_state active",            0,  NOTHING, NOTHING),
    ("calldaemon set_pool_state active",    0,  NOTHING, NOTHING),
    ("write-statefile rotate-key",          0,  r"(?s:.*)no other is accepted", NOTHING),
    ("propose-master",                      0,  r"TRUE", NOTHING),
    ("ha_propose_master",                   0,  r"TRUE", NOTHING),
    ("calldaemon propose_master",           0,  r"TRUE", NOTHING),
    ("cancel-master",                       0,  NOTHING, NOTHING),
    ("calldaemon cancel_master",            0,  NOTHING, NOTHING),
    # Weights and faults.
    ("set-host-weight vms 3",               0,  NOTHING, NOTHING),
    ("ha_set_host_weight sr 2",             0,  NOTHING, NOTHING),
    ("weightctl sr 0",                      0,  NOTHING, NOTHING),
    ("reload-host-weight",                  0,  NOTHING, NOTHING),
    ("calldaemon reload_host_weight",       0,  NOTHING, NOTHING),
    ("fault set statefile.slow=1",          0,  r"statefile\.slow=1", NOTHING),
    ("fault set no.such.point",             1,  NOTHING, ANYTHING),
    ("calldaemon fist list",                0,  r"statefile\.slow=1", NOTHING),
    ("fault clear all",                     0,  NOTHING, NOTHING),
    # In peace: disarm, exclude, and the daemon ends by itself.
    ("disarm-fencing",                      0,  NOTHING, NOTHING),
    ("ha_disarm_fencing",                   0,  NOTHING, NOTHING),
    ("calldaemon disarm_fencing",           0,  NOTHING, NOTHING),
    ("clear-excluded",                      0,  NOTHING, NOTHING),
    ("ha_clear_excluded",                   0,  NOTHING, NOTHING),
    ("calldaemon clear_excluded",           0,  NOTHING, NOTHING),
    ("set-excluded",                        0,  NOTHING, NOTHING),
    ("ha_stop_daemon",                      0,  NOTHING, NOTHING),
    ("ha_start_daemon",                     0,  NOTHING, NOTHING),
    ("ha_disarm_fencing",                   0,  NOTHING, NOTHING),
    ("ha_set_excluded",                     0,  NOTHING, NOTHING),
    ("stop-daemon",                         0,  NOTHING, NOTHING),
    ("start-daemon",                        0,  NOTHING, NOTHING),
    ("disarm-fencing",                      0,  NOTHING, NOTHING),
    ("calldaemon set_excluded",             0,  NOTHING, NOTHING),
    ("stop-daemon",                         0,  NOTHING, NOTHING),
    # Armed; and the end of the pool.
    ("start-daemon",                        0,  NOTHING, NOTHING),
    ("stop-daemon",                         0,  NOTHING, r"warning: fencing is armed: .*"),
    ("start-daemon",                        0,  NOTHING, NOTHING),
    ("set-pool-state invalid",              0,  NOTHING, NOTHING),
    ("stop-daemon",                         0,  NOTHING, NOTHING),
    ("host-state",                          14, NOTHING, ABSENT),
    ("ha_start_daemon",                     11, NOTHING, r"the pool state is invalid"),
]

#: Whose standard error is the log, too, when they are run by hand.
CHATTY = ("daemon", "xhad")

#: All the names that the archive knows, and all verbs of calldaemon.
NAMES = """
from xha import cli, commands, usage
names = set(usage.commands()) | set(cli.LINKS) | set(cli.HOT) | set(commands._COMMANDS)
names.update(name for _, rows in usage.GROUPS for name, _ in rows)
print(*sorted(names))
print(*sorted(set(commands._CALLS) | set(commands._CALLS_WITH)
              | set(commands._CALLS_WITH_LEVELS)))
"""

#: What there is in a dom0, from inside.
LOOK = """
import os, sys
places = [line.split()[1] for line in open("/proc/self/mounts")]
print(*sorted(place for place in places if not os.statvfs(place).f_flag & os.ST_RDONLY))
for place in ("/", "/dev", "/etc", "/opt", "/tmp", "/usr", "/var", "/var/lib", sys.argv[1]):
    try:
        open(place + "/written", "w")
        print("can write in", place)
    except OSError:
        pass
print(os.path.exists("/dev/shm"), sorted(os.environ), sys.version_info[:2])
"""


def differs(host, line, code, out, err):
    """Run the command of a row; what it did, where that is not what the row says, else ""."""
    ended, said, complained = host.call(line)
    right = (
        ended == code
        and re.fullmatch(out, said.rstrip("\n")) and re.fullmatch(err, complained.rstrip("\n"))
        and "Traceback" not in said + complained and "\x1b" not in said + complained
        and (complained.count("\n") <= 1 or line.split()[0] in CHATTY))
    return "" if right else "{}: {}, out {!r}, err {!r}".format(line, ended, said, complained)


def check(host, rows):
    """Run the commands of all rows, in order, and compare."""
    wrong = [differs(host, *row) for row in rows]
    assert not any(wrong), "\n".join(filter(None, wrong))


def check_log(host):
    """The log, where there is one, knows of no bug."""
    code, text, _ = host.run(["/bin/cat", "/var/log/xha.log"])
    assert (code == 0) == host.log_is_kept
    for never in ("Traceback", "Message without text", "internal bug"):
        assert never not in text
    assert "[host-online]" in text or not host.log_is_kept


def test_a_dom0_has_what_it_is_said_to_have(dom0):
    code, said, complained = dom0.run([dom0.python, "-I", "-S", "-c", LOOK, STACK])
    assert (code, complained) == (0, ""), complained
    mounts, rest = said.split("\n", 1)
    usual = {place for place in mounts.split() if not re.match("/(proc|sys)(/|$)", place)}
    if dom0.log_is_kept:
        assert usual == {"/run", "/dev/statefile", "/var/log"}
        assert {"/proc", "/sys"} <= set(mounts.split())
    else:
        assert set(mounts.split()) == {"/run", "/dev/statefile"}
    assert rest == "False ['PATH'] {}\n".format(PYTHONS[0].number[:2])


def test_its_python_is_that_of_the_oldest_dom0():
    if PYTHONS[0].version != "3.6":
        pytest.skip("no CPython 3.6 here: all of this room ran on " + PYTHONS[0].version)


@pytest.mark.parametrize("rows", [NO_DAEMON, WITH_DAEMON], ids=["no daemon", "a daemon"])
def test_every_command_and_every_verb_has_a_row(probe, rows):
    names, verbs = [set(line.split()) for line in probe(PYTHONS[0], NAMES).splitlines()]
    words = [row[0].split() for row in rows]
    assert {"start-daemon", "ha_start_daemon", "sandbox"} <= names
    assert names <= {line[0] for line in words}
    if rows is WITH_DAEMON:
        assert verbs <= {line[1] for line in words if line[0] == "calldaemon"}


def test_every_command_runs_without_a_daemon(dom0):
    check(dom0, NO_DAEMON)


def test_every_command_runs_with_a_daemon(dom0):
    check(dom0, WITH_DAEMON)
    check_log(dom0)


def test_every_name_has_its_help(dom0, probe):
    names = probe(PYTHONS[0], NAMES).splitlines()[0].split()
    for name in names:
        code, said, complained = dom0.call(name + " --help")
        assert (code, complained) == (0, ""), name
        assert "Usage: xha.pyz " + name in said or name == "ha_null", name


@pytest.mark.parametrize("line", ["daemon", "xhad " + CONFIG])
def test_the_daemon_runs_in_the_foreground_until_it_is_asked_to_end(dom0, line):
    check(dom0, [("set-pool-state init", 0, NOTHING, ANYTHING)])
    daemon = dom0.popen(dom0.command(line))
    try:
        deadline = time.monotonic() + PATIENCE_S
        while dom0.call("host-state")[1] != "Online\n":
            assert daemon.poll() is None and time.monotonic() < deadline
        check(dom0, [("stop-daemon", 0, NOTHING, r"warning: fencing is armed: .*")])
        out, err = daemon.communicate(timeout=PATIENCE_S)
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.communicate()
    assert (daemon.returncode, out) == (0, b"")
    text = err.decode("ascii")
    # Where the log cannot be kept this is where it is.
    assert text == "" if dom0.log_is_kept else "[host-online]" in text
    assert "Traceback" not in text
