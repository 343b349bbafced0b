"""The configuration: one test per sentence of spec 2, and what spec 14 (15 to 17) asks for."""

import os
import pathlib

import pytest

from xha import config
from xha.errors import ExitCode, XhaError
from xha.published import WatchdogMode

GENERATION = "0f0f0f0f-aaaa-4bbb-8ccc-00000000d00d"
FIRST = "10000000-1111-4222-8333-000000000000"
SECOND = "10000001-1111-4222-8333-000000000001"
LOCAL = ("<local-config><localhost><HostID>{host}</HostID>"
         "<HeartbeatInterface>{interface}</HeartbeatInterface>{bond}"
         "<StateFile>{statefile}</StateFile>{more}</localhost></local-config>")
FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"


def host(uuid, address):
    return "<host><HostID>{}</HostID><IPaddress>{}</IPaddress></host>".format(uuid, address)


TWO = host(FIRST, "10.99.0.1") + host(SECOND, "10.99.0.2")


def text(hosts=TWO, parameters="", port="694", generation=GENERATION, common="", local=FIRST,
         interface="xenbr0", bond="", statefile="/dev/statefile", more="", version='version="1.0"'):
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        "<xhad-config {}><common-config>\n"
        "<GenerationUUID>{}</GenerationUUID>\n"
        "<UDPport>{}</UDPport>\n"
        "{}{}<parameters>{}</parameters></common-config>\n".format(
            version, generation, port, hosts, common, parameters)
        + LOCAL.format(host=local, interface=interface, bond=bond, statefile=statefile, more=more)
        + "</xhad-config>\n")


def parse(**parts):
    return config.parse(text(**parts).encode("utf-8"))


def refusal(data, path=""):
    """The message of a refusal; every one of them has exit code 7 and is a line of ASCII."""
    with pytest.raises(XhaError) as caught:
        config.parse(data if isinstance(data, bytes) else data.encode("utf-8"), path)
    assert caught.value.code is ExitCode.INVALID_CONFIG
    message = str(caught.value)
    assert all(" " <= letter <= "~" for letter in message), message
    return message


def test_every_part_of_a_configuration_is_read():
    read = parse(bond="<HeartbeatPhysicalInterface>bond0</HeartbeatPhysicalInterface>",
                 more="<WatchdogMode>USER</WatchdogMode><FenceCommand>reboot -f</FenceCommand>",
                 local=SECOND)
    assert read.warnings == ()
    assert read.common.generation_uuid == GENERATION.replace("-", "")
    assert read.common.udp_port == 694
    assert [(one.uuid, one.address) for one in read.common.hosts] == [
        (FIRST.replace("-", ""), "10.99.0.1"), (SECOND.replace("-", ""), "10.99.0.2")]
    assert read.local == config.Local(
        host_uuid=SECOND.replace("-", ""), index=1, interface="xenbr0",
        physical_interface="bond0", statefile="/dev/statefile",
        watchdog_mode=WatchdogMode.USER, fence_command="reboot -f")


DEFAULTS = {
    "heartbeat_interval_ms": 4000, "heartbeat_timeout_ms": 30000,
    "statefile_interval_ms": 4000, "statefile_timeout_ms": 30000,
    "heartbeat_watchdog_timeout_ms": 30000, "statefile_watchdog_timeout_ms": 45000,
    "boot_join_timeout_ms": 90000, "enable_join_timeout_ms": 90000,
    "xapi_check_interval_ms": 60000, "xapi_check_timeout_ms": 10000, "xapi_restart_attempts": 1,
    "xapi_restart_timeout_ms": 30000, "xapi_license_timeout_ms": 30000}


@pytest.mark.parametrize("field", sorted(DEFAULTS))
def test_a_parameter_that_is_absent_has_its_default(field):
    assert getattr(parse().common, field) == DEFAULTS[field]


def test_every_parameter_has_a_default_in_the_table_of_the_specification():
    assert sorted(row[1] for row in config.PARAMETERS) == sorted(DEFAULTS)


