"""What `install` and `uninstall` do with each name of a host, decided without touching it.

Theory of operation
===================

An installation is a set of names (``Wanted``): the archive, the links to it by
which xapi calls, and a few files for other programs of dom0.  Before anything
is changed a *journal* says of every name what is laid down there and whether
something was there before.  Beside a name, in the same directory, and so on
the same file system, there are up to four others (``beside``):

  new      what will be at the name; complete and on the disk before it is used
  before   what was there before the first install: another hard link of the
           very same file, so its bytes, mode, owner and times are its own
  last     what was there before this install, if that is ours: an older archive
  changed  what somebody has put over ours since; the last such file is kept

They begin with a dot and end with "~": logrotate, portreserve, systemd and the
bug tool all leave such names out.

What is visible changes by renames alone.  The journal has three names, and
which of them is there says how to go on after a crash:

  pending    an install was interrupted: take it back, name by name
  leaving    an uninstall was interrupted: finish it, name by name
  installed  all is as it says; what is left beside the names is swept away

Renaming pending to installed is the one step from the old state to the new;
renaming installed to leaving is the step back.  Taking back and finishing use
renames and removals only: they need no space, and can be interrupted and
repeated themselves.  Source: spec 11.
"""

import json
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from xha.errors import ExitCode, FormatError, XhaError
from xha.records import record

#: Where xapi looks for the commands of the cluster stack "xhad".  Source: spec 11.
STACKS = "/usr/libexec/xapi/cluster-stack"
STACK = STACKS + "/xhad"
#: The archive; all links point to this name beside them.
ARCHIVE = STACK + "/xha.pyz"

#: The journal's names, and what it is written as at first.
PENDING = STACKS + "/.xhad.xha-pending"
INSTALLED = STACKS + "/.xhad.xha-installed"
LEAVING = STACKS + "/.xhad.xha-leaving"
WRITING = STACKS + "/.xhad.xha-writing~"

#: Where logrotate's other files are, and the log of which only one of them may speak.
LOGROTATE = "/etc/logrotate.d"
_WATCHDOG = "/etc/systemd/system/xen-watchdog.service.d"
_BUGTOOL = "/etc/xensource/bugtool"

#: File in install/; where it goes; mode.  Left out on a host without the directory that is
#: named last, for then nobody reads it there.
FILES = (
    ("xha-bugtool", STACK + "/xha-bugtool", 0o755, ""),
    ("logrotate", LOGROTATE + "/xhad", 0o644, LOGROTATE),
    ("portreserve", "/etc/portreserve/xhad", 0o644, "/etc/portreserve"),
    ("xen-watchdog.conf", _WATCHDOG + "/xha.conf", 0o644, "/etc/systemd/system"),
    ("bugtool.xml", _BUGTOOL + "/xha.xml", 0o644, _BUGTOOL),
    ("bugtool-collect.xml", _BUGTOOL + "/xha/collect.xml", 0o644, _BUGTOOL),
)

#: Directories that an install makes where they are missing, each after its parent.
DIRECTORIES = (STACK, _WATCHDOG, _BUGTOOL + "/xha")

ABSENT, FILE, LINK, OTHER = "absent", "file", "link", "other"
AS_LAID, MISSING, CHANGED = "as-laid", "missing", "changed"


@record
class Thing(NamedTuple):
    """What is at a name."""

    # ABSENT, FILE, LINK or OTHER (a directory, a device).
    kind: str
    # Permissions of a file; 0 for all else.
    mode: int
    # SHA-256 of a file in hex; where a link points to; "" for all else.
    text: str


NOTHING = Thing(kind=ABSENT, mode=0, text="")


@record
class Laid(NamedTuple):
    """A name that the installation has laid down, or is about to."""

    # From the root of the host.
    path: str
    thing: Thing
    # Whether something was there before the first install; it is at "before" then.
    before: bool
    # How this install found a name of an older one: MISSING, CHANGED by somebody, or AS_LAID
    # (which is said of new names, too).
    was: str


@record
class Journal(NamedTuple):
    """All that is needed to take an installation back."""

    build: str
    laid: Tuple[Laid, ...]
    # Directories that were made, each after its parent.
    made: Tuple[str, ...]

    def of(self, path: str) -> Optional[Laid]:
        """What is known of a name; None when it is not of this installation."""
        return next((laid for laid in self.laid if laid.path == path), None)


@record
class Step(NamedTuple):
    """What an install does with one name."""

    laid: Laid
    # Whether the name is to show something new; else it is as it should be.
    switch: bool
    # What was there gets this name beside it, "before" or "last"; "" when nothing was.
    keep: str
    # For people.
    said: str


def beside(path: str, role: str) -> str:
    """The name beside ``path`` for "new", "before", "last" or "changed"."""
    folder, _, name = path.rpartition("/")
    return "{}/.{}.xha-{}~".format(folder, name, role)


