"""What `install` and `uninstall` decide for each name, from what is there alone."""
import itertools

import pytest
from xha import installplan
from xha.errors import ExitCode, FormatError, XhaError
from xha.installplan import (ABSENT, AS_LAID, CHANGED, FILE, LINK, MISSING, NOTHING, OTHER,
                             Journal, Laid, Thing, beside)

PATH = installplan.STACK + "/ha_null"
OURS = Thing(kind=LINK, mode=0, text="xha.pyz")
OLDER = Thing(kind=LINK, mode=0, text="older.pyz")
THEIRS = Thing(kind=FILE, mode=0o755, text="5c12" * 16)
DIRECTORY = Thing(kind=OTHER, mode=0, text="")


def laid(thing=OURS, before=True, was=AS_LAID):
    return Laid(path=PATH, thing=thing, before=before, was=was)


def journal(*names, made=()):
    return Journal(build="b1", laid=tuple(names), made=tuple(made))


INSTALLS = [
    # known            found     switch  keep      before  was        why
    (None,             NOTHING,  True,   "",       False,  AS_LAID,   "nothing was there"),
    (None,             THEIRS,   True,   "before", True,   AS_LAID,   "the original is kept"),
    (None,             OURS,     True,   "before", True,   AS_LAID,   "made by hand: kept too"),
    (laid(),           OURS,     False,  "",       True,   AS_LAID,   "a second install"),
    (laid(OLDER),      OLDER,    True,   "last",   True,   AS_LAID,   "a newer one"),
    (laid(OLDER, False), OLDER,  True,   "last",   False,  AS_LAID,   "a newer one, on nothing"),
    (laid(),           NOTHING,  True,   "",       True,   MISSING,   "somebody removed it"),
    (laid(),           THEIRS,   True,   "last",   True,   CHANGED,   "somebody changed it"),
    (laid(was=CHANGED), OURS,    False,  "",       True,   AS_LAID,   "a change is told of once"),
]


@pytest.mark.parametrize("known, found, switch, keep, before, was, why", INSTALLS,
                         ids=[row[-1] for row in INSTALLS])
def test_what_an_install_does_with_a_name(known, found, switch, keep, before, was, why):
    step, = installplan.plan({PATH: OURS}, {PATH: found}, journal(known) if known else None)
    assert (step.switch, step.keep) == (switch, keep)
    assert step.laid == laid(OURS, before, was)


@pytest.mark.parametrize("known", [None, journal(laid())])
def test_a_directory_is_never_replaced(known):
    with pytest.raises(XhaError) as refusal:
        installplan.plan({PATH: OURS}, {PATH: DIRECTORY}, known)
    assert refusal.value.code == ExitCode.INVALID_ENVIRONMENT
    assert PATH in str(refusal.value)


def test_a_name_that_is_wanted_no_more_stays_known():
    step, = installplan.plan({}, {}, journal(laid()))
    assert (step.switch, step.laid) == (False, laid())


BEFORE, LAST, ASIDE = (beside(PATH, role) for role in ("before", "last", "changed"))

UNDONE = [
    # before  found     kept   same   then                                             why
    (True,    OURS,     True,  False, [("rename", BEFORE, PATH)],                      "installed"),
    (True,    THEIRS,   True,  True,  [("remove", BEFORE)],                  "kept, not switched"),
    (True,    THEIRS,   False, False, [],                              "not begun, or done"),
    (True,    NOTHING,  True,  False, [("rename", BEFORE, PATH)],           "ours was removed"),
    (True,    DIRECTORY, True, False, [("rename", PATH, ASIDE), ("rename", BEFORE, PATH)],
     "somebody changed ours"),
    (False,   OURS,     False, False, [("remove", PATH)],                    "on nothing"),
    (False,   NOTHING,  False, False, [],                              "not begun, or done"),
    (False,   THEIRS,   False, False, [("rename", PATH, ASIDE)],     "changed, on nothing"),
]


