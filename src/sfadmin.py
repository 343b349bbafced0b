"""The State-File by hand: initialising, pool state, exclusion and dumps, without a daemon.

Theory of operation
===================

``write_statefile`` is for the times when no daemon runs on this host (with
one, the daemon does it).  Others may run on other hosts, and they rewrite the
global record too: so what is changed is read just before, everything else in
the record stays as it was found, seals included, and the pool state is never
lowered within a generation but by ``init``.

Initialising tells left-over daemons of other hosts first (pool state invalid
in the old global record: they end), then lays down host records, and the new
global record last: if it is interrupted anywhere, what is on the disk is either
the old pool, invalid, or a pool that no daemon starts in.

*invalid* is how HA is switched off, so it is made sure of: a daemon elsewhere
that had read the record just before may write its own change over it.  As long
as another host's record advances, and t2 + 1 s longer, the pool state is read
again, and written again where it was undone; at most Ws + t2 (spec 3).

Everything that touches the device runs in a child process with a bound: a
device that hangs would hold its process in the kernel, where nothing reaches
it, and xapi waits for its scripts for ever.

Source: spec 3 "Initialising", spec 6, spec 9 "dump-statefile".
"""

import os
import time
from typing import Callable, Dict, List, Optional, Union

import xha
from xha import bounded, client, sfdevice, sfdump, sfformat
from xha.config import Config, display_uuid
from xha.errors import ExitCode, FormatError, XhaError
from xha.hostset import EMPTY, MAX_HOSTS
from xha.paths import Paths
from xha.poolkey import KEY_BYTES, PoolKey
from xha.published import (
    BLANK_RECORD, NO_MASTER, FencingMode, GlobalRecord, GlobalSeal, HostRecord, PoolState,
    RecordSeal, WatchdogMode)
from xha.sealformat import RECORD_BYTES
from xha.sfdevice import Device
from xha.sfdump import Image

#: What a State-File may take to answer all that is asked here, s.
DEVICE_BOUND_S = 30.0

#: How often ``--watch`` reads, and ``invalid`` looks whether it still holds, s.
WATCH_PAUSE_S = 1.0
CONFIRM_PAUSE_S = 0.25

#: Sections in a row that may fail before a dump gives the others up: each may take long.
FAILURES_MAX = 3

#: How often the pool state is written before a daemon that undoes it wins.
RAISE_TRIES = 5

VERBS = ("init", "active", "invalid", "exclude", "include")

_SOFTWARE = "xha " + xha.__version__

#: The seal of a record that its host has never written.  Source: spec 3, "Initialising".
_BLANK_SEAL = RecordSeal(
    incarnation=0, software="", written_at_wall_ms=0, fencing=FencingMode.NONE,
    watchdog_mode=WatchdogMode.UNKNOWN, sr2=False, holding=False,
    incarnations_seen=(0,) * MAX_HOSTS, last_words=None)


def write_statefile(verb: str, config: Config, paths: Paths) -> str:
    """Change the State-File directly; waits for the device, and with "invalid" for the pool.

    Args:
        verb: one of ``VERBS``; "exclude" and "include" are about this host.
        config: names the device, this host, and the generation.
        paths: where a daemon of this host would answer.

    Returns:
        One line for people: what was done.

    Raises:
        XhaError: INVALID_PARAMETER, no such verb; DAEMON_PRESENT, a daemon answers;
            STATEFILE_INACCESSIBLE; INVALID_STATEFILE, a record that is needed is bad;
            GENERATION_MISMATCH; INVALID_POOL_STATE, the pool state does not permit it.
    """
    if verb not in VERBS:
        raise XhaError(ExitCode.INVALID_PARAMETER, "{!r} is not one of {}".format(
            verb, ", ".join(VERBS)))
    if client.daemon_answers(paths):
        raise XhaError(ExitCode.DAEMON_PRESENT, "a daemon is running on this host")
    bound_s = DEVICE_BOUND_S
    if verb == "invalid":
        bound_s += _confirm_bound_s(config)
    return str(bounded.run(
        lambda: _write(verb, config), "State-File " + config.local.statefile, bound_s))


def read_image(path: str, bound_s: float = DEVICE_BOUND_S) -> Image:
    """Read the State-File, or a copy of one, at ``path``; what cannot be read says so.

    Args:
        bound_s: how long it may take, s.

    Raises:
        XhaError: STATEFILE_INACCESSIBLE: it cannot be opened, or does not answer.
    """
    image = bounded.run(lambda: _read_image(path), "State-File " + path, bound_s)
    assert isinstance(image, Image)
    return image


