"""The simulator: its language, its runs, its campaigns, what fails and how that is shortened."""

import pytest

from xha import cli, lifesigns, simcampaign, simreduce, simrun, simscript, timing
from xha.actions import Watchdog
from xha.simcheckers import Breach
from xha.simdeeds import ScriptError
from xha.simplan import Plan
from xha.simpool import QUICK, Pool, settings_of
from xha.simrun import Ending
from xha.simscript import Director


@pytest.fixture(name="simulate")
def simulate_command(capfd):
    """Run a command: its exit code, output and messages."""
    def run(*words):
        code = cli.main("xha.pyz", list(words))
        out, err = capfd.readouterr()
        return code, out, err
    return run


@pytest.fixture(name="careless")
def careless_survivors(monkeypatch):
    """Survivors that drop the dead at once, without any certainty."""
    monkeypatch.setattr(timing, "dead_wait_ms", lambda common, since_ms, extended: 1)
    monkeypatch.setattr(lifesigns, "uncertain_until_ms", lambda view, peer: -1)


#: The other side is cut off; it does not run, so it does not fence itself: its timers must.
DEADLY = ["pool of 3; Wh 30; Ws 30; started", "at 1 s: wall clock of 0 jumps by 5 s",
          "at 2 s: partition 0,1 | 2", "at 2 s: weight of 1 becomes 1",
          "at 3 s: host 2 freezes", "at 60 s: look"]


# ---- the language


@pytest.mark.parametrize("text, expected", [
    ("0", [0]), ("c", [2]), ("host-b", [1]), ("a,c", [0, 2]), ("a and b", [0, 1]),
    ("all", [0, 1, 2]), ("10.0.0.2", [1]), ("000000000000000000000000000000a2", [2]),
    ("00000000-0000-0000-0000-0000000000a0", [0])])
def test_a_host_is_named_by_index_letter_address_or_uuid(text, expected):
    assert Director(settings_of(3, QUICK)).hosts(text) == expected


@pytest.mark.parametrize("line, says", [
    ("host 3 crashes", "hosts 0 to 2"), ("host d crashes", "a to c"), ("crush 0", "no such"),
    ("at 1 s: at 2 s: look", "no such"), ("pool of 3; fast; started", "a pool has no fast")])
def test_a_line_that_cannot_be_understood_says_what_can(line, says):
    director = Director()
    director.obey("pool of 3")
    with pytest.raises(ScriptError) as refusal:
        director.obey(line)
    assert says in str(refusal.value)


def test_a_moment_that_is_past_is_refused():
    director = Director()
    for line in ("pool of 1", "at 10 s: look"):
        director.obey(line)
    with pytest.raises(ScriptError):
        director.obey("at 9 s: look")


def test_every_command_of_the_language_is_explained():
    text = simscript.language()
    for _, act in simscript.COMMANDS:
        first = (act.__doc__ or "").strip().split("\n")[0]
        assert first.split(":")[0] in text


def test_the_commands_of_a_file_are_without_comments_and_trace():
    assert simscript.commands_of(
        "# c\npool of 1; started\n\nat 1 s: look\nat    1.0 s  0       looks    x\nbreach: y\n"
    ) == ["pool of 1; started", "at 1 s: look"]


# ---- the checkers


def test_a_survivor_that_does_not_wait_is_a_breach(careless):
    result = simrun.run(DEADLY)
    assert result.ending is Ending.BREACH
    assert "host 2, which still runs" in result.text


def test_the_same_story_is_well_when_the_survivors_wait():
    assert simrun.run(DEADLY).ending is Ending.WELL


@pytest.mark.parametrize("watchdog", list(Watchdog))
def test_a_timer_that_moves_without_a_proof_is_a_breach(watchdog):
    pool = Pool(settings_of(2, QUICK))
    pool.form()
    host = pool.hosts[0]
    host.set_watchdog(watchdog, host.now_ms() + 1000)
    with pytest.raises(Breach):
        host.set_watchdog(watchdog, host.now_ms() + 9000)


def test_two_masters_are_a_breach():
    pool = Pool(settings_of(2, QUICK))
    pool.form()
    for host in pool.hosts:
        host.view.holding = True
    with pytest.raises(Breach):
        pool.run(2000)


