"""What is fuzzed: every decoder and parser of src/ that reads bytes from outside.

A target is a function of some bytes.  It returns when they give a record or the documented error,
and raises else: that is a finding.  It may check more, where that is cheap: what was decoded is
encoded and decoded to the same.

Behind a checksum a fuzzer never gets by chance.  So a target may have a ``mend``: it makes the
checksums of changed bytes right again, and the fuzzer mends most of what it changes.

``seeds`` are whole inputs to begin with: samples of the unit tests, and the original's own
records.  What the fuzzer found beyond them is in corpus/.
"""
import gzip
import json
import os
import struct
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [path for path in (os.path.join(TESTS, "unit"), TESTS) if path not in sys.path]

import format_samples  # noqa: E402  (they stand there)
import recorder_samples  # noqa: E402
import report_samples  # noqa: E402
from format_samples import KEY  # noqa: E402
from xha import (  # noqa: E402
    answer, bondhealth, catalogue, config, ctlformat, events, faultpoints, firewall, hbformat,
    history, holdterm, hostweight, installplan, keyedhash, logmask, looknetwork, options, picture,
    proofpage, prooftext, recorderformat, report, sandboxprompt, sealformat, sfdump, sfformat,
    simscript, status, statusdown, statuspicture, timeline, timerrecord, usage, why, whyfiles,
    whylog, whytell, whytext, whyxen, xapihealth, xapimonitor)
from xha.actions import Log  # noqa: E402
from xha.child import Ended, How, Job  # noqa: E402
from xha.crc import crc32c  # noqa: E402
from xha.errors import ExitCode, FormatError, XhaError  # noqa: E402
from xha.history import Source  # noqa: E402
from xha.paths import Paths  # noqa: E402
from xha.published import Proof  # noqa: E402
from xha.simcheckers import Breach  # noqa: E402
from xha.simdeeds import ScriptError  # noqa: E402
from xha.simscript import Director  # noqa: E402

FIXTURES = os.path.join(TESTS, "fixtures")
MESSAGES = catalogue.parse(open(os.path.join(os.path.dirname(TESTS), "sysloglist")).read())


class Target:
    """One thing that is fuzzed."""

    def __init__(self, name, run, seeds, mend=None, longest=4096):
        """``seeds``: gives a list of inputs; ``longest``: bytes of an input."""
        self.name, self.run, self.seeds, self.mend, self.longest = name, run, seeds, mend, longest


def fixture(name):
    """A file of tests/fixtures."""
    with open(os.path.join(FIXTURES, name), "rb") as file:
        data = file.read()
    return gzip.decompress(data) if name.endswith(".gz") else data


def named(*ends):
    """The fixtures with these endings."""
    return [fixture(name) for name in sorted(os.listdir(FIXTURES)) if name.endswith(ends)]


def text_of(data):
    """Bytes of a file as a program that is not ASCII-minded would give them."""
    return data.decode("utf-8", "replace")


def stable(found, through):
    """What was decoded is encoded and decoded to the same, from the first time on.

    The first time may change it: what others leave blank has a word of ours.
    """
    once = through(found)
    assert through(once) == once, (once, found)


# ---- heartbeat: one byte says whether the pool has a key

def heartbeat(data):
    key = KEY if data[:1] >= b"\x80" else None
    try:
        found, proof = hbformat.decode(data[1:], key)
    except hbformat.DatagramError as error:
        assert error.cause in ("length", "signature", "size", "uuid", "host-index", "phase")
        return
    if proof is Proof.BROKEN:
        assert found.seal is None
        return
    stable(found, lambda one: hbformat.decode(hbformat.encode(one, key), key)[0])


def mend_heartbeat(data):
    """A whole datagram: lengths and proof are right."""
    base = data[1:1 + hbformat.BASE_BYTES].ljust(hbformat.BASE_BYTES, b"\0")
    base = struct.pack("<I", hbformat.SIGNATURE) + base[4:12] + struct.pack(
        "<I", hbformat.BASE_BYTES) + base[16:]
    seal = bytearray(data[1 + hbformat.BASE_BYTES:1350])
    if len(seal) < 60:
        return data[:1] + base
    by_key = data[:1] >= b"\x80"
    seal[:8], seal[8:10] = b"xha-beat", b"\x01\x00"
    size = 32 if by_key else 4
    body = bytes(seal[:-size]) if len(seal) > 300 + size else bytes(seal).ljust(340, b"\0")
    body = body[:10] + struct.pack("<HB", len(body) + size, 2 if by_key else 1) + body[13:]
    proof = keyedhash.Keyed(KEY).prove(base + body) if by_key else struct.pack(
        "<I", crc32c(base + body))
    return data[:1] + base + body + proof


