"""Every script in every state of a host: what xapi is told.

``TABLE`` was written from spec 6 before anything was run: a row for each
script, a column for each state, and in a cell the exit code, what is printed
(after a colon; nothing where nothing stands), and ``!`` where the state ends
with it.  Cells without ``!`` leave the state as it was, and are tried one
after the other on one host; each with ``!`` gets a host of its own.  In states
without a daemon every cell finds the same State-File, and a script that
refuses must not have changed a byte of it.

Why a cell is as it is, where the row and the column do not say it:

* blank: what is no global record is "invalid State-File contents", 9.
* generation: only ``init`` may change a State-File of another pool.
* starting: a daemon answers, so it is 15 and 17; the pool state is init, so 11.
* rejoining: the same in a pool that is active.
* lost: the State-File is lost to all, under survival rule 2.  What must be
  written there is not written in time: 3, and it stays wanted.  An election
  needs the State-File: FALSE (spec 12).
* killed, stopped: the daemon ended armed; its timers run, and only a start cares: 4.
* nobody: whoever is not root gets 16, whatever the state, and changes nothing.
"""

import pytest

from rig import xapi
from rig.livesetxml import both
from rig.stateformat import ACTIVE, INVALID, excluded
from rig.xapi import at_once

TABLE = """
                           blank init active invalid excluded unreadable generation
ha_query_liveset           14    14   14     14      14       14         14
ha_propose_master          14    14   14     14      14       14         14
ha_disarm_fencing          14    14   14     14      14       14         14
ha_set_pool_state init     0     0    0      0       0        8          0
ha_set_pool_state active   9     0    0      11      0        8          10
ha_set_pool_state invalid  9     0    0      0       0        8          10
ha_set_excluded            9     11   0      11      0        8          10
ha_clear_excluded          9     11   0      11      0        8          10
ha_set_host_weight vm 7    0     0    0      0       0        0          0
ha_stop_daemon             0     0    0      0       0        0          0
ha_start_daemon            9     0!   0!     11      0!       8          10
ha_null                    0     0    0      0       0        0          0

                           no-config bad-config killed stopped nobody starting   rejoining
ha_query_liveset           14        14         14     14      16     0:Starting 0:Starting
ha_propose_master          14        14         14     14      16     17         17
ha_disarm_fencing          14        14         14     14      16     17         17
ha_set_pool_state init     6         7          0      0       16     15         15
ha_set_pool_state active   6         7          0      0       16     0!         0
ha_set_pool_state invalid  6         7          0      0       16     0!         0!
ha_set_excluded            6         7          0      0       16     11         0!
ha_clear_excluded          6         7          0      0       16     11         0
ha_set_host_weight vm 7    0         0          0      0       16     0          0
ha_stop_daemon             0         0          0      0       16     0!         0!
ha_start_daemon            6         7          4      4       16     15         15
ha_null                    0         0          0      0       0      0          0

                           online   lost     disarmed
ha_query_liveset           0:Online 0:Online 0:Online
ha_propose_master          0:TRUE   0:FALSE  0:TRUE
ha_disarm_fencing          0!       0!       0
ha_set_pool_state init     15       15       15
ha_set_pool_state active   0        3!       0
ha_set_pool_state invalid  0!       3!       0!
ha_set_excluded            0!       3!       0!
ha_clear_excluded          0        3!       0
ha_set_host_weight vm 7    0        0        0
ha_stop_daemon             0!       0!       0!
ha_start_daemon            15       15       15
ha_null                    0        0        0
"""


def cells():
    """{state: [(script with arguments, expected)]}, in the table's order."""
    found = {}
    for part in TABLE.strip("\n").split("\n\n"):
        states, lines = part.split("\n")[0].split(), part.split("\n")[1:]
        for line in lines:
            expected = line[27:].split()
            assert len(expected) == len(states), line
            for state, cell in zip(states, expected):
                found.setdefault(state, []).append((line[:27].strip(), cell))
    return found


CELLS = cells()
LASTING = {state: [row for row in rows if not row[1].endswith("!")]
           for state, rows in CELLS.items()}
ENDING = [(state, script, cell[:-1]) for state, rows in CELLS.items() for script, cell in rows
          if cell.endswith("!") and cell != "3!"]
