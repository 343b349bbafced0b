"""What may lie on the disk instead of a record, and what a pool makes of it.

Writes torn at every 512 bytes, records in each other's place, those of another pool, those of
an earlier day.  (Each bit of a sealed record flipped, one at a time, all 32 768 of them, is in
test_sfformat.)  First what is read of it; then whole pools, in which it happens to a record of a
host that is dead, of one that lives, and to the global record: nobody dies of it, nobody who is
dead comes back by it, and what is damaged is mended.
"""

import format_samples as samples
import pytest

from xha import hbformat, sfformat, simpool
from xha.hostset import HostSet
from xha.published import Fault, PoolState
from xha.sealformat import SealState
from xha.simpool import QUICK, Pool, settings_of

HOST = samples.HOST
GLOBAL = samples.GLOBAL

#: Two records that a host writes one after the other, and two of the pool.
EARLIER, LATER = [sfformat.encode_host(content) for content in (HOST, HOST._replace(
    sequence=HOST.sequence + 1, since_heartbeat_ms=(77,) * 64,
    seal=HOST.seal._replace(written_at_wall_ms=HOST.seal.written_at_wall_ms + 4000)))]
EARLIER_GLOBAL, LATER_GLOBAL = [sfformat.encode_global(content) for content in (
    GLOBAL._replace(pool_state=PoolState.INIT), GLOBAL._replace(master="c" * 32))]

BOUNDARIES = list(range(512, 4096, 512))


def torn(first, second, at):
    """The beginning of one and the end of the other."""
    return first[:at] + second[at:]


# ---- what is read


@pytest.mark.parametrize("at", BOUNDARIES)
@pytest.mark.parametrize("first, second", [(EARLIER, LATER), (LATER, EARLIER)],
                         ids=["the end is new", "the beginning is new"])
def test_a_torn_record_of_a_host_is_damage_or_what_an_xhad_leaves(first, second, at):
    """Torn between base and seal it looks as if an xhad had written the base: nothing in the
    seal is believed then, and its host proves nothing by it."""
    data = torn(first, second, at)
    section = sfformat.section_of_host(data, HOST.host_index)
    if data[:1024] == first[:1024] and at <= 1024:
        assert section.fault is Fault.NONE
        assert sfformat.seal_state(data) is SealState.STALE
        assert section.content.seal is None
        assert section.content == sfformat.decode_host(first)._replace(seal=None)
    elif data in (first, second):
        assert section.content.seal is not None
    else:
        assert section.fault is Fault.CORRUPT


@pytest.mark.parametrize("at", BOUNDARIES)
@pytest.mark.parametrize("first, second", [
    (EARLIER_GLOBAL, LATER_GLOBAL), (LATER_GLOBAL, EARLIER_GLOBAL)],
    ids=["the end is new", "the beginning is new"])
def test_a_torn_global_record_is_damage_or_one_of_the_two(first, second, at):
    """Its base is within the first 512 bytes: what is read is never a mixture, and has the key."""
    section = sfformat.section_of_global(torn(first, second, at))
    if section.fault is Fault.NONE:
        found, whole = section.content, sfformat.decode_global(first)
        assert found._replace(seal=whole.seal) == whole
        assert found.pool_key == samples.KEY
    else:
        assert section.fault is Fault.CORRUPT and at > 1024


SWAPPED = [
    # section, bytes,           why
    (0,        EARLIER,         "a host's record in the place of the global one"),
    (3,        EARLIER_GLOBAL,  "the global record in a host's place"),
    (2,        EARLIER,         "a host's record in another's place"),
    (3,        bytes(4096),     "zeros"),
    (0,        bytes(4096),     "zeros in the place of the global record"),
    (3,        EARLIER[512:] + EARLIER[:512],   "a record that begins a sector early"),
    (3,        hbformat.encode(samples.HEARTBEAT, samples.KEY).ljust(4096, b"\0"), "a heartbeat"),
]


@pytest.mark.parametrize("section, data, why", SWAPPED, ids=[row[-1] for row in SWAPPED])
def test_what_is_in_a_wrong_place_is_damage(section, data, why):
    assert HOST.host_index == 2
    found = (sfformat.section_of_host(data, section - 1) if section
             else sfformat.section_of_global(data))
    assert found.fault is Fault.CORRUPT and found.content is None