def heartbeat_seeds():
    beat = format_samples.HEARTBEAT if hasattr(format_samples, "HEARTBEAT") else None
    found = [b"\0" + data for data in named(".bin")]
    if beat is not None:
        found += [b"\0" + hbformat.encode(beat, None), b"\x80" + hbformat.encode(beat, KEY)]
    return found


# ---- records of the State-File

def host_record(data):
    section = sfformat.section_of_host(data, 2)
    sfformat.section_of_host(data)
    if section.content is not None:
        sfformat.seal_state(data)
        stable(section.content, lambda one: sfformat.decode_host(sfformat.encode_host(one)))


def global_record(data):
    section = sfformat.section_of_global(data)
    if section.content is not None:
        sfformat.seal_state(data)
        stable(section.content, lambda one: sfformat.decode_global(sfformat.encode_global(one)))


def _mend_record(data, head, summed):
    data = bytearray(data[:4096].ljust(4096, b"\0"))
    data[:8] = head
    data[12 + summed.size:16 + summed.size] = struct.pack(
        "<I", 0x68646e65 if head[:4] == b"host" else 0x70646e65)
    checksum = sum(summed.unpack_from(bytes(data), 12)) & 0xffffffff
    data[8:12] = struct.pack("<I", checksum)
    at = sealformat.SEAL_OFFSET
    if any(data[at:at + 8]):
        data[at:at + len(sealformat.MAGIC)] = sealformat.MAGIC
        data[at + 12:at + 16] = struct.pack("<I", checksum)
        origin = sealformat.FIELDS_OFFSET
        if bytes(data[origin:origin + 8]) == b"xhaorign":
            end = origin + struct.calcsize("<8sQ64s32sI32sI")
            data[end:end + 4] = struct.pack("<I", crc32c(bytes(data[origin:end])))
        data[4092:] = struct.pack("<I", crc32c(bytes(data[:4092])))
    return bytes(data)


def mend_host(data):
    """Signatures, sums and CRC are right."""
    return _mend_record(data, struct.pack("<II", 0x74736f68, 0xf1719212), struct.Struct("<154i"))


def mend_global(data):
    """Signatures, sums and CRCs are right."""
    return _mend_record(data, struct.pack("<II", 0x6c6f6f70, 0xf2721211), struct.Struct("<22i"))


def sections_of(name):
    """The global record and the first four of hosts of an image of the original's."""
    data = fixture(name)
    return [data[at:at + 4096] for at in range(0, 5 * 4096, 4096)]


def host_seeds():
    return [sfformat.encode_host(format_samples.HOST),
            sfformat.encode_host(format_samples.HOST._replace(seal=None)),
            sections_of("sf_crash2.img.gz")[1], bytes(4096)]


def global_seeds():
    return [sfformat.encode_global(format_samples.GLOBAL),
            sfformat.encode_global(format_samples.GLOBAL._replace(seal=None, pool_key=None)),
            sections_of("sf_master1.img.gz")[0], bytes(4096)]


def image(data):
    """A State-File of a global record and one host's, as `dump-statefile` shows it."""
    sections = (data[:4096].ljust(4096, b"\0"), data[4096:8192].ljust(4096, b"\0"))
    one = sfdump.Image(path="image", size_bytes=8192, sections=sections + ("EIO",) * 63)
    for text in (sfdump.as_text(one), sfdump.as_json(one), sfdump.as_original(one)):
        assert text.isascii() if hasattr(text, "isascii") else text.encode("ascii")
    down = statusdown.Down(
        why="no daemon", silent=False, pid=0, settings=None, settings_error="none",
        found=sfdump.describe(one), statefile_error="", timers="", at_wall_s=1800000000)
    known = status.Known(code=14, snapshot=None, down=down, build="",
                         concerns=tuple(statusdown.concerns_of(down)))
    assert status.lines_of(known, statuspicture.Screen(width=80, height=24, glyphs=picture.ASCII))
    json.loads(status.as_json(known))
    other = one._replace(sections=(format_samples_global(),) + sections[1:] + ("EIO",) * 63)
    sfdump.difference(one, other)


