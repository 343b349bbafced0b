"""The flight recorder of real daemons: disks that are full, read-only or hang, boots, a fence."""

import functools
import json
import os
import re
import shutil
import time
import uuid

import pytest

from rig import waiting
from rig.host import FENCED
from rig.messages import count, counted, names

PATIENCE_S = 30
BOOT_ID = "/proc/sys/kernel/random/boot_id"

#: Waits so long, if nothing else is said.
until = functools.partial(waiting.until, within_s=PATIENCE_S)


def timeline(host, *words):
    """What `timeline` shows on that host."""
    return host.must("timeline", *words).out


def read_only(host):
    """/var/lib is read-only."""
    host.door.must("mount", "--bind", "/var/lib", "/var/lib")
    host.door.must("mount", "-o", "remount,bind,ro", "/var/lib")


def full(host):
    """The disk under /var/lib has no room for the file."""
    host.door.must("mount", "-t", "tmpfs", "-o", "size=256k", "none", "/var/lib")


SPOILS = [(read_only, "Read-only file system"), (full, "No space left on device")]


@pytest.mark.parametrize("spoil, reason", SPOILS, ids=[row[-1] for row in SPOILS])
def test_without_room_for_its_recorder_a_host_starts_runs_and_says_so_once(pool_of, spoil, reason):
    pool = pool_of(1)
    host = pool.hosts[0]
    spoil(host)
    pool.form()
    assert host.must("propose-master").out == "TRUE\n"
    until(lambda: "recorder-failed" in names(host.log()), "it says so")
    assert names(host.log()).count("recorder-failed") == 1
    assert "Nothing is recorded in /var/lib/xha/recorder: {}. ".format(reason) in host.log()
    folder = host.door.proc + "/root/var/lib/xha"
    assert not os.path.exists(folder) or not [
        name for name in os.listdir(folder) if "recorder" in name], "nothing half made is left"
    refused = host.command("timeline")
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert host.view.live == (0,)


def test_a_disk_that_hangs_for_longer_than_every_time_out_delays_nothing(pool_of, frozen_disk):
    """The daemon beats, reads, writes and answers; the other host sees nothing of it at all."""
    pool = pool_of(2)
    host, other = pool.hosts
    frozen_disk.mount(host)
    pool.initialise()
    for one in pool.hosts:
        one.start("--enable-faults")
    pool.wait_live([0, 1], [0, 1], 40)
    count(host, 1)
    until(lambda: 1 in counted(timeline(host)), "it is recorded")
    frozen_disk.freeze(host)
    frozen_at = time.monotonic()
    number = 1
    while time.monotonic() < frozen_at + 14:     # T1, T2 and Wh are 5 s, Ws is 8 s.
        number += 1
        count(host, number % 100 + 1)
        time.sleep(0.1)
    assert host.running and other.running
    text = host.log()
    assert names(text).count("recorder-failed") == 1
    assert "recorder: the disk does not answer. " in text
    assert counted(text)[-1] == number % 100 + 1, "its log is on another disk, and goes on"
    frozen_disk.thaw()
    until(lambda: "recorder-works" in names(host.log()), "it says that it goes on")
    assert "recorder again, 0 records are missing." in host.log()
    until(lambda: counted(timeline(host)) == counted(host.log()), "nothing was lost")
    for one in pool.hosts:
        said = names(one.log())
        assert said.count("liveset-changed") == 1, "nobody was ever missed"
        for never in ("gap-noticed", "watchdog-expiring", "statefile-slow"):
            assert never not in said


def test_a_fence_leaves_its_reason_in_the_recorder_and_hosts_make_one_history(pool_of, tmp_path):
    pool = pool_of(3)
    pool.form()
    pool.network.part([0, 1], [2])
    loser = pool.hosts[2]
    assert loser.daemon.wait(60) == FENCED
    pool.wait_live([0, 1], [0, 1], 60)
    last = json.loads(timeline(loser, "--format=json", "--last=5"))["lines"]
    assert "self-fencing" in [line["name"] for line in last], last
    fence = next(line for line in last if line["name"] == "self-fencing")
    assert fence["level"] == "err" and fence["incarnation"] > 0
    copies = []
    for host in pool.hosts:
        copies.append(str(tmp_path / str(host.index)))
        shutil.copytree(host.path("/var/lib/xha"), copies[-1])
    shown = pool.hosts[0].must("timeline", "--format=json", *copies).out
    lines = json.loads(shown)["lines"]
    walls = [line["wall_ms"] for line in lines]
    assert walls == sorted(walls), "one clock, so the order of time is exact"
    assert {line["host"] for line in lines} == {"0", "1", "2"}
    at = [(line["host"], line["name"]) for line in lines]
    dropped = [index for index, line in enumerate(lines) if line["name"] == "liveset-changed"
               and line["host"] in ("0", "1") and line["fields"]["liveset"] == "110"]
    assert at.index(("2", "self-fencing")) < dropped[0]
    measured = timeline(pool.hosts[0], "--measurements")
    assert re.search(r"host 2: \d+ heartbeats, silent \d+ ms at most", measured)


def test_every_boot_is_shown_with_what_the_last_life_left(pool_of):
    """The machine "boots" with a boot id of its own; the daemon was killed before."""
    pool = pool_of(1)
    pool.initialise()
    host = pool.hosts[0]
    boots = []
    for life in range(3):
        boots.append(str(uuid.uuid4()))
        with open(host.path("/run/boot_id"), "w") as file:
            file.write(boots[-1] + "\n")
        host.door.must("mount", "--bind", "/run/boot_id", BOOT_ID)
        since = host.start("--enable-faults").started_at
        until(lambda: host.command("host-state").out == "Online\n", "it is online")
        pool.wait_live([0], [0], 40, since)
        count(host, life + 1)
        until(lambda: counted(timeline(host)) == list(range(1, life + 2)), "it is recorded")
        host.kill()
        host.door.must("umount", BOOT_ID)
    text = timeline(host)
    assert text.count("THE MACHINE WAS BOOTED ANEW") == 2
    assert counted(text) == [1, 2, 3]
    found = json.loads(timeline(host, "--format=json"))
    assert sorted(one["boot_id"] for one in found["recorders"]) == sorted(boots)
    assert [one["online"] for one in found["recorders"]] == [True] * 3
    shown = []
    for line in found["lines"]:
        if line["boot_id"] not in shown:
            shown.append(line["boot_id"])
    assert shown == boots