def dump(path: str, config: Optional[Config] = None, form: str = "text") -> str:
    """What is at ``path`` as "text", "json", or as "original" ``dumpstatefile`` prints it.

    Raises:
        XhaError: INVALID_PARAMETER, no such form; as ``read_image``.
    """
    forms = {"text": sfdump.as_text, "json": sfdump.as_json,
             "original": lambda image, _: sfdump.as_original(image)
             }  # type: Dict[str, Callable[[Image, Optional[Config]], str]]
    if form not in forms:
        raise XhaError(ExitCode.INVALID_PARAMETER, "{!r} is not one of {}".format(
            form, ", ".join(sorted(forms))))
    return forms[form](read_image(path), config)


def diff(before: str, after: str) -> str:
    """What differs between two State-Files, one field a line.

    Raises:
        XhaError: as ``read_image``.
    """
    return sfdump.difference(read_image(before), read_image(after)) or "no difference\n"


def watch(path: str, config: Optional[Config], write: Callable[[str], None],
          terminal: bool) -> None:
    """Write a text dump every second until interrupted; on a terminal, in place.

    Raises:
        XhaError: the first reading failed, as ``read_image``.  Later failures are shown.
    """
    text = dump(path, config)
    try:
        while True:
            # Home, the text with each line cleared to its end, then everything below.
            write("\x1b[H" + text.replace("\n", "\x1b[K\n") + "\x1b[J" if terminal
                  else text + "\n")
            time.sleep(WATCH_PAUSE_S)
            try:
                text = dump(path, config)
            except XhaError as error:
                text = "{}\n".format(error)
    except KeyboardInterrupt:
        pass


# In the child

def _write(verb: str, config: Config) -> str:
    device = sfdevice.open_device(config.local.statefile)
    try:
        if verb == "init":
            return _initialise(device, config)
        if verb in ("exclude", "include"):
            return _set_excluded(device, config, verb == "exclude")
        return _set_pool_state(device, config, PoolState[verb.upper()])
    except OSError as error:
        raise XhaError(ExitCode.STATEFILE_INACCESSIBLE, "State-File {}: {}".format(
            device.path, sfdevice.text_of(error))) from error
    finally:
        device.close()


def _initialise(device: Device, config: Config) -> str:
    try:
        old = sfformat.decode_global(device.read(0, 1))
    except FormatError:
        pass                        # No pool, or none that anybody could go on with.
    else:
        _put(device, 0, sfformat.encode_global(old._replace(pool_state=PoolState.INVALID)))
        device.flush()
    blank = sfformat.encode_host(BLANK_RECORD._replace(seal=_BLANK_SEAL))
    for section in range(1, 1 + MAX_HOSTS):
        _put(device, section, blank)
    device.flush()
    _put(device, 0, sfformat.encode_global(GlobalRecord(
        generation_uuid=config.common.generation_uuid, pool_state=PoolState.INIT,
        master=NO_MASTER, host_count=len(config.common.hosts),
        pool_key=PoolKey(os.urandom(KEY_BYTES)),
        seal=GlobalSeal(software=_SOFTWARE, initialised_by=display_uuid(config.local.host_uuid),
                        initialised_at_wall_s=int(time.time())))))
    device.flush()
    return "State-File {} initialised for {} hosts".format(
        device.path, len(config.common.hosts))


def _set_pool_state(device: Device, config: Config, wanted: PoolState) -> str:
    found = _read_global(device, config)
    for _ in range(RAISE_TRIES):
        if found.pool_state > wanted:
            raise XhaError(ExitCode.INVALID_POOL_STATE, "the pool state is {}: it cannot become"
                           " {} again without init".format(
                               found.pool_state.name.lower(), wanted.name.lower()))
        if found.pool_state is wanted:
            break
        device.write(0, sfformat.encode_global(found._replace(pool_state=wanted)))
        device.flush()
        found = _read_global(device, config)
    else:
        raise OSError(0, "the pool state does not stay {}".format(wanted.name.lower()))
    if wanted is PoolState.INVALID:
        _confirm_invalid(device, config)
    return "pool state is {}".format(found.pool_state.name.lower())


def _confirm_invalid(device: Device, config: Config) -> None:
    """Wait until nobody is left who could undo it.

    Raises:
        OSError: the last look failed.
    """
    quiet_s = config.common.statefile_interval_ms / 1000 + 1
    now_s = started_s = changed_s = time.monotonic()
    sequences = {}  # type: Dict[int, int]
    failure = None  # type: Optional[OSError]
    while now_s < min(changed_s + quiet_s, started_s + _confirm_bound_s(config)):
        time.sleep(CONFIRM_PAUSE_S)
        now_s = time.monotonic()
        try:
            failure = None
            if _stirs(device, config, sequences):
                changed_s = now_s
        except OSError as error:
            failure, changed_s = error, now_s
    if failure is not None:
        raise failure


