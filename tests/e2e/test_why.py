"""`why` after real incidents of real daemons: on the host that was reset, on a survivor, and
from copied files.

A host of the rig "boots" when its kernel shows another boot id.  Times of the pool: T1, T2 and
Wh are 5 s, Ws is 8 s.
"""

import json
import os
import shutil
import time
import uuid

import pytest

from rig.host import FENCED, GENERATION_UUID

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def boot(host):
    """The machine boots anew: its kernel has another boot id, and /run is empty."""
    with open(host.path("/run/boot_id"), "w") as file:
        file.write(str(uuid.uuid4()) + "\n")
    host.door.must("mount", "--bind", "/run/boot_id", BOOT_ID)
    shutil.rmtree(host.path("/run/xha"), ignore_errors=True)


def ask(host, *words):
    """What `why` says on that host: the text, and the incident of the JSON."""
    options = ("why", "--config=" + host.config) + words
    text = host.must(*options)
    assert text.err == ""
    assert all(len(line) <= 80 for line in text.out.splitlines())
    found = json.loads(host.must(*(options + ("--format=json",))).out)
    return text.out, found["incident"]


def copies(pool, folder):
    """The recorders of all hosts, copied to a third machine."""
    made = []
    for host in pool.hosts:
        made.append(str(folder / "host-{}".format(host.index)))
        shutil.copytree(host.path("/var/lib/xha"), made[-1])
    return made


def names_of(incident):
    """The messages of the sequence."""
    return [line["name"] for line in incident["lines"]]


def test_a_host_that_was_cut_off_is_explained_by_itself_by_a_survivor_and_from_copies(
        pool_of, tmp_path):
    pool = pool_of(3)
    pool.form()
    pool.network.part([0, 1], [2])
    assert pool.hosts[2].daemon.wait(60) == FENCED
    pool.wait_live([0, 1], [0, 1], 60)
    boot(pool.hosts[2])
    text, incident = ask(pool.hosts[2])
    assert (incident["host"], incident["cause"]) == (2, "cut-off"), text
    assert incident["path"] == "heartbeat network" and incident["code"] == "no-survival-rule"
    assert "self-fencing" in names_of(incident)
    text, incident = ask(pool.hosts[0])
    # The words are on the State-File, with whom it heard.
    assert (incident["host"], incident["cause"]) == (2, "cut-off"), text
    assert incident["survivors"] == [0]
    for asker in pool.hosts:
        text, incident = ask(asker, *copies(pool, tmp_path / str(asker.index)))
        assert (incident["host"], incident["cause"]) == (2, "cut-off"), text
        assert incident["survivors"] == [0, 1]
        drop = incident["dropped_wall_ms"]
        assert incident["wall_ms"] < drop < incident["wall_ms"] + 30000
        offsets = [line["offset_ms"] for line in incident["lines"]]
        assert offsets == sorted(offsets)


def test_a_daemon_that_was_killed_armed_is_named_once_a_start_was_refused(pool_of, tmp_path):
    # Time enough to ask, and to start, before the timers run out.
    pool = pool_of(3, watchdog="USER", Wh=30, Ws=30)
    pool.form()
    victim = pool.hosts[1]
    victim.kill()
    text, incident = ask(victim)
    assert (incident["host"], incident["cause"]) == (1, "about-to-be-reset"), text
    refused = victim.start()
    assert refused.wait(30) == 4
    pool.wait_live([0, 2], [0, 2], 120)
    boot(victim)
    text, incident = ask(victim)
    assert (incident["host"], incident["cause"]) == (1, "killed"), text
    assert "Killed process" in incident["advice"]
    text, incident = ask(pool.hosts[0])
    assert (incident["host"], incident["cause"]) == (1, "silent-on-both"), text
    assert any("No recorder of host 1" in limit for limit in incident["limits"])
    text, incident = ask(pool.hosts[2], *copies(pool, tmp_path))
    assert (incident["host"], incident["cause"]) == (1, "killed"), text


def test_a_state_file_that_hangs_is_the_path_that_is_named(pool_of, tmp_path):
    pool = pool_of(3)
    pool.form()
    pool.disk.fault([2], "hang", "rw")
    pool.hosts[2].daemon.wait(60)
    pool.wait_live([0, 1], [0, 1], 60)
    boot(pool.hosts[2])
    began = time.monotonic()
    text, incident = ask(pool.hosts[2])
    assert time.monotonic() - began < 30, "a State-File that hangs is given up"
    assert incident["host"] == 2 and incident["path"] == "State-File", text
    assert any("State-File" in limit for limit in incident["limits"]), "and that is said"
    text, incident = ask(pool.hosts[0])
    assert incident["host"] == 2 and incident["path"] == "State-File", text
    text, incident = ask(pool.hosts[1], *copies(pool, tmp_path))
    assert incident["host"] == 2 and incident["path"] == "State-File", text
    assert incident["cause"] in ("statefile-timer", "storage-lost")


def test_a_start_that_is_refused_names_the_rule_with_or_without_a_recorder(pool_of):
    pool = pool_of(2)
    pool.form()
    host = pool.hosts[1]
    host.must("disarm-fencing")
    host.stop()
    with open(host.config) as file:
        text = file.read()
    with open(host.config, "w") as file:
        file.write(text.replace(GENERATION_UUID, "0f0f0f0f-aaaa-4bbb-8ccc-00000000ffff"))
    assert host.start().wait(30) == 10
    text, incident = ask(host)
    assert (incident["host"], incident["cause"], incident["code"]) == (1, "generation", "10"), text
    assert "GenerationUUID" in incident["advice"]
    with open(host.config, "w") as file:
        file.write("<xhad-config version='1.0'><common-config/>")
    assert host.start().wait(30) == 7
    text, incident = ask(host)
    assert (incident["cause"], incident["code"]) == ("configuration", "7"), text


@pytest.mark.parametrize("gone", ["recorder", "recorder, State-File and configuration"])
def test_what_is_left_is_enough_for_an_answer_or_it_says_what_is_missing(pool_of, gone):
    pool = pool_of(2)
    pool.form()
    host = pool.hosts[1]
    pool.network.part([0], [1])
    assert host.daemon.wait(60) == FENCED
    shutil.rmtree(host.path("/var/lib/xha"))
    if gone != "recorder":
        pool.disk.fault([1], "fail", "rw")
        os.unlink(host.config)
    text, incident = ask(host)
    assert (incident["host"], incident["cause"]) == (1, "cut-off"), "the log tells: " + text
    assert any("flight recorder" in limit for limit in incident["limits"])
    os.unlink(host.path("/var/log/xha.log"))
    answer = host.command("why", "--config=" + host.config)
    if gone == "recorder":
        assert answer.code == 0 and "host 1" in answer.out.lower(), "its words on the State-File"
    else:
        assert answer.code == 2 and answer.err.count("\n") == 1, answer
        assert answer.err.startswith("xha.pyz why: there is nothing to go by: ")
