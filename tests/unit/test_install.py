"""`install` and `uninstall` on real trees: what was there comes back, whatever happens.

Each run is a process of its own.  It can be killed by SIGKILL at every call that changes
the disk, one after the other, or be told there that the disk is full; what is then there is
compared file by file with what was before, or with an installation that nothing disturbed.
A directory's own times are not compared: it says truly that its entries have changed, which
systemd wants to know.
"""
import errno
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import zipfile

import pytest
from xha import cli, installdisk, installer, installplan, realtime, usage
from xha.errors import ExitCode, XhaError
from xha.installplan import ARCHIVE, INSTALLED, STACK, beside

SRC = os.path.dirname(os.path.abspath(cli.__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

#: Calls at which a run can be ended; those that take space, and so can find the disk full.
CALLS = ("open", "write", "fchmod", "chmod", "fsync", "close", "link", "symlink", "rename",
         "unlink", "mkdir", "rmdir")
TAKE_SPACE = ("open", "write", "link", "symlink", "mkdir")


@pytest.fixture
def place(monkeypatch):
    """A directory in memory: hundreds of runs with their fsyncs disturb no disk."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = tempfile.mkdtemp(prefix="xha-install-", dir=memory)
    monkeypatch.setenv("XHA_RUN_DIR", os.path.join(path, "run"))
    monkeypatch.setenv("XHA_LOG_FILE", os.path.join(path, "xha.log"))
    yield path
    shutil.rmtree(path)


def an_archive(path, word):
    """A file that the installer takes for the archive; ``word`` makes it another build."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as target:
        target.writestr("_xha.py", "# start\n")
        target.writestr("word", word)
    with open(path, "wb") as stream:
        stream.write(b"#!/usr/bin/python3 -ISc...\n" + content.getvalue())
    return path


def write(path, text, mode=0o644, age_s=0):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as stream:
        stream.write(text)
    os.chmod(path, mode)
    os.utime(path, ns=(1500000000123456789, (1400000000 + age_s) * 10 ** 9 + 987654321))


def a_host(root):
    """A host with the original's cluster stack, in all its variety."""
    for number, name in enumerate(cli.LINKS + ("weightctl", "ha_supported_srs")):
        write(root + STACK + "/" + name, "the original's " + name, 0o755, number)
    os.chmod(root + STACK + "/xhad", 0o4711)
    os.chmod(root + STACK + "/calldaemon", 0o400)
    for name, target in (("ha_null", "nowhere at all"), ("ha_set_excluded", "ha_clear_excluded")):
        os.unlink(root + STACK + "/" + name)
        os.symlink(target, root + STACK + "/" + name)
        os.utime(root + STACK + "/" + name, ns=(7, 12345678901), follow_symlinks=False)
    os.unlink(root + STACK + "/dumpstatefile")
    os.link(root + STACK + "/writestatefile", root + STACK + "/dumpstatefile")
    if os.geteuid() == 0:
        os.chown(root + STACK + "/ha_stop_daemon", 1234, 2345)
    write(root + "/etc/logrotate.d/xhad", "/var/log/xha.log { monthly }\n", 0o600)
    write(root + "/etc/logrotate.d/yum", "/var/log/yum.log { monthly }\n")
    a_bare_host(root)


def a_bare_host(root):
    """What a host must have, and the places where small files can go."""
    os.makedirs(root + "/usr/bin", exist_ok=True)
    os.symlink("/somewhere/python3.6", root + "/usr/bin/python3")
    for folder in (installplan.STACKS, "/etc/logrotate.d", "/etc/portreserve",
                   "/etc/systemd/system", "/etc/xensource/bugtool"):
        os.makedirs(root + folder, exist_ok=True)


def picture(root):
    """All that there is below a directory; of directories not their own times."""
    seen = {}
    for folder, folders, names in os.walk(root):
        for name in folders + names:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            facts = [oct(status.st_mode), status.st_uid, status.st_gid]
            if not stat.S_ISDIR(status.st_mode):
                facts += [status.st_mtime_ns, status.st_nlink, status.st_size]
            if stat.S_ISLNK(status.st_mode):
                facts.append(os.readlink(path))
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as stream:
                    facts.append(stream.read())
            seen[os.path.relpath(path, root)] = facts
    return seen


def timeless(shown):
    """A picture of what was installed: when that was done, and over what, does not matter."""
    journal = INSTALLED[1:]
    if journal in shown:
        known = json.loads(shown[journal][-1].decode())
        for laid in known["laid"]:
            del laid["was"]
        shown = dict(shown, **{journal: shown[journal][:4] + [known]})
    return {path: [fact for number, fact in enumerate(facts)
                   if number != 3 or os.path.basename(path).endswith("xha-before~")]
            for path, facts in shown.items()}


class Fault:
    """What happens to a run: at the call number ``at``, or from there on."""

    def __init__(self, at=0, error=0, lasting=False, calls=CALLS):
        self.at, self.error, self.lasting, self.calls = at, error, lasting, calls
        self.count = 0

    def arm(self):
        for name in self.calls:
            setattr(os, name, self._instead(name, getattr(os, name)))

    def _instead(self, name, real):
        def call(*arguments, **options):
            if name == "open" and self.error and not arguments[1] & os.O_CREAT:
                return real(*arguments, **options)
            self.count += 1
            if self.count == self.at or self.lasting and 0 < self.at < self.count:
                if name == "write":
                    real(arguments[0], bytes(arguments[1])[:len(arguments[1]) // 2])
                if self.error:
                    raise OSError(self.error, os.strerror(self.error))
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)
        return call


def run(does, root, archive="", fault=None, dry=False):
    """Install or uninstall in a process of its own; (code or -signal, what it said, calls)."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said, fault = "", fault or Fault()
        sys.argv[0] = archive
        installer.cli.say = lambda out, err: None
        fault.arm()
        try:
            code = int(getattr(installer, does)(
                {"--root": root, "--dry-run": dry, "--run-dir": None}))
        except XhaError as error:
            code, said = int(error.code), str(error)
        except BaseException as error:
            code, said = 127, repr(error)
        fault.at = 0
        with os.fdopen(writing, "w") as stream:
            json.dump([said, fault.count], stream)
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as stream:
        told = stream.read()
    status = os.waitpid(pid, 0)[1]
    said, count = json.loads(told) if told else ("", 0)
    return (-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), said, count)


class Stage:
    """A host as it was, and what each way ends with."""

    def __init__(self, place, start):
        self.start = start
        self.root = place + "/host"
        self.saved = place + "/saved"
        self.v1 = an_archive(place + "/v1.pyz", "one")
        self.v2 = an_archive(place + "/v2.pyz", "two")
        {"bare": a_bare_host}.get(start, a_host)(self.root)
        self.old = picture(self.root)
        self.begin = self.old
        if start == "older":
            self._install_older(place)
        self._save()
        _, _, self.calls = self.must("install", self.v2)
        self.new = timeless(picture(self.root))
        self.reset()

    def _install_older(self, place):
        """An older archive, from before the host had portreserve; and a link has gone since."""
        reserve = self.root + "/etc/portreserve"
        write(reserve + "/xhad", "695/udp\n", 0o640)
        self.old = picture(self.root)
        os.rename(reserve, place + "/reserve")
        assert run("install", self.root, self.v1)[:2] == (0, "")
        os.rename(place + "/reserve", reserve)
        os.unlink(self.root + STACK + "/ha_start_daemon")
        self.begin = picture(self.root)

    def _save(self):
        """cp -a: hard links, times and owners too."""
        subprocess.run(["cp", "-a", self.root, self.saved], check=True)

    def reset(self):
        shutil.rmtree(self.root)
        subprocess.run(["cp", "-a", self.saved, self.root], check=True)
        assert picture(self.root) == self.begin

    def ways(self, at):
        """The ways out of a crash at step ``at``; in turn where the steps are much the same."""
        both = ("install", "uninstall")
        return both if self.start == "original" else both[at % 2:at % 2 + 1]

    def must(self, does, archive=""):
        done = run(does, self.root, archive)
        assert done[:2] == (0, ""), done
        return done


@pytest.fixture(params=["original", "bare", "older"])
def stage(place, request):
    return Stage(place, request.param)


def test_an_installation_serves_every_name_and_goes_without_a_trace(stage):
    stage.must("install", stage.v2)
    for name in cli.LINKS:
        assert os.readlink(stage.root + STACK + "/" + name) == "xha.pyz"
    with open(stage.root + ARCHIVE, "rb") as ours, open(stage.v2, "rb") as given:
        assert ours.read() == given.read()
    assert stat.S_IMODE(os.stat(stage.root + ARCHIVE).st_mode) == 0o755
    for name, path, mode, _ in installplan.FILES:
        with open(stage.root + path, "rb") as ours, open(ROOT + "/install/" + name, "rb") as given:
            assert ours.read() == given.read()
        assert stat.S_IMODE(os.stat(stage.root + path).st_mode) == mode
    stage.must("uninstall")
    assert picture(stage.root) == stage.old


def test_a_second_install_and_a_second_uninstall_change_nothing(stage):
    stage.must("install", stage.v2)
    installed = picture(stage.root)
    stage.must("install", stage.v2)
    assert picture(stage.root) == installed
    stage.must("uninstall")
    stage.must("uninstall")
    assert picture(stage.root) == stage.old


def test_a_dry_run_changes_nothing(stage):
    assert run("install", stage.root, stage.v2, dry=True)[:2] == (0, "")
    assert run("uninstall", stage.root, dry=True)[:2] == (0, "")
    assert picture(stage.root) == stage.begin


@pytest.mark.ends
def test_killed_at_any_step_of_an_install_both_ways_lead_out(stage):
    for at in range(1, stage.calls + 1):
        for way in stage.ways(at):
            assert run("install", stage.root, stage.v2, Fault(at))[0] == -signal.SIGKILL, at
            if way == "install":
                stage.must("install", stage.v2)
                assert timeless(picture(stage.root)) == stage.new, at
                stage.must("uninstall")
            else:
                stage.must("uninstall")
            assert picture(stage.root) == stage.old, (at, way)
            if stage.begin != stage.old:
                stage.reset()


@pytest.mark.ends
def test_killed_at_any_step_of_an_uninstall_both_ways_lead_out(stage):
    stage.must("install", stage.v2)
    stage.begin = picture(stage.root)
    shutil.rmtree(stage.saved)
    stage._save()
    calls = stage.must("uninstall")[2]
    stage.reset()
    for at in range(1, calls + 1):
        for way in stage.ways(at):
            assert run("uninstall", stage.root, "", Fault(at))[0] == -signal.SIGKILL, at
            stage.must(way, stage.v2)
            if way == "install":
                assert timeless(picture(stage.root)) == stage.new, at
                stage.must("uninstall")
            assert picture(stage.root) == stage.old, (at, way)
            stage.reset()


@pytest.mark.ends
def test_a_recovery_that_is_killed_is_recovered_from(stage):
    for at in range(5, stage.calls + 1, 9):
        assert run("install", stage.root, stage.v2, Fault(at))[0] == -signal.SIGKILL
        again = 0
        while again < 400:
            again += 3
            code = run("uninstall", stage.root, "", Fault(again))[0]
            if code == 0:
                break
            assert code == -signal.SIGKILL
        assert picture(stage.root) == stage.old, at
        stage.reset()


@pytest.mark.ends
@pytest.mark.parametrize("lasting, those", [(False, TAKE_SPACE + ("fsync",)), (True, TAKE_SPACE)],
                         ids=["once", "from then on"])
def test_a_full_disk_at_any_step_leaves_the_old_state(stage, lasting, those):
    refused = 0
    calls = run("install", stage.root, stage.v2, Fault(0, errno.ENOSPC, calls=those))[2]
    stage.reset()
    for at in range(1, calls + 1):
        code, said, _ = run("install", stage.root, stage.v2,
                            Fault(at, errno.ENOSPC, lasting, those))
        assert code == ExitCode.SYSTEM_ERROR and "make room" in said, (at, said)
        if "is installed" in said:      # The very last fsyncs: all is done.
            assert os.path.exists(stage.root + INSTALLED)
            stage.must("install", stage.v2)
            assert timeless(picture(stage.root)) == stage.new, at
        else:
            refused += 1
            assert "nothing has been changed" in said
            assert picture(stage.root) == stage.begin, at
        stage.reset()
    assert refused > calls - 8


def test_whatever_a_rename_says_the_state_is_an_old_one(stage):
    calls = run("install", stage.root, stage.v2, Fault(0, errno.EIO, calls=("rename",)))[2]
    stage.reset()
    for at in range(1, calls + 1):
        code, said, _ = run("install", stage.root, stage.v2,
                            Fault(at, errno.EIO, calls=("rename",)))
        assert code == ExitCode.SYSTEM_ERROR and "nothing has been changed" in said
        assert picture(stage.root) == stage.begin, at


def test_every_change_is_on_the_disk_before_the_next_kind_begins(stage, monkeypatch):
    """What a power failure needs: nothing is shown that is not whole and on the disk."""
    done, paths = [], {}
    for name in CALLS:
        def call(*arguments, _name=name, _real=getattr(os, name), **options):
            result = _real(*arguments, **options)
            if _name == "open":
                paths[result] = arguments[0]
            what = paths.get(arguments[0], arguments[0]) if _name != "open" else arguments[0]
            done.append((_name, what) + tuple(arguments[1:]))
            return result
        monkeypatch.setattr(os, name, call)
    monkeypatch.setattr(sys, "argv", [stage.v2])
    installer.install({"--root": stage.root, "--dry-run": False, "--run-dir": None})
    monkeypatch.undo()
    shown = [number for number, step in enumerate(done)
             if step[0] == "rename" and "xha-new~" in step[1]]
    assert shown
    pending = next(number for number, step in enumerate(done)
                   if step[0] == "rename" and step[2].endswith("xha-pending"))
    first_touch = next(number for number, step in enumerate(done) if "xha-new~" in str(step[1])
                       or "xha-new~" in str(step[-1]))
    stacks = stage.root + installplan.STACKS
    assert ("fsync", stacks) in done[pending:first_touch], "the journal, before all else"
    for number in shown:
        new, path = done[number][1:3]
        ready = done[:shown[0]]
        made = max(at for at, step in enumerate(ready) if step[:2] == ("open", new) or (
            step[0] == "symlink" and step[2] == new))
        if ready[made][0] == "open":
            assert ("fsync", new) in ready[made:]
        last = max([made] + [at for at, step in enumerate(ready) if step[:2] == ("link", path)])
        assert ("fsync", os.path.dirname(path)) in ready[last:], "directory"
        commit = next(at for at, step in enumerate(done) if step[0] == "rename"
                      and step[2].endswith("xha-installed"))
        assert ("fsync", os.path.dirname(path)) in done[shown[-1]:commit]
    assert not [step for step in done if step[0] == "open" and step[2] & os.O_ACCMODE
                and not step[2] & os.O_EXCL], "nothing that is there is ever opened to write"


# What others do to it meanwhile

def test_what_somebody_changed_is_kept_by_a_newer_install_and_by_uninstall(place):
    stage = Stage(place, "older")
    path = stage.root + "/etc/logrotate.d/xhad"
    changed = stage.root + beside("/etc/logrotate.d/xhad", "changed")
    os.unlink(path)
    write(path, "daily, says the administrator")
    os.unlink(stage.root + STACK + "/xhad")
    stage.must("install", stage.v2)
    with open(changed) as stream:
        assert stream.read() == "daily, says the administrator"
    os.unlink(path)
    write(path, "hourly")
    stage.must("uninstall")
    with open(changed) as stream:
        assert stream.read() == "hourly"
    os.unlink(changed)
    assert picture(stage.root) == stage.old


def test_what_was_kept_and_is_lost_stops_an_uninstall_before_it_begins(place):
    stage = Stage(place, "older")
    kept = stage.root + beside(STACK + "/xhad", "before")
    shutil.move(kept, place + "/lost")
    before = picture(stage.root)
    code, said = refusal("uninstall", stage.root)
    assert code == ExitCode.SYSTEM_ERROR and kept in said and "nothing has been changed" in said
    assert picture(stage.root) == before
    shutil.move(place + "/lost", kept)
    stage.must("uninstall")
    assert picture(stage.root) == stage.old


def test_a_directory_that_others_use_meanwhile_stays(place):
    stage = Stage(place, "bare")
    stage.must("install", stage.v2)
    write(stage.root + STACK + "/theirs", "x")
    stage.must("uninstall")
    with open(stage.root + STACK + "/theirs") as stream:
        assert stream.read() == "x"
    assert set(picture(stage.root)) - set(stage.old) == {STACK[1:], STACK[1:] + "/theirs"}


def test_a_running_archive_keeps_its_file(place):
    stage = Stage(place, "older")
    with open(stage.root + ARCHIVE, "rb") as running, open(stage.v1, "rb") as first:
        stage.must("install", stage.v2)
        assert running.read() == first.read()


# Who is refused, and what is left out

def refusal(does, root, archive=""):
    code, said, _ = run(does, root, archive)
    assert said and "\n" not in said
    return code, said


def test_two_at_once_do_not_meet(place):
    stage = Stage(place, "original")
    host = installdisk.Host(stage.root)
    assert refusal("install", stage.root, stage.v2)[0] == ExitCode.TRANSIENT_ERROR
    assert refusal("uninstall", stage.root)[0] == ExitCode.TRANSIENT_ERROR
    host.close()
    stage.must("install", stage.v2)


@pytest.mark.parametrize("does", ["install", "uninstall"])
def test_beside_a_daemon_it_is_refused(place, does):
    stage = Stage(place, "older")
    lock = os.path.join(os.environ["XHA_RUN_DIR"], "xhad.lock")
    os.mkdir(os.path.dirname(lock))
    reading, writing = os.pipe()
    told, tells = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        kept = realtime.take_lock(lock)
        os.write(tells, b"x")
        os.read(reading, 1)
        os._exit(0 if kept is not None else 1)
    os.read(told, 1)
    assert refusal(does, stage.root, stage.v2)[0] == ExitCode.DAEMON_PRESENT
    assert picture(stage.root) == stage.begin
    os.close(writing)
    os.waitpid(pid, 0)
    stage.must(does, stage.v2)
    for descriptor in (reading, told, tells):
        os.close(descriptor)


def test_on_this_host_an_xhad_of_any_kind_is_a_daemon(monkeypatch, place):
    """No root is named, so all processes count; nothing here could be installed anyway."""
    pid = os.fork()
    if pid == 0:
        with open("/proc/self/comm", "w") as stream:
            stream.write("xhad")
        signal.pause()
    try:
        while open("/proc/{}/comm".format(pid)).read() != "xhad\n":
            pass
        with pytest.raises(XhaError) as refused:
            installer._refuse_beside_daemon("", "")
        assert refused.value.code == ExitCode.DAEMON_PRESENT
        assert "an xhad" in str(refused.value)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def broken(change):
    """A host that is wrong in one way."""
    def make(place):
        stage = Stage(place, "original")
        change(stage)
        return stage
    return make


def replace_by_link(path, target):
    shutil.rmtree(path)
    os.symlink(target, path)


WRONG = [
    # what is wrong                                             code  said             why
    (lambda at: shutil.rmtree(at.root + installplan.STACKS),    16,   "no host with",  "no xapi"),
    (lambda at: shutil.rmtree(at.root),                         16,   "no such",       "no root"),
    (lambda at: os.unlink(at.root + "/usr/bin/python3"),        16,   "Python 3.6 or newer",
     "no Python"),
    (lambda at: os.mkdir(at.root + ARCHIVE),                    16,   "in the way",    "directory"),
    (lambda at: replace_by_link(at.root + "/etc/logrotate.d", "/tmp"), 16, "outside of",
     "a link out of the root"),
    (lambda at: write(at.v2, "text"),                           16,   "dist/xha.pyz",  "no zip"),
    (lambda at: damage(at.v2),                                  2,    "is damaged",    "damaged"),
    (lambda at: write(at.root + INSTALLED, "x"),                2,    "newer xha",     "journal"),
]


def damage(path):
    with open(path, "r+b") as stream:
        data = stream.read()
        stream.seek(data.index(b"two"))
        stream.write(b"tow")


@pytest.mark.parametrize("change, code, said, why", WRONG, ids=[row[-1] for row in WRONG])
def test_what_cannot_be_is_refused_and_nothing_changes(place, change, code, said, why):
    stage = Stage(place, "original")
    change(stage)
    before = picture(stage.root)
    found = refusal("install", stage.root, stage.v2)
    assert found[0] == code and said in found[1]
    assert picture(stage.root) == before


def test_only_root_may_install_on_a_host_and_anybody_look(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(XhaError) as refused:
        installer._require_root("", False)
    assert refused.value.code == ExitCode.INVALID_ENVIRONMENT
    installer._require_root("", True)
    installer._require_root("/image", False)
    assert installer._root("/") == installer._root("//tmp/..") == ""


def test_what_comes_next_on_this_very_host_is_told():
    class This:
        root = ""
    unit = [row[1] for row in installplan.FILES if "systemd" in row[1]]
    assert "stop xen-watchdog" in installer._next(This, unit, True)[0]
    assert "daemon-reload" in installer._next(This, unit, False)[0]
    assert installer._next(This, [ARCHIVE], True) == []


def test_who_may_not_write_is_told_before_anything_is_done(place, monkeypatch):
    stage = Stage(place, "original")
    host = installdisk.Host(stage.root)
    monkeypatch.setattr(os, "access", lambda path, how: not path.endswith("/portreserve"))
    with pytest.raises(XhaError) as refused:
        installer._check_writable(host, ["/etc/portreserve/xhad", ARCHIVE])
    assert refused.value.code == ExitCode.INVALID_ENVIRONMENT
    assert "/etc/portreserve may not be written" in str(refused.value)
    host.close()


def test_what_nobody_would_read_is_left_out(place, capfd, monkeypatch):
    stage = Stage(place, "bare")
    for folder in ("/etc/portreserve", "/etc/systemd/system", "/etc/xensource/bugtool"):
        os.rmdir(stage.root + folder)
    write(stage.root + "/etc/logrotate.d/xensource", "/var/log/xha.log /var/log/x.log {\n}\n")
    before = picture(stage.root)
    monkeypatch.setattr(sys, "argv", [stage.v1])
    assert cli.main("xha.pyz", ["install", "--root=" + stage.root]) == 0
    said = capfd.readouterr().out
    for line in ("/etc/portreserve/xhad: left out, there is no /etc/portreserve",
                 "/etc/logrotate.d/xhad: left out, /etc/logrotate.d/xensource rotates"):
        assert line in said
    assert not set(os.listdir(stage.root + "/etc")) - {"logrotate.d", "xensource", "systemd"}
    stage.must("uninstall")
    assert picture(stage.root) == before


# What is said

def test_each_way_says_what_it_does(place, capfd, monkeypatch):
    stage = Stage(place, "original")
    root = "--root=" + stage.root

    def said(*words):
        monkeypatch.setattr(sys, "argv", [stage.v1])
        code = cli.main("xha.pyz", list(words))
        out, err = capfd.readouterr()
        assert (code, err) == (0, "")
        return out

    planned = said("install", root, "--dry-run")
    assert STACK + "/xhad: replace, keeping what is there" in planned
    assert STACK + "/xha.pyz: create" in planned
    assert planned.endswith("nothing has been changed (--dry-run)\n")
    done = said("install", root)
    assert done.splitlines()[:-1] == planned.splitlines()[:-1]
    assert "is installed: " in done.splitlines()[-1]
    assert said("install", root) == "xha source is installed already: nothing to do\n"
    assert "install" in said("--help")
    planned = said("uninstall", root, "--dry-run")
    assert STACK + "/xhad: put back what was there" in planned
    assert "xha is uninstalled" in said("uninstall", root)
    assert said("uninstall", root) == "nothing is installed here: nothing to put back\n"


@pytest.mark.parametrize("does", ["install", "uninstall"])
def test_what_was_interrupted_is_told(place, capfd, monkeypatch, does):
    stage = Stage(place, "original")
    run("install", stage.root, stage.v1, Fault(stage.calls // 2))
    monkeypatch.setattr(sys, "argv", [stage.v1])
    words = [does, "--root=" + stage.root]
    before = picture(stage.root)
    assert cli.main("xha.pyz", words + ["--dry-run"]) == 0
    assert "would be taken back first" in capfd.readouterr().out
    assert picture(stage.root) == before
    assert cli.main("xha.pyz", words) == 0
    assert "an install was interrupted: it has been taken back" in capfd.readouterr().out


@pytest.mark.parametrize("does", ["install", "uninstall"])
def test_the_help_teaches(does):
    text = usage.help_of(does)
    for word in ("--root=DIR", "--dry-run", "Ends with 15", "xha-changed~"):
        assert word in text


# The files themselves

@pytest.mark.parametrize("name", sorted(row[0] for row in installplan.FILES))
def test_every_file_is_in_the_tree_and_nothing_else_is(name):
    assert installer.bundled(name)
    assert sorted(os.listdir(ROOT + "/install")) == sorted(
        [row[0] for row in installplan.FILES] + ["README.md"])


def test_the_bug_report_tells_the_story_in_its_first_10_kb(place):
    fake = place + "/xha.pyz"
    write(fake, "#!/bin/sh\n[ $1 = build-id ] && echo 0123456789abcdef && exit\n"
          "echo POOL $2; i=0; while [ $i -lt 900 ]; do echo host $i; i=$((i+1)); done; exit 3\n",
          0o755)
    write(place + "/xha.log", "old\n" + "x" * 70 + "\n" + "line\n" * 60000 + "THE END\n")
    done = subprocess.run(["/bin/sh", ROOT + "/install/xha-bugtool"], stdout=subprocess.PIPE,
                          env={"XHA": fake, "XHA_LOG_FILE": place + "/xha.log"}, check=True)
    first = done.stdout[:10000].decode()
    assert "0123456789abcdef" in first
    assert "POOL --format=text" in first and "host 300" in first
    assert "THE END" in first
    assert b"host 899" in done.stdout and b"(ended with 3)" in done.stdout
    recorder = done.stdout.partition(b"== The end of the flight recorder")[2]
    assert b"POOL --last=1000" in recorder and b"host 899" in recorder
    assert len(done.stdout) < 262144, "the limit that bugtool.xml names"


def test_the_bug_report_is_written_without_daemon_and_log(place):
    done = subprocess.run(["/bin/sh", ROOT + "/install/xha-bugtool"], stdout=subprocess.PIPE,
                          env={"XHA": place + "/none", "XHA_LOG_FILE": place + "/none.log"},
                          check=True)
    assert b"none.log" in done.stdout