WAITING = [script for script, cell in CELLS["lost"] if cell == "3!"]
EXCLUDING = ["ha_set_excluded"]


def check(result, cell, script):
    """The result is what the cell says."""
    code, _, said = cell.partition(":")
    assert result.code == int(code), (script, result)
    if said in ("Starting", "Online"):
        assert both(result.out).status == said
    else:
        assert result.out.strip() == said, (script, result)


def test_the_table_is_about_every_script_that_is_installed(stage_in):
    stage = stage_in("blank")
    names = stage.dom0.host.door.must("ls", "/usr/libexec/xapi/cluster-stack/xhad").out.split()
    ours = {script.split()[0] for rows in CELLS.values() for script, _ in rows}
    assert {name for name in names if name.startswith("ha_")} == ours
    assert all(len(rows) == len(CELLS["blank"]) for rows in CELLS.values())


@pytest.mark.parametrize("state", list(CELLS))
def test_what_leaves_the_state_as_it_is(stage_in, state):
    stage = stage_in(state)
    before = stage.image
    present = state in ("starting", "rejoining", "online", "lost", "disarmed", "nobody")
    for script, cell in LASTING[state]:
        result = stage.run(script)
        check(result, cell, script)
        if not present:
            if result.code and script != "ha_start_daemon":
                assert stage.image == before, script
            stage.restore(before)
    stage.user = ()
    assert stage.xapi.present() == present


def ended(stage, script):
    """Whether what the script promised shows, to xapi and on the State-File."""
    if script == "ha_start_daemon":
        return stage.pool_state == ACTIVE and not excluded(stage.pool.disk.peek(1)) and (
            stage.xapi.query().status == "Online")
    if script == "ha_disarm_fencing":
        return stage.run("ha_stop_daemon").err == ""        # no word of an armed host
    if script.endswith("active"):
        return stage.pool_state == ACTIVE and stage.xapi.present()
    if script == "ha_clear_excluded":
        return not excluded(stage.pool.disk.peek(1)) and stage.xapi.present()
    promised = {"ha_set_pool_state invalid": lambda: stage.pool_state == INVALID,
                "ha_set_excluded": lambda: excluded(stage.pool.disk.peek(1)) == 1,
                "ha_stop_daemon": lambda: True}
    return promised[script]() and not stage.xapi.present()


#: With what a start ends that waits when this is done.
ENDS_OF_A_START = {"ha_stop_daemon": 3, "ha_set_pool_state invalid": 11, "ha_set_excluded": 19}


@pytest.mark.parametrize("state, script, cell", ENDING,
                         ids=["{}-{}".format(*row).replace(" ", "-") for row in ENDING])
def test_what_ends_the_state(stage_in, state, script, cell):
    stage = stage_in(state)
    check(stage.run(script), cell, script)
    stage.until(lambda: ended(stage, script), "it shows")
    if stage.begun is not None and script in ENDS_OF_A_START:
        assert stage.begun().code == ENDS_OF_A_START[script]


@pytest.mark.parametrize("scripts", [
    [script for script in WAITING if script not in EXCLUDING], EXCLUDING], ids=["pool", "host"])
def test_what_a_lost_state_file_does_not_take_is_still_wanted(stage_in, scripts):
    """Each on a host of its own, for each waits for as long as it may."""
    stage = stage_in("blank", count=len(scripts))
    hosts = tuple(range(len(scripts)))
    xapi.enable(stage.xapis)
    stage.pool.disk.fault(hosts, "hang")
    stage.until(lambda: all(one.query().warnings["statefile_lost"] for one in stage.xapis),
                "survival rule 2")
    results = at_once(lambda one: one.run(*scripts[one.host.index].split()), stage.xapis)
    assert [result.code for result in results] == [3] * len(scripts), results
    assert [one.query().having("liveness") for one in stage.xapis] == [hosts] * len(scripts)
    stage.pool.disk.fault(hosts, "ok")
    if scripts == EXCLUDING:
        stage.until(lambda: excluded(stage.pool.disk.peek(1)) == 1, "it is excluded")
    else:
        stage.until(lambda: stage.pool_state == INVALID, "the pool state is invalid")
    stage.until(lambda: not any(one.present() for one in stage.xapis), "all daemons end")