def format_samples_global():
    return sfformat.encode_global(format_samples.GLOBAL)


def mend_image(data):
    """Both records are right."""
    return mend_global(data[:4096]) + mend_host(data[4096:])


# ---- the core behind its formats: datagrams and readings of a pool that runs

def core(data):
    """A running host is told datagrams and readings that its peer sealed.

    That a peer who knows the key breaks a promise is no finding (``Breach``): it may lie.  That
    the core dies of it is one.
    """
    director = Director()
    director.obey("pool of 2; started; seed 1")
    pool = director.pool
    at = 0
    try:
        while at + 2 < len(data) and pool.hosts[0].node is not None:
            kind, size = data[at] % 4, min(data[at + 1] * 8, len(data) - at - 2)
            start, part = data[at] // 4 * 32, data[at + 2:at + 2 + size]
            at += 2 + size
            if kind == 0:
                tell(pool, part)
            elif kind in (1, 2):
                section, mend = ((2, mend_host) if kind == 1 else (0, mend_global))
                pool.disk.sections[section] = mend(
                    flipped(pool.disk.sections[section], start, part))
                pool.run(1100)
            else:
                pool.run(start)
        pool.run(2500)
    except Breach:
        pass


def flipped(data, start, part):
    """Bytes with those from ``start`` on flipped by ``part``."""
    head, changed, tail = data[:start], data[start:start + len(part)], data[start + len(part):]
    return head + bytes(one ^ other for one, other in zip(changed, part)) + tail


def tell(pool, part):
    """Let host 0 hear what its peer might send next, with some bytes flipped."""
    heard = pool.hosts[0].view.peers[1].heartbeat
    if heard is None:
        return
    key = pool.hosts[0].node._key
    datagram = hbformat.encode(heard._replace(sequence=(heard.sequence + 1) & 0xffffffff), key)
    pool.hosts[0].node.datagram(_sealed(flipped(datagram, 16, part), key),
                                pool.common.hosts[1].address, pool.hosts[0].now_ms())
    pool.hosts[0].take(events.Tick())


def _sealed(datagram, key):
    """A datagram with the proof that its content asks for."""
    body = datagram[:-32] if key is not None else datagram[:-4]
    return body + (keyedhash.Keyed(key).prove(body) if key is not None
                   else struct.pack("<I", crc32c(body)))


def core_seeds():
    return [bytes([0, 2]) + bytes(range(16)), bytes([1, 1]) + b"\xff" * 8,
            bytes([3, 0, 2, 1]) + b"\1" * 8 + bytes([43, 0]),
            b"".join(bytes([kind, 1]) + bytes([kind]) * 8 for kind in range(0, 250, 17))]


# ---- the flight recorder

def recorder(data):
    """A file; what it holds is shown, too."""
    try:
        found = recorderformat.decode(data)
    except FormatError:
        return
    show([Source(path="recorder", recording=found)])


def show(sources):
    """The history of these, as `timeline` prints it, and its page's lines."""
    lines = history.history(sources, MESSAGES)
    text = timeline.as_text(sources, lines) + timeline.as_json(sources, lines)
    text.encode("ascii")


def recorder_text(data):
    """Texts of a header and of records, line by line, in slots that are whole."""
    texts = data.split(b"\n")
    whole = recorderformat.pack(b"H", 0, texts[0][:recorderformat.MAX_TEXT] or b"{}")
    whole = whole.ljust(recorderformat.HEADER_SLOTS * 512, b"\0")[:16 * 512] * 2
    number = 0
    body = b""
    for text in texts[1:17]:
        if text:
            packed = recorderformat.pack(b"E", number, text[:480])
            number += len(packed) // 512
            body += packed
    recorder(whole + body)