def test_a_healthy_host_that_dies_in_a_healthy_majority_is_a_breach():
    pool = Pool(settings_of(3, QUICK))
    pool.form()
    pool.checkers.deaths.touched.add(2)
    pool.checkers.check_death(pool.hosts[2], "fenced")
    with pytest.raises(Breach):
        pool.checkers.check_death(pool.hosts[0], "fenced")


def test_a_pool_that_does_not_form_again_is_missed():
    result = simrun.run(["pool of 2; started", "network of 1 cut", "20 s pass",
                         "the pool forms again"])
    assert result.ending is Ending.LIVENESS


def test_a_core_that_fails_is_a_crash(monkeypatch):
    monkeypatch.setattr(lifesigns, "seen_lately", lambda view, now_ms, host: 1 // 0)
    result = simrun.run(["pool of 2; started", "host 1 crashes", "30 s pass"])
    assert result.ending is Ending.CRASH
    assert "ZeroDivisionError" in result.text and "test_simulate.py" in result.text


# ---- pools with xhad peers


def noted(result):
    return [(entry.host, entry.content) for entry in result.pool.history
            if entry.kind == "original"]


def test_a_fault_of_the_original_alone_is_noted_and_the_story_goes_on():
    result = simrun.run(["pool of 3; xhad 1; started", "host 1 stops", "30 s pass"])
    assert result.ending is Ending.WELL and result.at_ms - result.began_ms == 30000
    assert noted(result) == [
        (1, "the daemon of host 1 ended armed, and nothing resets the host")]


# wrong   the original's   ending           why
WRONG = [
    ((0, 1), (0, 1), Ending.WELL, "both run xhad: it is known to do that"),
    ((0, 1), (1,), Ending.WELL, "who came last is wrong, and runs xhad"),
    ((1, 0), (1,), Ending.BREACH, "who came last is wrong, and is one of ours"),
    ((0, 1), (2,), Ending.BREACH, "that another runs xhad excuses nobody"),
]


@pytest.mark.parametrize("holders, xhad, ending, why", WRONG, ids=[row[-1] for row in WRONG])
def test_who_of_two_masters_is_wrong_decides_whose_fault_it_is(holders, xhad, ending, why):
    def begin(pool):
        for number, index in enumerate(holders):
            pool.timeline.at(20000 + number, hold, pool, index)

    def hold(pool, index):
        pool.hosts[index].view.holding = True
        pool.checkers.check(pool.hosts[index])

    result = simrun.run(["pool of 3; xhad {}; started".format(",".join(map(str, xhad))),
                         "at 0 s: look", "30 s pass"], made=begin)
    assert result.ending is ending, result.text
    assert bool(noted(result)) is (ending is Ending.WELL)


def test_some_random_stories_have_xhad_peers_and_are_otherwise_the_same():
    heads = [Plan(seed, 2, 8).lines[0] for seed in range(100)]
    mixed = [head for head in heads if "; xhad " in head]
    assert 10 < len(mixed) < 30


@pytest.mark.parametrize("seed", [seed for seed in range(60)
                                  if "; xhad " in Plan(seed, 2, 4).lines[0]])
def test_a_pool_with_xhad_peers_keeps_the_promise_too(seed):
    result = simrun.run(Plan(seed, 2, 4).lines)
    assert result.ending is Ending.WELL, result.text


# ---- random stories


def test_a_seed_tells_one_story_and_another_seed_another():
    assert Plan(7, 1, 8).lines == Plan(7, 1, 8).lines != Plan(8, 1, 8).lines


@pytest.mark.parametrize("seed", range(40))
def test_a_story_lasts_three_minutes_and_ends_with_a_whole_pool(seed):
    lines = Plan(seed, 1, 8).lines
    assert lines[0].startswith("pool of ") and lines[0].endswith("; started")
    assert lines[-2:] == ["the pool forms again", "a master is elected"]
    assert lines[-3].endswith(": everything heals")
    assert float(lines[-3].split()[1]) >= 180


def test_what_is_told_does_not_depend_on_the_number_of_processes():
    one, two = (simcampaign.campaign(range(4), (1, 3), jobs, False, 0, lambda *facts: None,
                                        lambda told: None)
                for jobs in (1, 2))
    assert one._replace(wall_s=0) == two._replace(wall_s=0)
    assert one.runs == 4 and not one.failed


def test_a_failure_is_shortened_to_what_is_needed(careless):
    result = simrun.run(DEADLY)
    short = simreduce.Reduction(DEADLY, result.ending, result.text).go()
    assert simrun.run(short).ending is Ending.BREACH
    assert len(short) < len(DEADLY)
    assert not [line for line in short if "wall clock" in line or "weight" in line]


def test_a_setting_that_another_needs_stays_in_a_shortened_story(careless):
    story = ["pool of 3; t1 6; T1 30; Wh 30; Ws 30; started"] + DEADLY[1:-1] + ["at 120 s: look"]
    result = simrun.run(story)
    assert result.ending is Ending.BREACH
    short = simreduce.Reduction(story, result.ending, result.text).go()
    assert simrun.run(short).ending is Ending.BREACH


def test_a_host_is_left_out_of_a_story():
    story = ["pool of 3; weights 1,2,3; xhad 1,2; started", "at 1 s: partition 0,1 | 2",
             "at 2 s: link 0-2 cut", "at 3 s: 0,1 ask propose-master", "at 4 s: host 1 crashes",
             "at 5 s: network from 0 to 2 takes 10 ms"]
    assert simreduce.without_host(story, 1) == [
        "pool of 2; weights 1,3; xhad 1; started", "at 1 s: partition 0 | 1",
        "at 2 s: link 0-1 cut", "at 3 s: 0 ask propose-master",
        "at 5 s: network from 0 to 1 takes 10 ms"]


# ---- the commands


def test_a_campaign_that_ends_well_is_0(simulate):
    code, out, _ = simulate("simulate", "--runs=2", "--hosts=1-2", "--jobs=1")
    assert code == 0
    assert out.startswith("2 runs, 0 failed")


def test_a_breach_is_2_with_the_line_that_repeats_it(simulate, careless):
    code, out, _ = simulate("simulate", "--first=0", "--runs=60", "--hosts=3", "--jobs=1")
    assert code == 2
    assert "again: xha.pyz simulate --seed=" in out
    assert "reduced" in out


def test_a_scenario_that_misses_its_liveness_is_3(simulate, tmp_path):
    path = tmp_path / "story"
    path.write_text("pool of 2; started\nnetwork of 1 cut\n20 s pass\nthe pool forms again\n")
    code, _, _ = simulate("simulate", "--scenario={}".format(path))
    assert code == 3


def test_a_core_that_fails_is_127(simulate, monkeypatch):
    monkeypatch.setattr(lifesigns, "seen_lately", lambda view, now_ms, host: 1 // 0)
    code, _, _ = simulate("what-if", "--hosts=2", "crash b")
    assert code == 127


@pytest.mark.parametrize("words", [
    ("what-if", "--hosts=3", "cut the network"), ("what-if", "--hosts=65", "crash a"),
    ("what-if",), ("simulate", "--seed=x"), ("simulate", "--hosts=8-1"), ("simulate", "--runs=0"),
    ("simulate", "--scenario=/nonexistent"), ("what-if", "--hosts=3", "--format=xml", "crash a")])
def test_what_cannot_be_understood_is_1(simulate, words):
    code, out, err = simulate(*words)
    assert (code, out) == (1, "")
    assert err.startswith("xha.pyz " + words[0])


@pytest.mark.parametrize("story", [
    "pool of 0", "pool of 65", "pool of 3; T x", "pool of 3; clocks a", "pool of 2; weights 0,x",
    "pool of 2; seed -1", "pool of 3; xhad 3", "pool of 3; xhad",
    "pool of 2; started now", "pool of 2\nat 1.2.3 s: look",
    "pool of 2\n.. s pass", "pool of 2\nwall clock of a jumps by --1 s"])
def test_a_story_with_a_wrong_number_is_1(simulate, tmp_path, story):
    path = tmp_path / "story"
    path.write_text(story + "\n")
    code, out, err = simulate("simulate", "--scenario={}".format(path))
    assert (code, out) == (1, "")
    assert "bug" not in err


def test_what_if_needs_a_configuration_or_a_number_of_hosts(simulate, tmp_path):
    code, _, err = simulate("what-if", "--config={}".format(tmp_path / "none"), "crash a")
    assert code == 6
    assert "none" in err


def test_a_seed_is_told_whole_and_twice_the_same(simulate):
    told = [simulate("simulate", "--seed=3", "--hosts=1-2") for _ in range(2)]
    assert told[0] == told[1]
    assert told[0][0] == 0
    assert told[0][1].splitlines()[-1].startswith("digest ")
