"""The pool key is changed in the middle of whatever else happens to a pool.

Random stories, those of the campaign, into each of which requests for a new key are put at random
moments.  The invariants are checked after every event, that of the keys with them (``simkeys``);
and when all has healed, the change that was begun has ended: one key, the same on all hosts.
"""
import random
import re

import pytest

from xha import simrun
from xha.poolkey import SETTLED
from xha.simplan import Plan
from xha.simrun import Ending

_TIMED = re.compile(r"at ([0-9.]+) s: ")


def story(seed):
    """The lines of a random story with requests for a new key in it."""
    chance = random.Random("key {}".format(seed))
    lines = Plan(seed, 2, 5, False).lines
    hosts = int(re.match(r"pool of (\d+)", lines[0]).group(1))
    last_s = max([float(line.split()[1]) for line in lines if _TIMED.match(line)] or [0.0])
    for _ in range(chance.randrange(1, 5)):
        at_s = chance.uniform(0, last_s)
        asked = "at {:.3f} s: {} asks rotate-key".format(at_s, chance.choice(
            ["all", str(chance.randrange(hosts))]))
        later = [index for index, line in enumerate(lines)
                 if _TIMED.match(line) and float(line.split()[1]) > at_s]
        lines.insert(later[0] if later else next(
            (index for index, line in enumerate(lines) if line == "the pool forms again"),
            len(lines)), asked)
    return lines + ["300 s pass"]


def tell(lines):
    """How a story ends, and its pool."""
    pools = []
    return simrun.run(lines, made=pools.append), pools[0]


@pytest.mark.parametrize("seed", range(12))
def test_a_change_of_the_key_begun_at_any_moment_ends_well(seed):
    lines = story(seed)
    result, pool = tell(lines)
    assert result.ending is Ending.WELL, "{}\n{}".format(result.text, "\n".join(lines))
    rings = [host.view.ring for host in pool.hosts
             if host.view is not None and host.view.online and not host.runs_xhad]
    assert len(set(rings)) <= 1, lines
    assert all(ring.stage == SETTLED for ring in rings if ring is not None), lines
