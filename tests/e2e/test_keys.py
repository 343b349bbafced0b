"""The pool key: changed while the pool runs, under load; and seen nowhere.  Source: docs/key.md."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from rig import keys
from rig.host import ENVIRONMENT
from rig.network import address
from rig.waiting import until

EVERYBODY = (0, 1, 2)


def ring(pool):
    """What the State-File holds."""
    return keys.ring_of(pool.disk.peek(0))


def facts(host):
    """What its daemon says, as JSON."""
    return json.loads(host.must("query-liveset", "--format=json").out)


def refused(host, cause="seal"):
    """How many datagrams it has refused for a cause."""
    return facts(host)["datagrams_refused"].get(cause, 0)


def recorded(pool, source, destination):
    """The last heartbeat that was sent from one host to another in some seconds."""
    capture = pool.network.capture()
    time.sleep(2.5)
    return [one.payload for one in capture.stop()
            if one.source == source and one.destination == address(destination)][-1]


def words(result):
    """What a command printed, however it folded its lines."""
    return " ".join(result.out.split())


def changing(host, pool):
    """`write-statefile rotate-key`, in the background."""
    return host.door.popen(pool.program + ["write-statefile", "rotate-key"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env=dict(ENVIRONMENT))


@pytest.fixture
def pool(pool_of, archive):
    made = pool_of(3)
    interpreter = os.environ.get("XHA_PYTHON")
    made.program = [interpreter, archive] if interpreter else [archive]
    made.form()
    for host in made.hosts:
        until(lambda host=host: facts(host)["pool_state"] == "active", "all have read it", 5)
    return made


@pytest.fixture
def busy():
    """Every core has something else to do."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
                for _ in range(os.cpu_count() or 1)]
    yield
    for one in spinning:
        one.kill()
        one.wait()


def test_the_key_is_changed_under_load_and_nobody_is_missed(pool, busy, measured):
    old = ring(pool)
    assert (old.step, any(old.other)) == (0, False)
    genuine = recorded(pool, 2, 1)
    assert keys.proven(genuine, old.key) == genuine, "the key on the disk is the one that proves"
    flood = pool.network.flood("10.99.0.77", 0, [b"\xff" * size for size in (0, 743, 1400)])
    began_at = time.monotonic()
    command = changing(pool.hosts[2], pool)
    until(lambda: ring(pool).step == 1, "the key is announced", 10)
    assert ring(pool).key == old.key
    new = ring(pool).other
    # It is seen by who looks, on another host: by fingerprints.
    until(lambda: "The pool key is being changed (announced): heartbeats are sent with {}, and {} "
          "is accepted too.".format(keys.fingerprint(old.key), keys.fingerprint(new))
          in words(pool.hosts[0].must("status")), "status tells", 5)
    # In the middle of it a daemon ends, and starts again.
    other = pool.hosts[1]
    other.must("disarm-fencing")
    ended_at = time.monotonic()
    assert other.stop() == 0
    pool.wait_live([0, 2], [0, 2], 60, ended_at)
    since = pool.start([1])
    pool.wait_live(EVERYBODY, EVERYBODY, 60, since)
    out, err = command.communicate(timeout=240)
    measured("a change of the pool key, a restart in its middle", time.monotonic() - began_at)
    assert command.returncode == 0, (out, err)
    lines = out.decode("ascii").splitlines()
    assert "announced" in lines[0] and "no other is accepted" in lines[-1], lines
    assert flood.stop() > 100
    done = ring(pool)
    assert (done.step, done.key, any(done.other)) == (3, new, False)
    for host in pool.hosts:
        until(lambda host=host: facts(host)["pool_key"] == {
            "fingerprint": keys.fingerprint(new), "other": None, "stage": "settled", "changes": 1,
            "waits_for": []}, "host {} goes by it".format(host.index), 10)
        # Nobody who was well was refused, and nobody was lost.
        assert not refused(host) and not refused(host, "not-authentic"), facts(host)
        assert host.watch.now.live == EVERYBODY
    assert len(pool.hosts[0].runs) == len(pool.hosts[2].runs) == 1
    assert "[key-settled]" in pool.hosts[0].log() and "[self-fence" not in pool.hosts[0].log()