@pytest.mark.parametrize("before, found, kept, same, then, why", UNDONE,
                         ids=[row[-1] + (" (before)" if row[0] else "") for row in UNDONE])
def test_how_a_name_is_put_back(before, found, kept, same, then, why):
    assert installplan.undone(laid(OURS, before), found, kept, same) == then


TAKEN_BACK = [
    # found     was       last   same   then                          why
    (OLDER,     AS_LAID,  True,  True,  [("remove", LAST)],           "kept, not switched"),
    (OURS,      AS_LAID,  True,  False, [("rename", LAST, PATH)],     "switched"),
    (OLDER,     AS_LAID,  False, False, [],                           "not begun, or taken back"),
    (OURS,      AS_LAID,  False, False, [],                           "the same in both"),
    (THEIRS,    CHANGED,  True,  True,  [("remove", LAST)],           "changed, not switched"),
    (OURS,      CHANGED,  True,  False, [("rename", LAST, PATH)],     "changed, switched"),
    (OURS,      MISSING,  False, False, [("remove", PATH)],           "it was missing before"),
    (NOTHING,   MISSING,  False, False, [],                           "it was missing, and is"),
]


@pytest.mark.parametrize("found, was, last, same, then, why", TAKEN_BACK,
                         ids=[row[-1] for row in TAKEN_BACK])
def test_how_an_older_installation_comes_back(found, was, last, same, then, why):
    assert installplan.taken_back(laid(was=was), found, last, same) == then


def test_whatever_is_undone_is_undone_once():
    """After the operations, what is there asks for none."""
    for before, found, kept, same in itertools.product(
            (True, False), (NOTHING, OURS, THEIRS), (True, False), (True, False)):
        if kept and not before or same and (not kept or found == NOTHING):
            continue        # Cannot be.
        files = {PATH: found} if found.kind != ABSENT else {}
        if kept:
            files[BEFORE] = found if same else "the original"
        for operation in installplan.undone(laid(OURS, before), found, kept, same):
            taken = files.pop(operation[1])
            if operation[0] == "rename":
                files[operation[2]] = taken
        assert BEFORE not in files
        if kept:
            assert files[PATH] == (found if same else "the original")
            continue
        if not before:
            assert PATH not in files
        assert installplan.undone(laid(OURS, before), files.get(PATH, NOTHING), False, False) == []


def test_what_a_change_left_is_swept_to_where_it_is_kept():
    new = beside(PATH, "new")
    assert installplan.swept(laid()) == [("remove", new), ("remove", LAST)]
    assert installplan.swept(laid(was=CHANGED)) == [("remove", new), ("rename", LAST, ASIDE)]


def test_no_program_of_dom0_reads_what_is_kept():
    for role in ("new", "before", "last", "changed"):
        name = beside("/etc/logrotate.d/xhad", role).rpartition("/")[2]
        assert name.startswith(".") and name.endswith("~") and not name.endswith((".xml", ".conf"))


def test_a_journal_is_read_as_it_was_written():
    written = journal(laid(), laid(THEIRS, False, MISSING), made=["/etc/x", "/etc/x/y"])
    assert installplan.decode(installplan.encode(written)) == written


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"null", b'{"format": 2}',
                                  b"[" * 100000,
                                  b'{"format": 1, "build": "b", "made": [], "laid": [{"path": "", '
                                  b'"before": 1, "was": "", "kind": "", "mode": Infinity}]}',
                                  b'{"format": 1, "build": "b", "made": [], "laid": [{}]}'])
def test_what_is_no_journal_is_a_format_error(data):
    with pytest.raises(FormatError):
        installplan.decode(data)


def test_no_byte_that_is_missing_gives_another_journal():
    data = installplan.encode(journal(laid(), made=["/etc/x"]))
    for length in range(len(data) - 1):     # The last byte is the end of the line.
        with pytest.raises(FormatError):
            installplan.decode(data[:length])
