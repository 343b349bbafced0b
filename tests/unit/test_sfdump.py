"""Dumps of State-Files: the original's layout, text, JSON and differences."""

import json

import format_samples as samples
import pytest

from xha import config, judgekey, sfdump, sfformat
from xha.poolkey import Ring
from xha.published import BLANK_RECORD, Configuration
from xha.sfdump import Image

MARK = judgekey.marked(Ring(step=0, key=samples.KEY, also=None).mark)


def image_of(sections, path="image"):
    return Image(path=path, size_bytes=4096 * len(sections), sections=tuple(sections))


def recorded(name):
    return image_of(samples.image(name))


def ours():
    """A State-File as xha leaves it: host 0 initialised only, 1 rewritten by xhad, 2 sealed."""
    initialised = sfformat.encode_host(BLANK_RECORD)
    sealed = sfformat.encode_host(samples.HOST)
    other = samples.HOST._replace(host_index=1, seal=None, current_liveset=samples.HostSet([1]))
    return [sfformat.encode_global(samples.GLOBAL), initialised,
            sfformat.encode_host(other)[:1024] + sealed[1024:], sealed] + [initialised] * 61


CONFIG = config.parse(samples.text("xhad_host0.conf").encode("ascii"))


@pytest.mark.parametrize("name", samples.IMAGES)
def test_the_originals_layout_is_reproduced_to_the_letter(name):
    assert sfdump.as_original(recorded(name)) == samples.text("sf_{}.dump.txt".format(name))


def test_the_originals_layout_shows_raw_numbers_of_damaged_records():
    sections = samples.image("master1")
    sections[2] = b"\xff" * 4096
    shown = sfdump.as_original(image_of(sections))
    assert "  host[ 1].sig = 0xffffffff(????)\n" in shown
    assert "  host[ 1].since_last_hb_receipt[ 2] = -1\n" in shown
    assert "  host[ 2].sequence = 10\n" in shown


def test_the_originals_layout_of_what_cannot_be_read():
    sections = samples.image("master1")
    sections[1] = "Input/output error"
    assert "  host[ 0]: Input/output error\n" in sfdump.as_original(image_of(sections))
    assert sfdump.as_original(image_of(["no"] * 65)).startswith("  global: no\n")


def test_a_global_record_that_claims_a_million_hosts_shows_what_there_is():
    sections = samples.image("master1")
    sections[0] = sections[0][:96] + b"\x40\x42\x0f\0" + sections[0][100:]
    shown = sfdump.as_original(image_of(sections))
    assert "config_hosts = 1000000\n" in shown
    assert "  host[63].sequence = 0\n" in shown


def test_the_configuration_that_a_host_goes_by_is_shown():
    """Source: spec 9, dump-statefile: every field."""
    said = Configuration(fingerprint=0xAB, times_ms=(1500, 5000, 1000, 5000, 5000, 8000, 45000,
                                                     20000))
    sections = ours()
    sections[3] = sfformat.encode_host(samples.HOST._replace(
        seal=samples.HOST.seal._replace(configuration=said)))
    told = json.loads(sfdump.as_json(image_of(sections)))["hosts"][2]["seal"]["configuration"]
    assert told == {"fingerprint": "00000000000000ab", "times_ms": {
        "t1": 1500, "T1": 5000, "t2": 1000, "T2": 5000, "Wh": 5000, "Ws": 8000, "Tboot": 45000,
        "Tenable": 20000}}
    assert ("00000000000000ab: t1 1.5, T1 5, t2 1, T2 5, Wh 5, Ws 8, Tboot 45, Tenable 20 s"
            in " ".join(sfdump.as_text(image_of(sections)).split()))


def test_json_names_every_field():
    found = json.loads(sfdump.as_json(image_of(ours())))
    assert found["version"] == 1
    assert found["bytes"] == 266240
    assert found["global"] == {
        "state": "sealed", "checksum": "0x41a02bc6", "pool_state": "active", "host_count": 3,
        "generation_uuid": "0f0f0f0f-aaaa-4bbb-8ccc-00000000d00d",
        "master": "10000001-1111-4222-8333-000000000001",
        "pool_key_fingerprint": "630dcd2966c43366", "pool_key_changes": 0,
        "pool_key_stage": "settled", "other_key_fingerprint": None,
        "pool_key_mark": MARK,
        "origin": {"initialised_by": "10000000-1111-4222-8333-000000000000",
                   "initialised_at": "2023-11-14T22:13:20Z", "software": "xha 1.0.0"}}
    assert [host["state"] for host in found["hosts"]] == ["unsealed", "rewritten", "sealed"]
    assert [host["index"] for host in found["hosts"]] == [0, 1, 2]
    host = found["hosts"][2]
    assert host["host_uuid"] == "10000002-1111-4222-8333-000000000002"
    assert host["sequence"] == 0x01020304
    assert host["excluded"] is True
    assert host["phase"] == "FH2DONE"
    assert host["heartbeat_domain"] == [1, 32, 63]
    assert host["since_heartbeat_ms"][:2] == [100, 101]
    assert host["since_xapi_restart_ms"] == 4711
    assert host["seal"] == {
        "incarnation": 1700000002, "software": "xha 1.0.0", "written_at": "2023-11-14T22:13:23Z",
        "fencing": "armed", "watchdog_mode": "hypervisor", "sr2": True, "holding": True,
        "incarnations_seen": list(range(1700000000, 1700000064)),
        "last_words": {
            "code": "statefile-lost", "text": "The State-File did not answer for 30 s.",
            "at": "2023-11-14T22:13:21Z", "incarnation": 1700000000, "liveset": [0, 1, 2],
            "heartbeat_domain": [1, 2], "statefile_domain": [2]},
        "pool_key_mark": None,
        "configuration": None}
    assert found["hosts"][0]["host_uuid"] is None
    assert found["hosts"][0]["seal"] is None


