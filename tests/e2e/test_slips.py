"""Slips in xhad.conf, shown to the program itself: refused at once with 7 and the reason.

The original takes most of them: it is busy for 1.26 cores, aborts, or never forms a pool.
What each message says is for tests/unit/test_config.py.
"""

import pytest

from rig.host import uuid
from rig.network import address
from rig.stateformat import ACTIVE, INIT, pool_state


def with_parameter(name, value):
    """A change of one parameter, whatever it was."""
    def change(text):
        start = text.index("<{}>".format(name)) + len(name) + 2
        return text[:start] + str(value) + text[text.index("<", start):]
    return change


def without(piece):
    """A change that takes a piece away."""
    return with_other(piece, "")


def with_other(piece, other):
    """A change of the first of such pieces."""
    def change(text):
        assert piece in text
        return text.replace(piece, other, 1)
    return change


#: change, why
SLIPS = [
    (with_other(uuid(1), uuid(1)[:-1]), "a HostID too short"),
    (with_other(uuid(1), "g" + uuid(1)[1:]), "a HostID that is not hexadecimal"),
    (without("<HostID>{}</HostID>".format(uuid(1))), "a host without HostID"),
    (with_other(uuid(1), uuid(0)), "two hosts with one HostID"),
    (with_other(address(1), address(0)), "two hosts with one address"),
    (without("<IPaddress>{}</IPaddress>".format(address(1))), "a host without address"),
    (with_other(address(1), address(1, 6)), "IPv4 and IPv6 mixed"),
    (with_parameter("UDPport", 70000), "port 70000"),
    (with_parameter("HeartbeatTimeout", 0), "T1 of 0"),
    (with_parameter("HeartbeatTimeout", -5), "T1 of -5"),
    (with_parameter("HeartbeatTimeout", 10 ** 11), "T1 of 10^11"),
    (with_parameter("HeartbeatInterval", 0), "t1 of 0"),
]

#: Each command that reads the configuration, and what it would do to the State-File.
COMMANDS = [
    ["start-daemon"], ["daemon"], ["write-statefile", "init"], ["set-pool-state", "invalid"],
    ["set-excluded"], ["clear-excluded"], ["dump-statefile"],
]


def rewritten(host, change):
    """Change the host's configuration; gives what it was."""
    with open(host.config) as file:
        before = file.read()
    with open(host.config, "w") as file:
        file.write(change(before))
    return before


def test_a_slip_in_the_configuration_ends_the_start_with_7(pool_of):
    pool = pool_of(2)
    pool.initialise()
    host = pool.hosts[0]
    for change, why in SLIPS:
        before = rewritten(host, change)
        for command in ("start-daemon", "daemon"):
            result = host.command(command, "--config=" + host.config)
            assert result.code == 7, (why, command, result)
            assert host.config in result.err + host.log(), (why, result)
        rewritten(host, lambda text, back=before: back)
    # And without any it would have started.
    since = pool.start()
    pool.wait_live([0, 1], [0, 1], 30, since)


#: what is in the file's place, code, why
NO_CONFIGURATIONS = [
    ("", 7, "an empty file"),
    ("\x7fELF\x01\x02", 7, "another file"),
    ("<xhad-config version=\"1.0\"><common-config>", 7, "a file cut short"),
    (None, 6, "no file"),
]


@pytest.mark.parametrize("content, code, why", NO_CONFIGURATIONS,
                         ids=[row[-1] for row in NO_CONFIGURATIONS])
def test_a_configuration_that_is_none_is_the_configuration_s_fault(pool_of, content, code, why):
    """The original's State-File tools end with 8, as if the disk were at fault."""
    pool = pool_of(1)
    pool.initialise()
    host = pool.hosts[0]
    path = host.config
    if content is None:
        path += ".nowhere"
    else:
        rewritten(host, lambda text: content)
    before = pool.disk.peek(0)
    for words in COMMANDS:
        result = host.command(*(words + ["--config=" + path]))
        assert result.code == code, (words, result)
    assert pool.disk.peek(0) == before and pool_state(before) == INIT


def turned(text):
    """The configuration with its local half first, as the original does not read it."""
    start, end = text.index("<common-config>"), text.index("<local-config>")
    tail = text.index("</xhad-config>")
    return text[:start] + text[end:tail] + text[start:end] + text[tail:]


def in_capitals(text):
    """A HostID with letters, which localhost writes in the other case, and without dashes."""
    name = "abcdef" + uuid(0)[6:]
    local = text.index("<localhost>")
    return (text[:local].replace(uuid(0), name)
            + text[local:].replace(uuid(0), name.upper().replace("-", "")))


#: change, why
VARIANTS = [
    (in_capitals, "the HostID of localhost in other letter case"),
    (turned, "local-config before common-config"),
]


@pytest.mark.parametrize("change, why", VARIANTS, ids=[row[-1] for row in VARIANTS])
def test_what_the_original_refuses_without_a_reason_forms_a_pool(pool_of, change, why):
    pool = pool_of(1)
    rewritten(pool.hosts[0], change)
    pool.form()
    assert pool_state(pool.disk.peek(0)) == ACTIVE