def links(names: Iterable[str]) -> Dict[str, Thing]:
    """The links in the stack directory, by their paths."""
    target = ARCHIVE.rpartition("/")[2]
    return {STACK + "/" + name: Thing(kind=LINK, mode=0, text=target) for name in names}


def plan(wanted: Dict[str, Thing], found: Dict[str, Thing],
         journal: Optional[Journal]) -> List[Step]:
    """What to do with each wanted name, in this order.

    Args:
        wanted: what shall be there.
        found: what is there, for the same names and those of the journal.
        journal: of the installation that there is; names that it has and that are not
            wanted any more stay as they are, for `uninstall` to take back.

    Raises:
        XhaError: INVALID_ENVIRONMENT, something is in the way that is no file.
    """
    steps = [_step(path, wanted[path], found[path], journal.of(path) if journal else None)
             for path in wanted]
    for laid in journal.laid if journal else ():
        if laid.path not in wanted:
            steps.append(Step(laid=laid._replace(was=AS_LAID), switch=False, keep="",
                              said="stays (no longer needed)"))
    return steps


def _step(path: str, wanted: Thing, found: Thing, known: Optional[Laid]) -> Step:
    """What to do with one name."""
    if found.kind == OTHER:
        raise XhaError(ExitCode.INVALID_ENVIRONMENT, "{} is a directory or a device and stands in "
                       "the way of a file: move it away".format(path))
    there = found.kind != ABSENT
    laid = Laid(path=path, thing=wanted, before=known.before if known else there, was=AS_LAID)
    if known is None:
        return Step(laid=laid, switch=True, keep="before" if there else "",
                    said="replace, keeping what is there" if there else "create")
    if found == wanted:
        return Step(laid=laid, switch=False, keep="", said="is in place")
    if not there:
        return Step(laid=laid._replace(was=MISSING), switch=True, keep="",
                    said="create again: it is missing")
    if found == known.thing:
        return Step(laid=laid, switch=True, keep="last", said="renew")
    return Step(laid=laid._replace(was=CHANGED), switch=True, keep="last",
                said="replace: somebody changed it; that is kept beside it as {}".format(
                    beside(path, "changed").rpartition("/")[2]))


def undone(laid: Laid, found: Thing, kept: bool, same: bool) -> List[Tuple[str, ...]]:
    """How a name is put back as it was before the first install, whatever was done so far.

    Args:
        found: what is at the name.
        kept: whether "before" is there.
        same: whether that is the very file that is at the name.

    Returns:
        Operations in order: ("remove", path) and ("rename", from, to).
    """
    path, before = laid.path, beside(laid.path, "before")
    if laid.before and (not kept or same):   # Never switched, or put back already.
        return [("remove", before)] if kept else []
    todo = []  # type: List[Tuple[str, ...]]
    if found.kind != ABSENT and found != laid.thing:
        todo.append(("rename", path, beside(path, "changed")))
    if laid.before:
        todo.append(("rename", before, path))
    elif found == laid.thing:
        todo.append(("remove", path))
    return todo


def taken_back(laid: Laid, found: Thing, last: bool, same: bool) -> List[Tuple[str, ...]]:
    """How a name of an older installation is put back as an interrupted install found it.

    Args:
        laid: what that install was about to lay down.
        found: what is at the name.
        last: whether "last" is there; ``same``: and is the very file that is at the name.

    Returns:
        As ``undone``.
    """
    path, kept = laid.path, beside(laid.path, "last")
    if last:
        return [("remove", kept)] if same else [("rename", kept, path)]
    return [("remove", path)] if laid.was == MISSING and found == laid.thing else []


def swept(laid: Laid) -> List[Tuple[str, ...]]:
    """What goes from beside a name once it is installed; as ``undone``, where it is there."""
    path = laid.path
    last = beside(path, "last")
    return [("remove", beside(path, "new")),
            ("rename", last, beside(path, "changed")) if laid.was == CHANGED else ("remove", last)]


def encode(journal: Journal) -> bytes:
    """The journal as a file: JSON, for people too."""
    facts = {
        "format": 1, "build": journal.build, "made": list(journal.made),
        "laid": [{"path": laid.path, "kind": laid.thing.kind, "mode": laid.thing.mode,
                  "text": laid.thing.text, "before": laid.before, "was": laid.was}
                 for laid in journal.laid]}
    return (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode("ascii")


def decode(data: bytes) -> Journal:
    """The journal of a file.

    Raises:
        FormatError: it is not in our form.
    """
    try:
        facts = json.loads(data.decode("ascii"))
        if facts["format"] != 1:
            raise FormatError("its format is {!r}, known is 1".format(facts["format"]))
        return Journal(
            build=str(facts["build"]), made=tuple(str(path) for path in facts["made"]),
            laid=tuple(Laid(path=str(item["path"]), before=bool(item["before"]),
                            was=str(item["was"]),
                            thing=Thing(kind=str(item["kind"]), mode=int(item["mode"]),
                                        text=str(item["text"])))
                       for item in facts["laid"]))
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise FormatError("it is no journal of an installation: {!r}".format(error)) from error