def test_what_is_proven_with_the_old_key_is_refused_after_the_end(pool):
    old = ring(pool)
    result = pool.hosts[0].must("write-statefile", "rotate-key", timeout_s=200)
    assert keys.fingerprint(old.key) in result.out
    new = ring(pool)
    assert new.key != old.key and new.step == 3
    until(lambda: facts(pool.hosts[1])["pool_key"]["stage"] == "settled", "host 1 has read it", 10)
    genuine = recorded(pool, 2, 1)
    assert keys.proven(genuine, new.key) == genuine
    before = refused(pool.hosts[1])
    forged = [keys.proven(genuine, old.key, later=1000 + number) for number in range(20)]
    pool.network.forge(address(2), 1, forged)
    until(lambda: refused(pool.hosts[1]) == before + len(forged), "all are refused", 5)
    # The same with the key that is valid is believed: it was the key, and nothing else.
    pool.network.forge(address(2), 1, [keys.proven(genuine, new.key, later=9)])
    time.sleep(1.5)
    assert refused(pool.hosts[1]) == before + len(forged)
    time.sleep(6)       # T1 and more: the genuine heartbeats are believed.
    assert all(host.running and host.watch.now.live == EVERYBODY for host in pool.hosts)


def test_the_command_may_be_killed_and_given_again(pool):
    first = changing(pool.hosts[1], pool)
    until(lambda: ring(pool).step == 1, "the key is announced", 10)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    until(lambda: facts(pool.hosts[2])["pool_key"]["stage"] == "announced", "host 2 reads it", 5)
    again = pool.hosts[2].must("write-statefile", "rotate-key", timeout_s=200)
    assert "already: nothing new was begun" in again.out
    assert ring(pool).step == 3
    # And begun again it is another change, of which `doctor` tells, too.
    another = changing(pool.hosts[0], pool)
    until(lambda: ring(pool).step == 4, "another change is announced", 10)
    assert "it is being changed, step 1 of 3 (announced)" in words(
        pool.hosts[0].command("doctor", "--pool", "--seconds=3",
                              "--config=" + pool.hosts[0].config))
    assert another.communicate(timeout=200) and another.returncode == 0
    assert ring(pool).step == 6


def test_without_a_daemon_it_is_14_and_nothing_is_written(pool_of):
    pool = pool_of(1)
    pool.initialise()
    before = pool.disk.peek(0)
    result = pool.hosts[0].command("write-statefile", "rotate-key")
    assert result.code == 14 and "no daemon runs on this host" in result.err
    assert pool.disk.peek(0) == before


#: All that can be asked of a host, and is about the pool.
VIEWS = [
    ["status"], ["status", "--format=json"], ["query-liveset", "--format=xml"],
    ["query-liveset", "--format=json"], ["query-liveset", "--format=text"], ["ha_query_liveset"],
    ["calldaemon", "dumpcom"], ["metrics"], ["timeline"], ["timeline", "--format=json"], ["why"],
    ["why", "--format=json"], ["host-state"],
]


def files(config, image, copy):
    """All that is shown of the configuration and of the State-File."""
    yield ["timing", "--config=" + config]
    for form in ("text", "json"):
        yield ["doctor", "--pool", "--seconds=2", "--format=" + form, "--config=" + config]
    for form in ("text", "json", "original"):
        yield ["dump-statefile", "--format=" + form, image]
        yield ["dump-statefile", "--format=" + form, "--config=" + config]
    yield ["dump-statefile", "--diff", copy, image]
    yield ["dumpstatefile", image]


