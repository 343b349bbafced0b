"""Pools of the archive's daemons, their logs when a test fails, and the times that were measured.

    python3 build.py archive
    python3 -m pytest -n 6 tests/e2e          # -n: pytest-xdist; a pool mostly waits

``XHA_PYZ`` names another archive, ``XHA_PYTHON`` the interpreter to run it with,
``XHA_E2E_LOGS`` a folder to keep the daemons' logs in, also of tests that pass.  The measured
times go to dist/e2e-times.json, beside those of the original on the same machine.
"""

import json
import os
import re
import shutil
import statistics
import subprocess

import pytest

from rig import dom0
from rig.pool import Pool
from rig.states import OPTIONS, Stage

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REPORT = os.path.join(ROOT, "dist", "e2e-times.json")

#: Medians of the original, seconds, same settings.  Ours may not be slower.
ORIGINAL = {
    "1 host forms": 4.4, "2 hosts form": 6.0, "3 hosts form": 6.3, "4 hosts form": 6.3,
    "crash to the survivors' liveset": 18.2,
    "cut 2|1 to the survivors' liveset": 24.0,
    "cut 2|1 to the loser's fence": 13.1,
    "storage lost to SR2": 6.5,
    "storage back to the end of SR2": 2.5,
    "election": 3.5,
}

#: A machine that stood still for this long proves nothing about time-outs of 5 s.
LONGEST_STALL_S = 2.0

_measured = {}  # filled in the one process that prints the summary


@pytest.fixture
def pool_of(archive, request):
    """Make pools that end with the test: ``pool_of(3, watchdog="USER")``."""
    interpreter = os.environ.get("XHA_PYTHON")
    program = [interpreter, archive] if interpreter else [archive]
    pools = request.node.xha_pools = []

    def make(count, **options):
        pool = Pool(count, program, **options)
        pools.append(pool)
        return pool
    try:
        yield make
        for pool in pools:
            pool.disk.check()
            for host in pool.hosts:
                nevers = ["Message without text"] + (
                    [] if host.index in pool.dying else ["Traceback"])
                for never in nevers:
                    assert never not in host.log(), "host {}: {}".format(host.index, host.log())
    finally:
        for pool in pools:
            keep_logs(request.node.name, pool)
            pool.close()


class FrozenDisk:
    """A disk of its own under a host's /var/lib that hangs in each write once it is told to."""

    def __init__(self, image):
        self._image = image
        self._frozen = []

    def mount(self, host, log=False):
        """Put it there, with ``log`` under /var/log, too."""
        host.door.must("mount", "-o", "loop", self._image, "/var/lib")
        if log:
            host.door.must("mkdir", "/var/lib/log")
            host.door.must("mount", "--bind", "/var/lib/log", "/var/log")

    def freeze(self, host):
        """From now on who writes waits in the kernel."""
        host.door.must("fsfreeze", "-f", "/var/lib")
        self._frozen.append(host)

    def thaw(self):
        """Go on."""
        while self._frozen:
            self._frozen.pop().door.must("fsfreeze", "-u", "/var/lib")


@pytest.fixture
def frozen_disk(tmp_path):
    """A disk for a host of a pool."""
    if not (os.path.exists("/dev/loop-control") and shutil.which("fsfreeze")
            and shutil.which("mkfs.ext4")):
        pytest.skip("no loop device, fsfreeze or mkfs.ext4 here")
    image = str(tmp_path / "image")
    with open(image, "wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    disk = FrozenDisk(image)
    yield disk
    disk.thaw()


@pytest.fixture(scope="session")
def installed(archive, tmp_path_factory):
    """A folder in which the archive has installed itself, for ``Dom0``."""
    root = str(tmp_path_factory.mktemp("installed"))
    dom0.install(archive, root)
    return root


@pytest.fixture
def stage_in(pool_of, installed):
    """Make a host in a state of ``rig.states``: ``stage_in("no-config")``."""
    def make(state, **options):
        stage = Stage(pool_of, installed, **dict(OPTIONS.get(state, {}), **options))
        getattr(stage, state.replace("-", "_"))()
        return stage
    return make


def keep_logs(name, pool):
    """Keep the daemons' logs, also of a test that passed, in the folder XHA_E2E_LOGS."""
    folder = os.environ.get("XHA_E2E_LOGS")
    if folder:
        os.makedirs(folder, exist_ok=True)
        for host in pool.hosts:
            place = "{}.{}.log".format(re.sub("[^a-z0-9]+", "-", name.lower())[:80], host.index)
            with open(os.path.join(folder, place), "w") as file:
                file.write(host.log())


@pytest.fixture
def measured(request):
    """Record how long something took: ``measured("election", 1.3)``, seconds."""
    def record(name, seconds):
        request.node.user_properties.append(("measured", [name, round(seconds, 2)]))
    return record


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the daemons said, and whether the machine was at fault."""
    outcome = yield
    report = outcome.get_result()
    pools = getattr(item, "xha_pools", [])
    if call.when == "call" and pools:
        stalled_s = max(pool.stalled_s for pool in pools)
        report.user_properties = list(item.user_properties) + [("stalled", round(stalled_s, 2))]
        if report.failed:
            for pool in pools:
                report.sections.append(("machine", "stood still for at most {:.2f} s{}".format(
                    stalled_s, ": the run proves nothing" if stalled_s > LONGEST_STALL_S else "")))
                for host in pool.hosts:
                    report.sections.append((
                        "host {}: lives {}".format(host.index, [
                            (run.started_at, run.ended_at, run.status) for run in host.runs]),
                        host.log()))


def pytest_runtest_logreport(report):
    """Collect what was measured, from all workers."""
    if report.when == "call":
        for name, value in report.user_properties:
            if name == "measured":
                _measured.setdefault(value[0], []).append(value[1])
            elif name == "stalled":
                _measured.setdefault("longest stall of this machine", []).append(value)


def pytest_terminal_summary(terminalreporter, config):
    """Print the times beside the original's, and write them down."""
    if hasattr(config, "workerinput") or not _measured:
        return
    rows = {}
    for name in sorted(_measured):
        times = sorted(_measured[name])
        rows[name] = {"ours_s": times, "median_s": round(statistics.median(times), 2),
                      "original_s": ORIGINAL.get(name)}
    os.makedirs(os.path.dirname(REPORT), exist_ok=True)
    with open(REPORT, "w") as file:
        json.dump({"settings": "t1=t2=1 T1=T2=5 Wh=5 Ws=8 Tboot=45 Tenable=20",
                   "times": rows}, file, indent=1, sort_keys=True)
        file.write("\n")
    terminalreporter.section("times, seconds ({})".format(REPORT))
    for name, row in rows.items():
        original = row["original_s"]
        terminalreporter.write_line("{:55} {:6.2f} (of {}) {}{}".format(
            name, row["median_s"], len(row["ours_s"]),
            "" if original is None else "original {:.1f}".format(original),
            "  SLOWER" if original is not None and row["median_s"] > original else ""))