def recorder_seeds():
    header = recorder_samples.HEADER._replace(event_slots=16, measure_slots=16)
    entries = [recorder_samples.event(10), recorder_samples.event(20, "liveset-changed",
                                                                 liveset="110")]
    return [recorder_samples.file_of(entries, header)[:34 * 512]]


def mend_recorder(data):
    """The CRC of each slot is right."""
    found = []
    for at in range(0, len(data), 512):
        slot = data[at:at + 512].ljust(512, b"\0")
        if any(slot):
            import binascii
            slot = b"xhaR" + struct.pack("<I", binascii.crc32(slot[8:])) + slot[8:]
        found.append(slot)
    return b"".join(found)


def recorder_text_seeds():
    header = json.dumps(dict(recorder_samples.HEADER._asdict(),
                             addresses=["10.0.0.1", "10.0.0.2"], event_slots=16)).encode()
    entries = [recorderformat.encode_entry(one) for one in (
        recorder_samples.event(10), recorder_samples.event(20, "host-dropped", host=1),
        recorder_samples.measure(30, span_ms=5, reads=(1, 2, 3)))]
    state = recorder_samples.event(40, "", "", phase="FH1", liveset="110")._replace(kind="state")
    return [b"\n".join([header] + entries + [recorderformat.encode_entry(state)])]


# ---- the control socket

def request(data):
    try:
        verb, arguments = ctlformat.decode_request(data)
    except ctlformat.Malformed:
        return
    assert ctlformat.decode_request(ctlformat.encode_request(verb, arguments)) == (
        verb, arguments)
    for read in (lambda: faultpoints.FaultPoints(True).set(arguments[-1]),
                 lambda: holdterm.asked_ms(arguments[-1], holdterm.XAPI_MOST_MS),
                 lambda: logmask.levels_of(arguments[-1], False)):
        try:
            read()
        except (FormatError, XhaError, IndexError):
            if not arguments:
                continue


def request_seeds():
    return [ctlformat.encode_request(verb, tuple(
        words[0] if words else "word" for words in permitted))
        for verb, lists in sorted(ctlformat.VERBS.items()) for permitted in lists] + [
            b"xha/1\tfault\tset\tstatefile.slow=100\n", b"xha/1\thold\t1h30m\n"]


def reply(data):
    try:
        if ctlformat.reply_length(data) == len(data):
            found = ctlformat.decode_reply(data)
            assert repr(ctlformat.decode_reply(ctlformat.encode_reply(found))) == repr(found)
    except ctlformat.Malformed:
        return


def reply_seeds():
    return [ctlformat.encode_reply(ctlformat.Reply(0, "TRUE\n", "")),
            ctlformat.encode_reply(ctlformat.Reply(2, "", "why\n")),
            b"xha/1\t0\t3\t0\na\nb", b"xha/1\t0\t3\t0\na\xffb"]


def daemon_answer(data):
    """A daemon's JSON, read back by `status` and `metrics`."""
    try:
        found = answer.read(text_of(data))
    except FormatError:
        return
    report.as_json(found)


def answer_seeds():
    return [report.as_json(report_samples.snapshot()).encode(),
            b'{"version": 1}', report.as_json(report_samples.snapshot(
                margins=report_samples.slow_night())).encode()]


# ---- configuration

def configuration(data):
    try:
        found = config.parse(data, "xhad.conf")
    except XhaError as error:
        assert error.code is ExitCode.INVALID_CONFIG
        str(error).encode("ascii")
        return
    page = proofpage.describe(found, "xhad.conf", None, "no daemon")
    prooftext.as_text(page).encode("ascii")
    json.dumps(page)


def configuration_seeds():
    return named(".conf")


def weights(data):
    try:
        hostweight.parse(data.decode("latin-1"))
    except FormatError:
        pass


# ---- words of people: options, requests, stories