# ---- what a pool makes of it


class Damaged:
    """A pool of three that has formed, of which the records were copied from time to time."""

    def __init__(self, dead):
        self.pool = Pool(settings_of(3, QUICK), 7)
        self.past = []
        self.pool.form()
        for _ in range(4):
            self.past.append(list(self.pool.disk.sections))
            self.pool.run(1300)
        self.live = HostSet((0, 1, 2))
        if dead:
            self.pool.hosts[2].crash()
            self.live = HostSet((0, 1))
            self.pool.run_until(self.settled, 30000)
        other = Pool(settings_of(3, QUICK), 8)
        other.initial = other.initial._replace(generation_uuid="9" * 32)
        self.others = [sfformat.encode_global(other.initial)] + [
            self._of_another_pool(data) for data in self.pool.disk.sections[1:4]]

    @staticmethod
    def _of_another_pool(data):
        """A later record of a host with the same index, sealed and whole."""
        content = sfformat.decode_host(data)
        return sfformat.encode_host(content._replace(
            host_uuid="b" * 32, sequence=content.sequence + 100,
            seal=content.seal._replace(incarnation=content.seal.incarnation + 100)))

    def settled(self):
        return all(self.pool.hosts[host].view is not None
                   and self.pool.hosts[host].view.liveset == self.live for host in self.live)

    def is_good(self, section):
        data = self.pool.disk.sections[section]
        found = sfformat.section_of_host(data, section - 1) if section else (
            sfformat.section_of_global(data))
        return found.fault is Fault.NONE


#: what takes the place of a section, why
DAMAGES = [
    (lambda world, at: world.past[0][at], "a record of an earlier day"),
    (lambda world, at: world.past[0][3 - at] if at else world.past[0][2], "another's record"),
    (lambda world, at: world.others[at], "a record of another pool"),
    (lambda world, at: world.pool.blank, "a record as it was initialised"),
    (lambda world, at: bytes(4096), "zeros"),
    (lambda world, at: samples.flipped(world.pool.disk.sections[at], 8 * 700), "a flipped bit"),
] + [(lambda world, at, cut=cut: torn(world.past[-1][at], world.past[-2][at], cut),
      "torn at {}".format(cut)) for cut in (512, 1024, 1536, 3584)]

SECTIONS = [
    # section, dead, why
    (3, True, "the record of a dead host"), (3, False, "the record of a host that lives"),
    (0, False, "the global record"),
]


CASES = [(section, dead, damage, whose + ": " + what)
         for section, dead, whose in SECTIONS for damage, what in DAMAGES
         if (section, what) != (0, "a record of another pool")]


@pytest.mark.parametrize("section, dead, damage, why", CASES, ids=[row[-1] for row in CASES])
def test_nobody_dies_of_it_nobody_returns_by_it_and_it_is_mended(
        section, dead, damage, why):
    world = Damaged(dead)
    before = len(world.pool.history)
    world.pool.disk.sections[section] = damage(world, section)
    for _ in range(14):
        world.pool.run(1000)
        assert world.settled(), [entry for entry in world.pool.history[before:]]
    assert {entry.kind for entry in world.pool.history[before:]} <= {"log"}
    assert world.is_good(section)
    key = sfformat.decode_global(world.pool.disk.sections[0])
    assert key.pool_key == world.pool.initial.pool_key
    assert key.generation_uuid == simpool.GENERATION
    assert key.pool_state is PoolState.ACTIVE


def test_a_global_record_of_another_pool_ends_all_daemons_and_is_left_alone():
    """It is intact, and says that the disk is not this pool's any more: spec 3.  The hosts are
    armed, and are reset by the timers that are left."""
    world = Damaged(False)
    before = len(world.pool.history)
    # The checker of deaths knows no reason for these.
    world.pool.checkers.check_death = lambda *words: None
    world.pool.disk.sections[0] = world.others[0]
    world.pool.run(14000)
    ends = [(entry.host, entry.kind) for entry in world.pool.history[before:]
            if entry.kind in ("ended", "reset")]
    assert sorted(ends) == sorted((host, kind) for host in range(3) for kind in ("ended", "reset"))
    assert world.pool.disk.sections[0] == world.others[0]