def test_no_output_no_log_and_no_file_shows_a_key(pool, tmp_path):
    host, copy, page = pool.hosts[0], str(tmp_path / "copy"), str(tmp_path / "page.html")
    for one in pool.hosts:
        one.must("log-mask", "set", "debug")
    with open(pool.disk.image, "rb") as image, open(copy, "wb") as file:
        file.write(image.read())
    first = ring(pool)
    command = changing(host, pool)
    until(lambda: ring(pool).step == 1, "the key is announced", 10)
    known = set().union(*(keys.traces(key) for key in (first.key, ring(pool).other)))
    shown = []

    def look():
        for words in VIEWS + list(files(host.config, pool.disk.image, copy)):
            result = host.command(*words)
            shown.append((" ".join(words), (result.out + result.err).encode("utf-8")))
            assert len(shown[-1][1]) > 0 and "xha.pyz" not in result.err, shown[-1]
        host.must("timeline", "--html=" + page)
        with open(page, "rb") as file:
            shown.append(("timeline --html", file.read()))
    look()
    out, err = command.communicate(timeout=200)
    assert command.returncode == 0, (out, err)
    shown.append(("rotate-key", out + err))
    # A key part that is damaged, and a daemon that dies of a bug, say why, and no more.
    pool.disk.poke(0, b"\xa5" * 4, offset=1160)
    shown.append(("a damaged key", host.command("dump-statefile", pool.disk.image).out.encode()))
    assert b"CORRUPT" in shown[-1][1]
    until(lambda: ring(pool).key[4:8] != b"\xa5" * 4, "it is repaired", 20)
    look()
    told = dict(shown)
    assert any(what.startswith("doctor") and keys.fingerprint(ring(pool).key).encode() in data
               for what, data in shown)
    assert keys.fingerprint(ring(pool).key).encode() in told["dump-statefile --format=json "
                                                            + pool.disk.image]
    for what, data in shown:
        assert not keys.given_away(data, known), what
    looked = 0
    for path in keys.files_below(pool.folder, but=[
            pool.disk.image, os.path.join(pool.folder, "sf")]):
        with open(path, "rb") as file:
            assert not keys.given_away(file.read(), known), path
        looked += 1
    assert looked >= 6, "logs and recorders"
    # What is looked for would be found.
    with open(pool.disk.image, "rb") as image:
        assert keys.given_away(image.read(), known)


def test_a_daemon_that_dies_by_a_signal_leaves_no_core(pool, tmp_path):
    """Whatever the limit of core files is: somebody has raised it, here from outside."""
    with open("/proc/sys/kernel/core_pattern") as file:
        pattern = file.read().strip()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                              cwd=str(tmp_path))
    pool.hosts[2].must("disarm-fencing")
    assert pool.hosts[2].stop() == 0
    pool.wait_live([0, 1], [0, 1], 60)
    since = time.monotonic()
    daemon = pool.hosts[2].door.popen(
        pool.program + ["daemon", "--config=" + pool.hosts[2].config], cwd=str(tmp_path),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=dict(ENVIRONMENT))
    pool.wait_live([0, 1], EVERYBODY, 60, since)
    with open("/proc/{}/limits".format(daemon.pid)) as file:
        limits = file.read()
    assert any(line.split()[:5] == ["Max", "core", "file", "size", "0"]
               for line in limits.splitlines()), limits
    for process in (other, daemon):
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    daemon.send_signal(signal.SIGSEGV)
    assert daemon.wait(30) == -signal.SIGSEGV
    assert os.listdir(str(tmp_path)) == []
    other.send_signal(signal.SIGSEGV)
    other.wait(30)
    if "/" in pattern or pattern.startswith("|"):
        pytest.skip("cores go elsewhere here: {}; that none was left proves little".format(
            pattern))
    assert any(name.startswith("core") for name in os.listdir(str(tmp_path))), (
        "a core of any other process is left: the test can fail")