def words(data):
    """A command line, split at NUL; and what single words mean."""
    parts = [part.decode("utf-8", "surrogateescape") for part in data.split(b"\0")]
    names = usage.commands()
    try:
        usage.parse(names[data[0] % len(names)] if data else "status", parts[1:])
    except XhaError as error:
        assert error.code is ExitCode.INVALID_PARAMETER
    for read in (lambda word: holdterm.length_ms(word, holdterm.DISARM_MOST_MS),
                 lambda word: timeline.wall_ms_of(word, 10 ** 12),
                 lambda word: hostweight.check_weight(word),
                 lambda word: hostweight.check_name(word),
                 lambda word: logmask.levels_of(word, True),
                 lambda word: faultpoints.FaultPoints(True, [word]),
                 lambda word: sandboxprompt.groups_of(word, 3),
                 lambda word: sandboxprompt.choose(word, ["crash", "cut"])):
        for word in parts[1:4]:
            try:
                read(word)
            except XhaError as error:
                assert error.code is ExitCode.INVALID_PARAMETER
            except FormatError:
                pass


def words_seeds():
    return [b"\0".join(row) for row in (
        [b"\1", b"--format=json", b"1h30m"], [b"\2", b"2026-11-27T14:30:00", b"90s"],
        [b"\3", b"statefile.slow=100", b"0,1 | 2"], [b"\4", b"notice,info", b"65535"])]


def story(data):
    """A story of a small pool: a few lines, none that takes long."""
    text = data[:300].decode("ascii", "replace")
    if any(len(digits) > 3 for digits in "".join(
            letter if letter in "0123456789" else " " for letter in text).split()):
        return
    director = Director()
    try:
        director.obey("pool of 3; started; seed 1")
        for line in simscript.commands_of(text)[:4]:
            if "rest" not in line and "pool of" not in line and "forms" not in line:
                director.obey(line)
    except (ScriptError, Breach):
        pass


def story_seeds():
    return [b"at 1 s: partition a,b | c\n", b"host 1 crashes\n0.5 s pass\nhost 1 starts\n",
            b"network loses 10 % of 2\nstatefile of all lost\n", b"link 0-2 cut\nheal\n",
            b"0 asks propose-master\nweight of 2 becomes 5\n", b"1 disarms for 30\n",
            b"machine of 1 freezes\nnext write of 1 torn after 3\nrecord of 2 damaged\n"]


# ---- what other programs and other hosts leave

def xen_log(data):
    text = text_of(data)
    if whyxen.is_log(text):
        whyxen.ends(text)


def xen_seeds():
    return [b"(XEN) [2026-11-27 10:00:00] Xen version 4.17\n(XEN) Watchdog timer fired for domain "
            b"0\n(XEN) Hardware Dom0 shutdown: watchdog rebooting machine\n"]


def xha_log(data):
    """A log; what it tells is shown, too."""
    text = data.decode("ascii", "replace")
    whylog.is_log(text)
    show([Source(path="log", recording=life)
          for host in (-1, 1) for life in whylog.lives(text, host)])


def log_seeds():
    stamp = b"2026-11-27T10:00:0%d.123Z"
    return [b"".join(
        (stamp % number) + b" " + rest + b"\n" for number, rest in enumerate((
            b"notice xha[12]: The daemon started. [daemon-started] host=1 hosts=3 pid=12 "
            b"incarnation=7 mode=USER version=1.0.0",
            b"notice xha[12]: Liveset updated (110). [liveset-changed] liveset=110",
            b"err xha[12]: This host fences itself. [self-fencing] code=lost text=\"a \\\" b\"")))]


_SCRATCH = []


def evidence(data):
    """A file that was copied from anywhere, given to `why`."""
    if not _SCRATCH:
        folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
        _SCRATCH.append(tempfile.NamedTemporaryFile(prefix="xha-fuzz-", dir=folder))
    path = _SCRATCH[0].name
    with open(path, "wb") as file:
        file.write(data)
    try:
        gathered = whyfiles.of_files([path])
    except XhaError as error:
        assert error.code in (ExitCode.INVALID_PARAMETER, ExitCode.SYSTEM_ERROR)
        return
    judge(gathered)
    try:
        sources, _ = timeline.read([path])
    except XhaError as error:
        assert error.code in (ExitCode.INVALID_PARAMETER, ExitCode.SYSTEM_ERROR)
        return
    show(sources)


def judge(gathered):
    """What `why` says of it."""
    for case in whytell.incidents(gathered.evidence, None, None)[-2:]:
        told = why._told([case], gathered)
        whytext.as_text(told).encode("ascii")
        json.dumps(whytell.facts(told))