def _stirs(device: Device, config: Config, sequences: Dict[int, int]) -> bool:
    """Whether a record advanced, or the pool state was undone, and is invalid again now."""
    count = len(config.common.hosts)
    data = device.read(0, 1 + count)
    stirs = False
    for index in range(count):
        content = sfformat.section_of_host(_section(data, 1 + index), index).content
        if isinstance(content, HostRecord):
            stirs = stirs or sequences.get(index, content.sequence) != content.sequence
            sequences[index] = content.sequence
    found = sfformat.section_of_global(_section(data, 0)).content
    if isinstance(found, GlobalRecord) and (
            found.generation_uuid == config.common.generation_uuid
            and found.pool_state is not PoolState.INVALID):
        device.write(0, sfformat.encode_global(found._replace(pool_state=PoolState.INVALID)))
        device.flush()
        stirs = True
    return stirs


def _confirm_bound_s(config: Config) -> float:
    common = config.common
    return (common.statefile_watchdog_timeout_ms + common.statefile_interval_ms) / 1000


def _set_excluded(device: Device, config: Config, excluded: bool) -> str:
    found = _read_global(device, config)
    if found.pool_state is not PoolState.ACTIVE:
        raise XhaError(ExitCode.INVALID_POOL_STATE, "the pool state is {}, expected active".format(
            found.pool_state.name.lower()))
    index = config.local.index
    content = _read_good(device, 1 + index, "record of host {}".format(index),
                         lambda data: _decode_host_of(index, data))
    assert isinstance(content, HostRecord)
    word = "excluded" if excluded else "not excluded"
    if content.excluded is excluded:
        return "host {} is {} already".format(index, word)
    seal = content.seal
    if seal is not None:
        seal = seal._replace(written_at_wall_ms=int(time.time() * 1000))
    # The sequence stays, or peers would see a dead host advance; and what the last daemon said
    # of a liveset goes, or a host that starts could take it for one to be in.
    _put(device, 1 + index, sfformat.encode_host(content._replace(
        excluded=excluded, host_index=index, host_uuid=config.local.host_uuid, seal=seal,
        current_liveset=EMPTY, proposed_liveset=EMPTY, heartbeat_domain=EMPTY,
        statefile_domain=EMPTY, lock_request=False, lock_grants=EMPTY)))
    device.flush()
    return "host {} is {} now".format(index, word)


def _read_global(device: Device, config: Config) -> GlobalRecord:
    content = _read_good(device, 0, "global record", sfformat.decode_global)
    assert isinstance(content, GlobalRecord)
    if content.generation_uuid != config.common.generation_uuid:
        raise XhaError(
            ExitCode.GENERATION_MISMATCH, "State-File {} is of generation {}, the configuration"
            " of {}".format(device.path, display_uuid(content.generation_uuid),
                            display_uuid(config.common.generation_uuid)))
    return content


def _read_good(device: Device, section: int, name: str,
               decode: Callable[[bytes], object]) -> object:
    """A record that must be good; read twice, since a read may meet a write half way."""
    try:
        return decode(device.read(section, 1))
    except FormatError:
        pass
    try:
        return decode(device.read(section, 1))
    except FormatError as error:
        raise XhaError(ExitCode.INVALID_STATEFILE, "State-File {}, {}: {}".format(
            device.path, name, error)) from error


def _decode_host_of(index: int, data: bytes) -> HostRecord:
    content = sfformat.decode_host(data)
    if content.host_uuid and content.host_index != index:
        raise FormatError("it is that of host {}".format(content.host_index))
    return content


def _put(device: Device, section: int, data: bytes) -> None:
    device.write(section, data)
    if device.read(section, 1) != data:
        raise OSError(0, "section {} reads back otherwise than it was written".format(section))


def _read_image(path: str) -> Image:
    device = sfdevice.open_device(path, readonly=True)
    try:
        sections = []  # type: List[Union[bytes, str]]
        failures = 0
        for section in range(sfformat.SECTIONS):
            if device.size_bytes < (section + 1) * RECORD_BYTES:
                sections.append("beyond the end: {} bytes in all".format(device.size_bytes))
            elif failures >= FAILURES_MAX:
                sections.append("not tried, after {} failures".format(failures))
            else:
                try:
                    sections.append(device.read(section, 1))
                    failures = 0
                except OSError as error:
                    sections.append(sfdevice.text_of(error))
                    failures += 1
        return Image(path=path, size_bytes=device.size_bytes, sections=tuple(sections))
    finally:
        device.close()


def _section(data: bytes, section: int) -> bytes:
    return data[section * RECORD_BYTES:(section + 1) * RECORD_BYTES]