@pytest.mark.parametrize("element, field", [row[:2] for row in config.PARAMETERS])
def test_a_parameter_reaches_its_own_field_and_no_other(element, field):
    value = 29 if element in ("HeartbeatTimeout", "StateFileTimeout") else 31
    value = 5 if element in ("HeartbeatInterval", "StateFileInterval") else value
    common = parse(parameters="<{0}>{1}</{0}>".format(element, value)).common
    changed = {name for name in DEFAULTS if getattr(common, name) != DEFAULTS[name]}
    assert changed == {field}
    assert getattr(common, field) == value * (1 if element == "XapiRestartAttempts" else 1000)


def xapi_parameters(timeout):
    t1 = min((timeout + 10) // 10, 3)
    rows = [("HeartbeatInterval", t1), ("StateFileInterval", max(2, timeout // 20)),
            ("HeartbeatTimeout", timeout), ("StateFileTimeout", timeout),
            ("HeartbeatWatchdogTimeout", timeout), ("StateFileWatchdogTimeout", timeout + 15),
            ("BootJoinTimeout", timeout + 60), ("EnableJoinTimeout", timeout + 60),
            ("XapiHealthCheckInterval", 60), ("XapiHealthCheckTimeout", 120),
            ("XapiRestartAttempts", 1), ("XapiRestartTimeout", 300)]
    return "".join("<{0}>{1}</{0}>".format(*row) for row in rows)


@pytest.mark.parametrize("timeout", [10, 11, 19, 20, 30, 60, 119, 120, 600, 3600])
def test_what_xapi_derives_from_any_timeout_is_accepted(timeout):
    common = parse(parameters=xapi_parameters(timeout)).common
    assert common.statefile_watchdog_timeout_ms == (timeout + 15) * 1000


GOOD = [
    # parts, what to look at, expected, why
    (dict(local=FIRST.upper()), "index", 0, "letter case of a HostID does not matter"),
    (dict(local=FIRST.replace("-", "")), "index", 0, "dashes of a HostID do not matter"),
    (dict(local="\n\t " + SECOND + " \r\n"), "index", 1, "text is trimmed of white space"),
    (dict(local=SECOND[:8] + "<!-- c -->" + SECOND[8:]), "index", 1, "comments stand anywhere"),
    (dict(hosts=host(SECOND, "10.0.0.2") + host(FIRST, "10.0.0.1"), local=SECOND), "index", 1,
     "the index counts in the order of UUIDs, not of the file"),
    (dict(hosts=host(FIRST, "10.0.0.1")), "index", 0, "a pool of one host"),
    (dict(bond="<HeartbeatPhysicalInterface> </HeartbeatPhysicalInterface>"),
     "physical_interface", "", "an empty physical interface is none"),
    (dict(), "watchdog_mode", WatchdogMode.HYPERVISOR, "the hypervisor keeps the timers"),
    (dict(more="<WatchdogMode>NONE</WatchdogMode>"), "watchdog_mode", WatchdogMode.NONE, "NONE"),
    (dict(more="<CertainDeath>on</CertainDeath>"), "index", 0, "a known element of a later day"),
    (dict(statefile="/dev/disk \u00e9"), "statefile", "/dev/disk \u00e9", "any path"),
    (dict(statefile="/dev/a&amp;b"), "statefile", "/dev/a&b", "the entities of XML itself"),
]


@pytest.mark.parametrize("parts, field, expected, why", GOOD, ids=[row[-1] for row in GOOD])
def test_a_variant_is_accepted(parts, field, expected, why):
    read = parse(**parts)
    assert getattr(read.local, field) == expected
    assert read.warnings == ()


def test_local_config_may_come_before_common_config():
    whole = text()
    start, end = whole.index("<common-config>"), whole.index("<local-config>")
    tail = whole.index("</xhad-config>")
    turned = whole[:start] + whole[end:tail] + whole[start:end] + whole[tail:]
    assert config.parse(turned.encode("ascii")) == parse()


ADDRESSES = [
    ("10.0.0.1", "10.0.0.1"), ("fd00::1", "fd00::1"), ("FD00:0:0:0:0:0:0:1", "fd00::1"),
    ("127.0.0.3", "127.0.0.3")]


@pytest.mark.parametrize("given, kept", ADDRESSES)
def test_an_address_is_kept_in_one_form(given, kept):
    assert parse(hosts=host(FIRST, given)).common.hosts[0].address == kept


def test_sixty_four_hosts_are_a_pool():
    hosts = [host("{:032x}".format(number + 1), "10.0.1.{}".format(number)) for number in range(64)]
    read = parse(hosts="".join(reversed(hosts)), local="{:032x}".format(64))
    assert read.local.index == 63
    assert len(read.common.hosts) == 64


def parameter(name, value):
    return dict(parameters="<{0}>{1}</{0}>".format(name, value))


BAD = [
    # parts, what the message says, why
    (dict(version='version="1.1"'), ["xhad-config", "'1.1'", 'version="1.0"'], "another version"),
    (dict(version=""), ["xhad-config", "no version"], "no version"),
    (dict(generation="123"), ["GenerationUUID", "'123'", "32 hexadecimal"], "a UUID too short"),
    (dict(generation=GENERATION + "0"), ["GenerationUUID"], "a UUID too long"),
    (dict(generation="g" + GENERATION[1:]), ["GenerationUUID"], "a UUID that is not hexadecimal"),
    (dict(generation="\uff10" + GENERATION[1:]), ["GenerationUUID"], "digits of another script"),
    (dict(generation=""), ["GenerationUUID", "empty"], "an empty UUID"),
    (dict(port="0"), ["UDPport", "'0'", "1 to 65535"], "port 0"),
    (dict(port="70000"), ["UDPport", "'70000'", "1 to 65535"], "port 70000"),
    (dict(port="69a"), ["UDPport", "'69a'"], "a port that is no number"),
    (dict(port="6 94"), ["UDPport"], "a number with a blank in it"),
    (dict(port="+694"), ["UDPport"], "a number with a plus"),
    (dict(port="694.0"), ["UDPport"], "a number with a fraction"),
    (dict(port="\u0666"), ["UDPport"], "a digit of another script"),
    (dict(port="9" * 5000), ["UDPport"], "a number beyond all bounds"),
    (dict(hosts=""), ["host", "missing", "1 to 64"], "no host"),
    (dict(hosts=host("1234", "10.0.0.1")), ["HostID", "'1234'"], "a HostID too short"),
    (dict(hosts=host("0" * 32, "10.0.0.1")), ["HostID", "zeros"], "the UUID that means no master"),
    (dict(hosts="<host><HostID>{}</HostID></host>".format(FIRST)), ["IPaddress", "missing"],
     "a host without address"),
    (dict(hosts="<host><IPaddress>10.0.0.1</IPaddress></host>"), ["HostID", "missing"],
     "a host without HostID"),
    (dict(hosts=host(FIRST, "10.0.0.1") + host(FIRST.upper(), "10.0.0.2")), ["HostID", "line 5"],
     "two hosts with one UUID, in other letter case"),
    (dict(hosts=host(FIRST, "10.0.0.1") + host(SECOND, "10.0.0.1")), ["IPaddress", "line 5"],
     "two hosts with one address"),
    (dict(hosts=host(FIRST, "fd00::1") + host(SECOND, "fd00:0::1")), ["IPaddress"],
     "two hosts with one address, written otherwise"),
    (dict(hosts=host(FIRST, "10.0.0.1") + host(SECOND, "fd00::1")), ["same family as 10.0.0.1"],
     "IPv4 and IPv6 mixed"),
    (dict(hosts=host(FIRST, "localhost")), ["IPaddress", "'localhost'", "numeric"], "a name"),
    (dict(hosts=host(FIRST, "10.0.0")), ["IPaddress"], "an address of three parts"),
    (dict(hosts=host(FIRST, "10.0.0.256")), ["IPaddress"], "a part above 255"),
    (dict(hosts=host(FIRST, "10.0.0.010")), ["leading zeros"], "octal or not, who knows"),
    (dict(hosts=host(FIRST, "10.0.0.1/24")), ["IPaddress"], "a network"),
    (dict(hosts=host(FIRST, "fe80::1%eth0")), ["zone"], "an address with a zone"),
    (dict(hosts=host(FIRST, "::ffff:10.0.0.1")), ["IPv4"], "IPv4 in the clothes of IPv6"),
    (dict(hosts=host(FIRST, "0.0.0.0")), ["one host"], "the address of nobody"),
    (dict(hosts=host(FIRST, "::")), ["one host"], "the address of nobody, IPv6"),
    (dict(hosts=host(FIRST, "224.0.0.1")), ["one host"], "the address of many"),
    (dict(hosts=host(FIRST, "255.255.255.255")), ["one host"], "the address of all"),
    (dict(hosts=host(FIRST, "")), ["IPaddress", "empty"], "an empty address"),
    (dict(local="20000000-1111-4222-8333-000000000000"), ["HostID", "one of the 2 hosts"],
     "localhost is none of the hosts"),
    (dict(interface=""), ["HeartbeatInterface", "empty"], "no interface name"),
    (dict(interface="a" * 16), ["HeartbeatInterface", "1 to 15"], "an interface name too long"),
    (dict(interface="../x"), ["HeartbeatInterface"], "an interface name that is a path"),
    (dict(bond="<HeartbeatPhysicalInterface>a b</HeartbeatPhysicalInterface>"),
     ["HeartbeatPhysicalInterface"], "an interface name with a blank"),
    (dict(statefile=""), ["StateFile", "empty"], "no State-File"),
    (dict(statefile="statefile"), ["StateFile", "absolute"], "a State-File somewhere"),
    (dict(statefile="/" + "x" * 4095), ["StateFile", "4095"], "a path too long"),
    (dict(more="<WatchdogMode>hypervisor</WatchdogMode>"), ["WatchdogMode", "HYPERVISOR, USER"],
     "a mode in small letters"),
    (dict(more="<WatchdogMode/>"), ["WatchdogMode", "empty"], "an empty mode"),
    (dict(more="<WatchdogMode>UNKNOWN</WatchdogMode>"), ["WatchdogMode"], "a mode that is none"),
    (dict(common="<UDPport>694</UDPport>"), ["UDPport", "repeated", "line 4"], "a port twice"),
    (dict(common="<parameters></parameters>"), ["parameters", "repeated"], "parameters twice"),
    (dict(more="<StateFile>/dev/x</StateFile>"), ["StateFile", "repeated"], "a State-File twice"),
    (parameter("HeartbeatTimeout", "0"), ["HeartbeatTimeout", "'0'", "1 to"], "T1 of 0"),
    (parameter("HeartbeatTimeout", "-5"), ["HeartbeatTimeout", "'-5'"], "T1 below 0"),
    (parameter("HeartbeatTimeout", 10 ** 11), ["HeartbeatTimeout", "100000000000"], "T1 of 10^11"),
    (parameter("HeartbeatInterval", "0"), ["HeartbeatInterval"], "t1 of 0"),
    (parameter("HeartbeatInterval", ""), ["HeartbeatInterval", "empty"], "an empty parameter"),
    (parameter("HeartbeatInterval", "30"), ["HeartbeatInterval", "HeartbeatTimeout",
                                            "30 s by default", "less than"], "t1 not below T1"),
    (parameter("StateFileTimeout", "4"), ["StateFileInterval", "StateFileTimeout"],
     "t2 not below T2"),
    (parameter("HeartbeatWatchdogTimeout", "4"), ["HeartbeatWatchdogTimeout", "reset"],
     "Wh not above t1"),
    (parameter("StateFileWatchdogTimeout", "4"), ["StateFileWatchdogTimeout", "reset"],
     "Ws not above t2"),
    (parameter("XapiRestartAttempts", "-1"), ["XapiRestartAttempts", "0 to"], "a count below 0"),
    (parameter("XapiRestartAttempts", "1</XapiRestartAttempts><XapiRestartAttempts>1"),
     ["XapiRestartAttempts", "repeated"], "a parameter twice"),
]


@pytest.mark.parametrize("parts, said, why", BAD, ids=[row[-1] for row in BAD])
def test_a_slip_is_refused_with_its_element_and_value(parts, said, why):
    message = refusal(text(**parts))
    for words in said:
        assert words in message, message
    assert len(message) < 800


def test_survivors_must_have_something_to_wait_for():
    """max(Wh,Ws) - min(T1,T2) + max(t1,t2) > 0, all other relations holding."""
    def parameters(watchdog):
        return ("<HeartbeatTimeout>30</HeartbeatTimeout><StateFileTimeout>30</StateFileTimeout>"
                "<HeartbeatWatchdogTimeout>{0}</HeartbeatWatchdogTimeout>"
                "<StateFileWatchdogTimeout>{0}</StateFileWatchdogTimeout>".format(watchdog))

    assert parse(parameters=parameters(27)).common.statefile_watchdog_timeout_ms == 27000
    message = refusal(text(parameters=parameters(26)))
    assert "StateFileWatchdogTimeout" in message
    assert "above 0: it is 0" in message


def test_no_time_is_longer_than_a_published_age_can_be():
    most = str(config.MAX_SECONDS)
    assert parse(**parameter("BootJoinTimeout", most)).common.boot_join_timeout_ms < 2 ** 31
    assert "BootJoinTimeout" in refusal(
        text(**parameter("BootJoinTimeout", config.MAX_SECONDS + 1)))


def test_a_sixty_fifth_host_is_refused():
    hosts = "\n".join(
        host("{:032x}".format(number + 1), "10.0.1.{}".format(number)) for number in range(65))
    assert ":69: <host> number 65" in refusal(text(hosts=hosts))


@pytest.mark.parametrize("element", ["GenerationUUID", "UDPport", "HeartbeatInterface", "StateFile",
                                     "common-config", "local-config", "localhost"])
def test_a_required_element_that_is_missing_is_named(element):
    whole = text()
    start = whole.index("<{}>".format(element))
    end = whole.index("</{}>".format(element)) + len("</{}>".format(element))
    message = refusal(whole[:start] + whole[end:])
    assert "<{}> is missing".format(element) in message


def test_a_message_names_the_file_and_the_line():
    assert refusal(text(port="70000"), "/etc/xhad.conf") == (
        "/etc/xhad.conf:4: <UDPport> is '70000'; expected a port number, 1 to 65535")


ODD = [
    # parts, what is warned of, why
    (parameter("XapiRestartRetry", "3"), "<XapiRestartRetry> is not known in <parameters>",
     "the slip of the original's sample file"),
    (dict(common="<HeartbeatTimeout>5</HeartbeatTimeout>"),
     "<HeartbeatTimeout> is not known in <common-config>", "a parameter in the wrong place"),
    (dict(more="<FenceCommand/><Color>x</Color>"), "<Color> is not known in <localhost>", "junk"),
    (dict(common="stray"), "<common-config> holds text 'stray'", "text between elements"),
    (dict(port="694<b/>"), "<b> is not known in <UDPport>", "an element within a value"),
    (dict(version='version="1.0" colour="red"'), "attribute colour of <xhad-config>",
     "an attribute that nothing reads"),
]


@pytest.mark.parametrize("parts, said, why", ODD, ids=[row[-1] for row in ODD])
def test_what_nothing_reads_is_ignored_with_a_warning_that_names_it(parts, said, why):
    read = parse(**parts)
    assert len(read.warnings) == 1
    assert said in read.warnings[0]
    assert read.warnings[0].endswith("ignored")
    assert (read.common, read.local) == (parse().common, parse().local)


def test_warnings_of_a_file_of_junk_are_counted():
    read = parse(common="<junk/>" * 5000)
    assert len(read.warnings) == 21
    assert "4980 more" in read.warnings[-1]


HOSTILE = [
    # bytes, what the message says, why
    (b"", "no element found", "an empty file"),
    (b"\x00" * 600, "not well-formed", "a file of zeros"),
    (b"\x7fELF\x02\x01\x01", "not well-formed", "a program"),
    (b"<xhad-config version='1.0'>", "no element found", "half a file"),
    (b"<a/>", "<a>; expected <xhad-config>", "another document"),
    (b"<a/><b/>", "junk after document element", "two documents"),
    (b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", "refused", "an entity of its own"),
    (b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>", "refused", "a document type elsewhere"),
    (b"<!DOCTYPE x [<!ENTITY a SYSTEM '/etc/passwd'>]><x>&a;</x>", "refused", "another file"),
    (b"<x>&undefined;</x>", "undefined entity", "an entity of nobody"),
    (b"<x>\xff</x>", "not well-formed", "bytes that are no UTF-8"),
    (b"<?xml version='1.0' encoding='foo'?><x/>", "encoding", "an encoding of nobody"),
    (b"<?xml version='1.0' encoding='utf-7'?><x/>", "encoding", "an encoding that cannot be read"),
    (b"<?xml version='1.0' encoding='idna'?><x/>", "encoding", "a codec that raises"),
    (b"<?xml version='1.0' encoding='rot13'?><x/>", "encoding", "a codec that is none for text"),
    (b"<a>" * 40 + b"</a>" * 40, "nested too deeply", "forty levels"),
    (b"<a>" * 100000, "nested too deeply", "a hundred thousand levels"),
    (b" " * (config.MAX_BYTES + 1), "more than 1048576 bytes", "a byte more than a MiB"),
]


@pytest.mark.parametrize("data, said, why", HOSTILE, ids=[row[-1] for row in HOSTILE])
def test_hostile_bytes_are_refused(data, said, why):
    assert said in refusal(data)


def test_entities_are_refused_before_they_expand():
    bomb = "<!DOCTYPE x [<!ENTITY a0 'ha'>{}]><x>&a60;</x>".format("".join(
        "<!ENTITY a{} '&a{};&a{};'>".format(number, number - 1, number - 1)
        for number in range(1, 61)))
    assert "refused" in refusal(bomb)


def test_no_cut_and_no_flipped_bit_gives_anything_but_a_config_or_a_refusal():
    whole = text().encode("ascii")
    damaged = [whole[:length] for length in range(len(whole))]
    for position in range(len(whole)):
        for bit in range(8):
            damaged.append(whole[:position] + bytes([whole[position] ^ 1 << bit])
                           + whole[position + 1:])
    refused = 0
    for data in damaged:
        try:
            assert isinstance(config.parse(data), config.Config)
        except XhaError as error:
            assert error.code is ExitCode.INVALID_CONFIG
            refused += 1
    # Every cut but the one that takes the last newline alone, and most flips.
    assert refused > len(whole) + 4 * len(whole)


def test_other_encodings_that_the_file_declares_are_read():
    whole = text(statefile="/dev/\u00e9")
    for encoding in ("utf-16", "iso-8859-1"):
        data = whole.replace('encoding="utf-8"', 'encoding="{}"'.format(encoding)).encode(encoding)
        assert config.parse(data).local.statefile == "/dev/\u00e9"


UNREADABLE = [("missing", "No such file"), ("", "directory"), ("a\x00b", "null"),
              ("\udcff", "No such file")]


@pytest.mark.parametrize("name, said", UNREADABLE, ids=["missing", "directory", "NUL", "bytes"])
def test_a_file_that_cannot_be_read_is_exit_6(tmp_path, name, said):
    path = os.path.join(str(tmp_path), name)
    with pytest.raises(XhaError) as caught:
        config.load(path)
    assert caught.value.code is ExitCode.CANNOT_READ_CONFIG
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_file_is_read_and_bounded(tmp_path):
    path = tmp_path / "xhad.conf"
    path.write_text(text())
    assert config.load(str(path)) == parse()
    path.write_bytes(text().encode("ascii") + b" " * config.MAX_BYTES)
    with pytest.raises(XhaError) as caught:
        config.load(str(path))
    assert caught.value.code is ExitCode.INVALID_CONFIG


@pytest.mark.parametrize("number", [0, 1])
def test_the_original_s_own_configurations_are_read(number):
    read = config.load(str(FIXTURES / "xhad_host{}.conf".format(number)))
    assert read.local.index == number
    assert read.common.heartbeat_timeout_ms == 5000
    assert read.local.watchdog_mode is WatchdogMode.NONE
    assert read.warnings == ()


def test_a_uuid_is_shown_with_dashes():
    assert config.display_uuid(FIRST.replace("-", "")) == FIRST