def evidence_seeds():
    return (recorder_seeds() + xen_seeds() + log_seeds()
            + [format_samples_global() + sfformat.encode_host(format_samples.HOST)])


def xapi_output(data):
    """What dom0's health check, or a restart of xapi, printed."""
    child = xapimonitor._Child.__new__(xapimonitor._Child)
    child._output = data[1:]
    text = child.text
    text.encode("ascii")
    health = xapihealth.XapiHealth(format_samples_common())
    wishes = health.step(0, True) + health.step(10 ** 6, True)
    for wish in wishes:
        if isinstance(wish, Job):
            wishes = health.ended(10 ** 6 + 1, Ended(
                work=wish.work, ticket=wish.ticket, how=list(How)[data[0] % 4 if data else 0],
                number=1, text=text, duration_ms=5))
    for wish in wishes:
        if isinstance(wish, Log):
            assert not MESSAGES.complaint(wish)
            MESSAGES.text_of(wish, ()).encode("ascii")


def format_samples_common():
    return config.parse(fixture("xhad_host0.conf")).common


def xapi_seeds():
    return [b"\0xapi does not answer\n", b"\1", b"\2a\xc3\xa9\0b", b"\3no such file"]


def iptables(data):
    try:
        rules = firewall.of_iptables(text_of(data))
    except FormatError:
        return
    firewall.outcome([rules], PACKET)


PACKET = firewall.packet(694, "eth0", "10.0.0.1", "10.0.0.2", "new")


def iptables_seeds():
    return [b"*filter\n:INPUT ACCEPT [0:0]\n:HA - [0:0]\n-A INPUT -i xenbr+ -p udp --dport 694 -j "
            b"HA\n-A INPUT ! -s 10.0.0.0/8 -m comment --comment \"a b\" -j DROP\n-A HA -m conntrack"
            b" --ctstate NEW -j REJECT --reject-with icmp\n-A HA -g HA\nCOMMIT\n",
            b"*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m multiport --dports 1:5,694 -j LOG\n"]


def nft(data):
    for family in ("ip", "ip6"):
        try:
            rules = firewall.of_nft(text_of(data), family, family == "ip6")
        except FormatError:
            continue
        firewall.outcome([rules], PACKET)


def nft_seeds():
    match = {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}},
                       "right": {"set": [694, {"range": [1, 5]}]}}}
    meta = {"match": {"op": "!=", "left": {"meta": {"key": "iifname"}}, "right": "eth0"}}
    vmap = {"vmap": {"key": {"ct": {"key": "state"}},
                     "data": {"set": [["established", {"accept": None}],
                                      ["invalid", {"drop": None}]]}}}
    about = {"family": "inet", "table": "t"}
    rows = [{"metainfo": {}}, {"chain": dict(about, name="in", hook="input", type="filter", prio=0,
                                             policy="drop")},
            {"chain": dict(about, name="c")},
            {"rule": dict(about, chain="in", expr=[match, meta, {"counter": {}},
                                                   {"jump": {"target": "c"}}])},
            {"rule": dict(about, chain="c", expr=[vmap])}]
    return [json.dumps({"nftables": rows}).encode()]


def bonding(data):
    text = data.decode("ascii", "backslashreplace")
    try:
        bondhealth.parse(text).words.encode("ascii", "backslashreplace")
    except FormatError:
        pass
    one = bondhealth.BondHealth("bond0")
    for message in one.look(text) + one.look(None) + one.look(text):
        assert not MESSAGES.complaint(message)


def bonding_seeds():
    return [b"Ethernet Channel Bonding Driver\n\nBonding Mode: x\nMII Status: up\n\n"
            b"Slave Interface: eth0\nMII Status: up\n\nSlave Interface: eth1\nMII Status: down\n"]


def sockets(data):
    """The text of /proc/net/udp."""
    try:
        looknetwork.sockets_of(text_of(data), 694)
    except FormatError:
        pass


def sockets_seeds():
    return [b"  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout"
            b" inode\n 10: 0100007F:02B6 00000000:0000 07 0:0 0:0 0 0 0 4711 2 0 0\n"]


