"""The disk under `install` and `uninstall`: every change of a host's files is made here.

What is done in which order, and how it is taken back, is ``installplan``'s
theory of operation.  Here each step is made so that a power failure after it
cannot undo it: a file is complete and on the disk (fsync) before any name
shows it, and a directory is on the disk before the next kind of step begins.
Nothing that is there is ever written into; a running archive keeps the file
that it was started from.  All paths are of the host; ``root`` is where its
root directory is for us.
"""

import errno
import fcntl
import hashlib
import os
import stat
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from xha import installplan
from xha.errors import ExitCode, FormatError, XhaError
from xha.installplan import INSTALLED, LEAVING, PENDING, STACKS, WRITING, Journal, Laid, Step, Thing

#: How much of another's file is looked through for a word, bytes.
_LISTED_MAX_BYTES = 1 << 20


class Host:
    """The files of one host, below a root directory; one installer at a time."""

    def __init__(self, root: str) -> None:
        """Take the lock of the host's stack directory; the process keeps it until it ends.

        Args:
            root: "" for this very host.

        Raises:
            XhaError: INVALID_ENVIRONMENT, it is no host for us; TRANSIENT_ERROR, another
                install or uninstall runs.
        """
        self.root = root
        try:
            self._lock = os.open(self.real(STACKS), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise XhaError(ExitCode.INVALID_ENVIRONMENT, "{} is missing: {} is no host with xapi "
                           "(an image is named with --root=DIR)".format(
                               self.real(STACKS), root or "this")) from None
        except PermissionError:
            raise XhaError(ExitCode.INVALID_ENVIRONMENT, "{} may not be read by you: run this as "
                           "root".format(self.real(STACKS))) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise XhaError(ExitCode.TRANSIENT_ERROR, "another install or uninstall runs on this "
                           "host: wait for it") from None

    def close(self) -> None:
        """Give up the lock."""
        os.close(self._lock)

    def real(self, path: str) -> str:
        """Where a path of the host is for us."""
        return self.root + path

    # Looking

    def look(self, path: str) -> Thing:
        """What is at a name.

        Raises:
            OSError: it cannot be read.
        """
        try:
            status = os.lstat(self.real(path))
        except (FileNotFoundError, NotADirectoryError):
            return installplan.NOTHING
        if stat.S_ISLNK(status.st_mode):
            return Thing(kind=installplan.LINK, mode=0, text=os.readlink(self.real(path)))
        if not stat.S_ISREG(status.st_mode):
            return Thing(kind=installplan.OTHER, mode=0, text="")
        with open(self.real(path), "rb") as stream:
            return file_thing(stream.read(), stat.S_IMODE(status.st_mode))

    def has_directory(self, path: str) -> bool:
        """Whether the host has this directory, and has it inside its own root.

        Raises:
            XhaError: INVALID_ENVIRONMENT, a link leads out of the root.
        """
        real, root = os.path.realpath(self.real(path)), os.path.realpath(self.root or "/")
        if self.root and not (real + "/").startswith(root + "/"):
            raise XhaError(ExitCode.INVALID_ENVIRONMENT, "{} leads to {}, which is outside of {}: "
                           "nothing is installed there".format(self.real(path), real, root))
        return os.path.isdir(real)

    def naming(self, folder: str, word: bytes) -> List[str]:
        """The files in a directory of configurations that have this word in them."""
        found = []
        for name in sorted(os.listdir(self.real(folder))):
            path = os.path.join(self.real(folder), name)
            if os.path.isfile(path) and not name.endswith("~"):
                with open(path, "rb") as stream:
                    if word in stream.read(_LISTED_MAX_BYTES):
                        found.append(folder + "/" + name)
        return found

    def journal(self, name: str) -> Optional[Journal]:
        """The journal under one of its names; None when it is not there.

        Raises:
            XhaError: SYSTEM_ERROR, it cannot be understood.
        """
        try:
            with open(self.real(name), "rb") as stream:
                return installplan.decode(stream.read())
        except FileNotFoundError:
            return None
        except FormatError as error:
            raise XhaError(ExitCode.SYSTEM_ERROR, "{}: {}; was it written by a newer xha?  Use "
                           "that".format(self.real(name), error)) from error

    def interrupted(self) -> str:
        """What has to be done first: "take back", "finish" or "" for nothing."""
        if self._there(LEAVING):
            return "finish"
        return "take back" if self._there(PENDING) else ""

    def _there(self, path: str) -> bool:
        return os.path.lexists(self.real(path))

    def _same(self, one: str, other: str) -> bool:
        """Whether two names are of the very same file."""
        if not (self._there(one) and self._there(other)):
            return False
        return os.path.samestat(os.lstat(self.real(one)), os.lstat(self.real(other)))

    # Installing

    def install(self, journal: Journal, steps: Sequence[Step], contents: Dict[str, bytes]) -> None:
        """Lay down what the steps say: all of it, or nothing.

        Args:
            journal: what to know of it afterwards, in place of the journal that there is.
            contents: of each file that is to be switched, by path.

        Raises:
            OSError: it could not be done, and nothing has changed; or, with an attribute
                ``installed``, all is done and perhaps not yet on the disk.
        """
        switched = [step.laid for step in steps if step.switch]
        try:
            self._write(WRITING, encode_for_disk(journal), 0o644)
            self._rename(WRITING, PENDING)
            self._sync([STACKS])
            self._make(journal.made)
            for laid in switched:
                self._stage(laid, contents)
            for step in steps:
                if step.keep:
                    self._keep(step)
            self._sync(_folders(switched))
            for laid in switched:
                self._rename(installplan.beside(laid.path, "new"), laid.path)
            self._sync(_folders(switched))
            self._rename(PENDING, INSTALLED)
        except BaseException:
            self.recover()
            raise
        try:
            self._sync([STACKS])
            self._sweep(journal)
        except OSError as error:
            setattr(error, "installed", True)
            raise

    def _make(self, folders: Iterable[str]) -> None:
        for folder in folders:
            if not self._there(folder):
                os.mkdir(self.real(folder), 0o755)
                os.chmod(self.real(folder), 0o755)
                self._sync([os.path.dirname(folder)])

    def _stage(self, laid: Laid, contents: Dict[str, bytes]) -> None:
        """Put what will be at a name beside it."""
        new = installplan.beside(laid.path, "new")
        if laid.thing.kind == installplan.LINK:
            self._remove(new)
            os.symlink(laid.thing.text, self.real(new))
        else:
            self._write(new, contents[laid.path], laid.thing.mode)

    def _keep(self, step: Step) -> None:
        """Give what is at a name a second name, as the file that it is."""
        kept = installplan.beside(step.laid.path, step.keep)
        self._remove(kept)
        os.link(self.real(step.laid.path), self.real(kept), follow_symlinks=False)

    # Taking back; after a crash, too

    def recover(self) -> str:
        """Finish or take back what was interrupted, and sweep; what was done, for people.

        Raises:
            OSError: it could not be done; run again, it goes on from there.
        """
        self._remove(WRITING)
        if self._there(LEAVING):
            self._finish_leaving()
            return "an uninstall was interrupted: it has been finished"
        pending, installed = self.journal(PENDING), self.journal(INSTALLED)
        if pending:
            self._take_back(pending, installed)
        if installed:
            self._sweep(installed)
        return "an install was interrupted: it has been taken back" if pending else ""

    def uninstall(self) -> None:
        """Put back what was there before the first install.

        Raises:
            OSError: it could not be done; run again, it goes on from there.
        """
        self._rename(INSTALLED, LEAVING)
        self._sync([STACKS])
        self._finish_leaving()

    def _finish_leaving(self) -> None:
        journal = self.journal(LEAVING)
        assert journal is not None
        self._undo(journal, None)
        self._remove(LEAVING)
        self._sync([STACKS])

    def _take_back(self, pending: Journal, installed: Optional[Journal]) -> None:
        self._undo(pending, installed)
        self._remove(PENDING)
        self._sync([STACKS])

    def _undo(self, journal: Journal, older: Optional[Journal]) -> None:
        """Put every name back as the older installation had it, or as it was before all."""
        for laid in journal.laid:
            self._remove(installplan.beside(laid.path, "new"))
            known = older is not None and older.of(laid.path) is not None
            role = "last" if known else "before"
            kept = installplan.beside(laid.path, role)
            there, same = self._there(kept), self._same(kept, laid.path)
            found = self.look(laid.path)
            self._do(installplan.taken_back(laid, found, there, same) if known
                     else installplan.undone(laid, found, there, same))
        self._sync(_folders(journal.laid))
        for folder in reversed(journal.made):
            if older is None or folder not in older.made:
                self._unmake(folder)

    def _sweep(self, journal: Journal) -> None:
        """Remove what a finished install has left beside the names."""
        left = [laid for laid in journal.laid
                if any(self._there(operation[1]) for operation in installplan.swept(laid))]
        for laid in left:
            self._do([operation for operation in installplan.swept(laid)
                      if self._there(operation[1])])
        self._sync(_folders(left))

    # Single steps

    def _do(self, operations: Iterable[Tuple[str, ...]]) -> None:
        for operation in operations:
            if operation[0] == "rename":
                self._rename(operation[1], operation[2])
            else:
                self._remove(operation[1])

    def _rename(self, source: str, target: str) -> None:
        os.rename(self.real(source), self.real(target))

    def _remove(self, path: str) -> None:
        if self._there(path):
            os.unlink(self.real(path))

    def _unmake(self, folder: str) -> None:
        """Remove a directory that was made, unless somebody else uses it by now."""
        try:
            os.rmdir(self.real(folder))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            self._sync([os.path.dirname(folder)])

    def _write(self, path: str, data: bytes, mode: int) -> None:
        """Write a file that nobody looks at yet, whole and to the disk."""
        self._remove(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.real(path), flags, 0o600)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest):]
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _sync(self, folders: Iterable[str]) -> None:
        """Bring directories to the disk; one that was never made is left out."""
        for folder in folders:
            try:
                descriptor = os.open(self.real(folder), os.O_RDONLY | os.O_DIRECTORY
                                     | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def file_thing(data: bytes, mode: int) -> Thing:
    """A file with these bytes and permissions."""
    return Thing(kind=installplan.FILE, mode=mode, text=hashlib.sha256(data).hexdigest())


def encode_for_disk(journal: Journal) -> bytes:
    """The journal's bytes, proven to be read back as what they say."""
    data = installplan.encode(journal)
    assert installplan.decode(data) == journal
    return data


def _folders(laid: Iterable[Laid]) -> List[str]:
    """The directories of these names, each once."""
    return sorted({os.path.dirname(item.path) for item in laid})