def test_no_form_shows_the_pool_key():
    image = image_of(ours())
    for shown in (sfdump.as_json(image), sfdump.as_text(image), sfdump.as_original(image),
                  sfdump.difference(image, recorded("master1"))):
        assert samples.KEY.hex() not in shown
        assert samples.KEY[1:].decode("ascii") not in shown


def test_text_for_people():
    shown = sfdump.as_text(image_of(ours()), CONFIG)
    for line in (
            "State-File image, 266240 bytes", "global record: sealed",
            "  pool state          active",
            "  pool key            fingerprint 630dcd2966c43366, mark {}".format(MARK),
            "host 0 (10.99.0.1): unsealed, never written by its host",
            "host 1 (10.99.0.2): unsealed (rewritten by xhad)", "host 2 (10.99.0.3): sealed",
            "  liveset             (111)", "  heartbeats          0: 100 ms, 1: 101 ms, 2: 102 ms",
            "  advances            0: never, 1: 200 ms, 2: 201 ms", "  phase               FH2DONE",
            "  last words          The State-File did not answer for 30 s. [statefile-lost]",
            "  watchdog mode       hypervisor", "  written             2023-11-14T22:13:23Z"):
        assert line + "\n" in shown, line
    assert all(letter == "\n" or " " <= letter <= "~" for letter in shown)


BAD = [
    # section  found                    line                                       why
    (0, bytes(4096),          "global record: CORRUPT: record is blank: all bytes are zero",
     "a blank global record"),
    (3, b"\xff" * 4096,       "host 2: CORRUPT: signatures are 0xffffffff and 0xffffffff,",
     "a damaged host record"),
    (2, "Input/output error", "host 1: UNREADABLE: Input/output error", "a bad sector"),
]


@pytest.mark.parametrize("section, found, line, why", BAD, ids=[row[-1] for row in BAD])
def test_bad_records_are_marked(section, found, line, why):
    sections = samples.image("master1")
    sections[section] = found
    assert line in sfdump.as_text(image_of(sections))
    state = line.split(": ")[1].lower()
    told = json.loads(sfdump.as_json(image_of(sections)))
    assert ([told["global"]] + told["hosts"])[section]["state"] == state


def test_another_generation_than_the_configurations_is_marked():
    sections = ours()
    sections[0] = sfformat.encode_global(samples.GLOBAL._replace(generation_uuid="a" * 32))
    assert "aaaaaaaaaaaa  NOT this configuration's, 0f0f0f0f-" in sfdump.as_text(
        image_of(sections), CONFIG)


def test_without_a_good_global_record_hosts_are_shown_all_the_same():
    sections = samples.image("master1")
    sections[0] = bytes(4096)
    told = json.loads(sfdump.as_json(image_of(sections)))
    assert [host["index"] for host in told["hosts"]] == [0, 1, 2]


def test_a_record_beyond_the_configured_hosts_is_shown():
    sections = ours()
    sections[10] = sfformat.encode_host(samples.HOST._replace(host_index=9))
    told = json.loads(sfdump.as_json(image_of(sections)))
    assert [host["index"] for host in told["hosts"]] == [0, 1, 2, 9]


def test_a_blank_disk_is_shown_briefly():
    shown = sfdump.as_text(image_of([bytes(4096)] * 65))
    assert shown.count("all bytes are zero") == 2
    assert "host 63: the same\n" in shown


def test_times_that_are_none_are_not_shown_as_times():
    seal = samples.GLOBAL.seal._replace(initialised_at_wall_s=(1 << 64) - 1)
    sections = ours()
    sections[0] = sfformat.encode_global(samples.GLOBAL._replace(seal=seal))
    told = json.loads(sfdump.as_json(image_of(sections)))
    assert told["global"]["origin"]["initialised_at"] is None


def test_difference_names_each_field_that_differs():
    shown = sfdump.difference(recorded("online3"), recorded("master1"))
    for line in ('global master: null -> "10000001-1111-4222-8333-000000000001"',
                 "host 0 lock_grants: +1", "host 0 sequence: 12 -> 17",
                 "host 1 lock_request: false -> true", "host 2 since_heartbeat_ms[0]: 521 -> 21"):
        assert line + "\n" in shown, line


def test_difference_of_seals_and_of_what_is_gone():
    after = ours()
    after[3] = sfformat.encode_host(samples.HOST._replace(
        seal=samples.HOST.seal._replace(holding=False, last_words=None)))
    after[0] = bytes(4096)
    shown = sfdump.difference(image_of(ours()), image_of(after))
    assert "host 2 seal holding: true -> false\n" in shown
    assert 'global state: "sealed" -> "corrupt"\n' in shown
    assert "host 2 seal last_words: {" in shown


def test_no_difference_is_no_text():
    assert sfdump.difference(recorded("master1"), recorded("master1")) == ""