# ---- files of ours, which somebody may have changed

def timer_record(data):
    for read in (timerrecord.decode, timerrecord._ids):
        try:
            read(data)
        except ValueError:
            pass
    folder = scratch_folder()
    paths = Paths(run_dir=folder, state_dir=folder)
    for path in (paths.watchdog_record, timerrecord.note_path(paths), paths.watchdog_ids):
        with open(path, "wb") as file:
            file.write(data)
    timerrecord.read(paths)
    timerrecord.fired_note(paths, timerrecord.Process(pid=7, started=9))


_FOLDER = []


def scratch_folder():
    if not _FOLDER:
        shm = "/dev/shm" if os.path.isdir("/dev/shm") else None
        _FOLDER.append(tempfile.TemporaryDirectory(prefix="xha-fuzz-", dir=shm))
    return _FOLDER[0].name


def timer_seeds():
    about = {"pid": 7, "started": 9}
    return [json.dumps({
        "version": timerrecord.VERSION, "boot_id": "b", "mode": "HYPERVISOR", "armed": True,
        "timers": [{"role": "heartbeat", "id": 1}, {"role": "statefile", "id": 2}],
        "daemon": about, "keeper": about, "timeouts_ms": {"heartbeat": 5000}}).encode(),
        b"1\n2\n", json.dumps(dict(about, boot_id=timerrecord.boot_id(), cause="c",
                                   outcome="o")).encode()]


def journal(data):
    try:
        installplan.encode(installplan.decode(data))
    except FormatError:
        pass


def journal_seeds():
    laid = {"path": "/a", "before": False, "was": "", "kind": "file", "mode": 420, "text": "t"}
    return [json.dumps({"format": 1, "build": "b", "made": ["/d"], "laid": [laid]}).encode()]


def last_report(data):
    """What a daemon that gave up told its start-daemon."""
    options.reported(data)


def report_seeds():
    return [b"12 start timeout\n", b"x\n7 the file\n8"]


def messages(data):
    try:
        catalogue.parse(data.decode("ascii", "replace"))
    except FormatError:
        pass


def messages_seeds():
    return [b"a-b notice\n  Text {x}.\n\n  Meaning.\n\n  Operator: do.\n\nc err repeats\n  T.\n\n"
            b"  M.\n\n  Operator: x\n"]


TARGETS = [
    Target("heartbeat", heartbeat, heartbeat_seeds, mend_heartbeat, 1450),
    Target("host-record", host_record, host_seeds, mend_host),
    Target("global-record", global_record, global_seeds, mend_global),
    Target("image", image, lambda: [
        one + other for one, other in zip(global_seeds(), host_seeds())], mend_image, 8192),
    Target("core", core, core_seeds, None, 1024),
    Target("recorder", recorder, recorder_seeds, mend_recorder, 34 * 512),
    Target("recorder-text", recorder_text, recorder_text_seeds),
    Target("request", request, request_seeds, None, 600),
    Target("reply", reply, reply_seeds, None, 600),
    Target("answer", daemon_answer, answer_seeds, None, 20000),
    Target("configuration", configuration, configuration_seeds),
    Target("weights", weights, lambda: [b"a 1\nb 65535\n"], None, 300),
    Target("words", words, words_seeds, None, 200),
    Target("story", story, story_seeds, None, 300),
    Target("xen-log", xen_log, xen_seeds, None, 1000),
    Target("xha-log", xha_log, log_seeds, None, 2000),
    Target("evidence", evidence, evidence_seeds, None, 34 * 512),
    Target("xapi-output", xapi_output, xapi_seeds, None, 3000),
    Target("iptables", iptables, iptables_seeds, None, 1000),
    Target("nft", nft, nft_seeds, None, 3000),
    Target("bonding", bonding, bonding_seeds, None, 1000),
    Target("sockets", sockets, sockets_seeds, None, 600),
    Target("timer-record", timer_record, timer_seeds, None, 1000),
    Target("journal", journal, journal_seeds, None, 1000),
    Target("last-report", last_report, report_seeds, None, 200),
    Target("messages", messages, messages_seeds, None, 600),
]
BY_NAME = {target.name: target for target in TARGETS}
