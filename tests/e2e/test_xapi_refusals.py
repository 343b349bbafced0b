"""What else xapi can be told: the other ends of a start, wrong usage, and what hangs.

Together with the table of ``test_xapi_states.py`` every code that xapi knows
is given at least once.
"""

import signal

import pytest

from rig.stateformat import ACTIVE, excluded
from rig.xapi import CODES, at_once
from test_xapi_states import CELLS, ENDS_OF_A_START


HANGING = ["ha_start_daemon", "ha_set_pool_state init", "ha_set_pool_state active",
           "ha_set_pool_state invalid", "ha_set_excluded", "ha_clear_excluded"]


def test_no_script_hangs_on_a_state_file_that_does(stage_in):
    """Each on a host of its own, for each waits for as long as it may."""
    stage = stage_in("active", count=len(HANGING))
    stage.pool.disk.fault(range(len(HANGING)), "hang")
    results = at_once(lambda one: one.run(*HANGING[one.host.index].split()), stage.xapis)
    for script, result in zip(HANGING, results):
        assert result.code == 8 and "State-File" in result.err, (script, result)
    for one in stage.xapis:
        assert one.run("ha_stop_daemon").code == 0 and not one.present()


# What else a start can end with

def no_host_comes(stage):
    """HA is being enabled, and the other hosts do not start."""
    stage.init()


def out_of_reach(stage):
    """After a loss of power all start, and the network of one stays dead."""
    stage.active()
    stage.pool.network.isolate(0)
    stage.others = at_once(lambda one: one.begin("ha_start_daemon"), stage.xapis[1:])


def left_on_purpose(stage):
    """This host was shut down; the others were not, and do not run."""
    stage.active()
    stage.xapi.call("ha_set_excluded")


def no_licence(stage):
    """dom0's licence check says no."""
    stage.init()
    stage.dom0.write("/opt/xensource/libexec/xha-lc", "#!/bin/sh\nexit 1\n", 0o755)


def no_interface(stage):
    """The network interface of the configuration is not there."""
    stage.init()
    stage.change_config(">eth0<", ">eth7<")


def writes_hang(stage):
    """The State-File can be read, and what this host writes is never answered."""
    stage.active()
    stage.pool.disk.fault([0], "hang", "w")


STARTS = [
    (12, no_host_comes), (13, out_of_reach), (18, left_on_purpose), (5, no_licence),
    (2, no_interface), (8, writes_hang),
]


@pytest.mark.parametrize("code, prepare", STARTS, ids=[row[-1].__name__ for row in STARTS])
def test_what_else_a_start_ends_with(stage_in, code, prepare):
    stage = stage_in("blank", count=3, Tboot=12, Tenable=6)
    prepare(stage)
    result = stage.run("ha_start_daemon")
    assert result.code == code, result
    assert not stage.xapi.present()
    for other in stage.others:
        assert other().code == 0


WRONG = [
    "ha_set_pool_state", "ha_set_pool_state none", "ha_set_pool_state 77",
    "ha_set_pool_state active invalid", "ha_query_liveset more", "ha_propose_master --later",
    "ha_disarm_fencing now", "ha_set_excluded 1", "ha_clear_excluded 1", "ha_stop_daemon now",
    "ha_set_host_weight", "ha_set_host_weight vm", "ha_set_host_weight vm many",
    "ha_set_host_weight vm 65536", "ha_set_host_weight native 2", "ha_start_daemon --quickly",
]


@pytest.mark.parametrize("state", ["active", "online"])
def test_wrong_usage_is_refused_in_any_state(stage_in, state):
    stage = stage_in(state)
    for script in WRONG:
        assert stage.run(script).code == 1, script
    assert stage.pool_state == ACTIVE and not excluded(stage.pool.disk.peek(1))
    assert stage.xapi.present() == (state == "online")


#: What a daemon is asked that does not answer; those that wait for the State-File or for an
#: election wait for some minutes.
PROMPT = [("ha_query_liveset", 3), ("ha_disarm_fencing", 3), ("ha_set_pool_state init", 15),
          ("ha_start_daemon", 15), ("ha_set_host_weight vm 7", 3)]


def test_no_prompt_script_hangs_on_a_daemon_that_does(stage_in):
    stage = stage_in("online")
    stage.dom0.signal_daemon(signal.SIGSTOP)
    ends = [stage.xapi.begin(*script.split()) for script, _ in PROMPT]
    results = [end() for end in ends]
    for (script, code), result in zip(PROMPT, results):
        assert result.code == code, (script, result)


def test_every_code_that_xapi_knows_was_given():
    """But that of a bug."""
    given = {int(cell.rstrip("!").partition(":")[0]) for rows in CELLS.values()
             for _, cell in rows}
    given |= {code for code, _ in STARTS} | set(ENDS_OF_A_START.values()) | {1}
    assert given == set(CODES) - {127}
