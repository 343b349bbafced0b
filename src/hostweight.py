"""The weight file: how much this host counts when its pool must choose who lives.

Theory of operation
===================

A partition's size is the sum over its hosts (spec 5), and a host's part in it
is its weight: 1, and what each class adds, such as the virtual machines that
must not stop.  The file holds a line ``class weight`` for each class; it lives
until the next boot.  ``set_class`` changes it, the daemon reads it at its start
and when it is told to; the weight counts when the core commits it.

The lock is on the file, and a change is a new file in its place, so a reader
sees the old lines or the new ones and never half of them, whatever ends
the writer.  Who gets the lock looks whether the file is still the one of that
name, else it tries the new one.  A lock is waited for, but never long: its
holder may hang.

Source: spec 8, "Host weight"; spec 14, 20 (modes).
"""

import errno
import fcntl
import os
import stat
import time
from typing import List, NamedTuple, Tuple

from xha.errors import ExitCode, FormatError, XhaError
from xha.records import record

#: Most classes in the file; the built-in one is not in it.  Source: spec 8.
CLASSES_MAX = 16
#: Longest name of a class, letters.  Source: spec 8.
NAME_MAX = 64
#: Largest weight of a class.  Source: spec 8.
WEIGHT_MAX = 65535
#: The class that every host has, with weight 1.  Source: spec 8.
NATIVE = "native"

#: Far above what all classes need (1136 bytes); a bound on memory and time.
_FILE_MAX = 8192
_PACE_S = 0.02


@record
class Class(NamedTuple):
    """A class and what it adds to the weight of this host."""

    name: str
    # 1 to WEIGHT_MAX.
    weight: int


Classes = Tuple[Class, ...]


def weight_of(classes: Classes) -> int:
    """The weight of a host with these classes: 1 and their sum."""
    return 1 + sum(one.weight for one in classes)


def parse(text: str) -> Classes:
    """The classes of the file's text, in its order.

    Raises:
        FormatError: anything that ``set_class`` does not write, with the line.
    """
    classes = []  # type: List[Class]
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2:
            raise FormatError("line {}: {}; expected a class and its weight".format(
                number, ascii(line[:80])))
        try:
            one = Class(name=check_name(words[0]), weight=check_weight(words[1]))
        except FormatError as error:
            raise FormatError("line {}: {}".format(number, error)) from error
        if one.name in (other.name for other in classes):
            raise FormatError("line {}: class {} for the second time".format(number, one.name))
        if len(classes) == CLASSES_MAX:
            raise FormatError("line {}: more than {} classes".format(number, CLASSES_MAX))
        if one.weight:
            classes.append(one)
    return tuple(classes)


def check_name(text: str) -> str:
    """A name of a class that may be set.  Raises FormatError."""
    if not 1 <= len(text) <= NAME_MAX or not all("!" <= letter <= "~" for letter in text):
        raise FormatError("class {}; expected 1 to {} printable characters without blanks".format(
            ascii(text[:80]), NAME_MAX))
    if text == NATIVE:
        raise FormatError("class {} is built in, with weight 1, and cannot be set".format(NATIVE))
    return text


def check_weight(text: str) -> int:
    """A weight in digits.  Raises FormatError."""
    if not (1 <= len(text) <= 8 and all(letter in "0123456789" for letter in text)
            and int(text) <= WEIGHT_MAX):
        raise FormatError("weight {}; expected 0 to {}".format(ascii(text[:80]), WEIGHT_MAX))
    return int(text)


def read(path: str, patience_s: float = 0.0) -> Classes:
    """The classes in the weight file; none without a file.

    Args:
        patience_s: how long to wait while it is being written, s.

    Raises:
        XhaError: SYSTEM_ERROR: it cannot be read or is malformed; TRANSIENT_ERROR: it is still
            being written.
    """
    try:
        file = _lock(path, os.O_RDONLY, fcntl.LOCK_SH, patience_s)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _refusal(path, error) from error
    try:
        return _parse_file(path, file)
    finally:
        os.close(file)


def set_class(path: str, name: str, weight: int, patience_s: float) -> Classes:
    """Set the weight of a class, or remove it with 0; the classes after that.

    Args:
        name: by ``check_name``.
        weight: 0 to WEIGHT_MAX.
        patience_s: how long to wait while others read or write the file, s.

    Raises:
        XhaError: as ``read``; INVALID_PARAMETER: there are CLASSES_MAX others already;
            INVALID_ENVIRONMENT: it may not be written.
    """
    assert 0 <= weight <= WEIGHT_MAX
    try:
        file = _lock(path, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX, patience_s)
    except OSError as error:
        raise _refusal(path, error) from error
    try:
        classes = [one for one in _parse_file(path, file)]
        names = [one.name for one in classes]
        if name in names:
            classes[names.index(name)] = Class(name=name, weight=weight)
        else:
            classes.append(Class(name=name, weight=weight))
        classes = [one for one in classes if one.weight]
        if len(classes) > CLASSES_MAX:
            raise XhaError(ExitCode.INVALID_PARAMETER, "{} has {} classes already, and takes no "
                           "more; remove one with weight 0".format(path, CLASSES_MAX))
        _replace(path, classes)
        return tuple(classes)
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        os.close(file)


def _parse_file(path: str, file: int) -> Classes:
    """The classes in an open, locked file.  Raises XhaError, OSError."""
    data = os.read(file, _FILE_MAX + 1)
    try:
        if len(data) > _FILE_MAX:
            raise FormatError("more than {} bytes".format(_FILE_MAX))
        return parse(data.decode("latin-1"))
    except FormatError as error:
        raise XhaError(ExitCode.SYSTEM_ERROR, "{}: {} (correct or remove the file)".format(
            path, error)) from error


def _replace(path: str, classes: List[Class]) -> None:
    """Put a new file into place; only with the lock on the old one."""
    new = path + ".new"
    try:
        os.unlink(new)      # Of a writer that was killed.
    except FileNotFoundError:
        pass
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(file, 0o644)
        data = "".join("{} {}\n".format(one.name, one.weight) for one in classes).encode("ascii")
        if os.write(file, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)
    os.rename(new, path)


def _lock(path: str, flags: int, kind: int, patience_s: float) -> int:
    """The open file of that name, locked.  Raises OSError; XhaError when it stays locked."""
    deadline = time.monotonic() + patience_s
    while True:
        file = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            fcntl.lockf(file, kind | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return file
        except FileNotFoundError:
            pass            # It was replaced meanwhile, or removed: open what is there now.
        except OSError as error:
            os.close(file)
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            if time.monotonic() >= deadline:
                raise XhaError(ExitCode.TRANSIENT_ERROR, "{} is being changed by another "
                               "process; try again".format(path)) from error
            time.sleep(_PACE_S)
            continue
        os.close(file)


def _refusal(path: str, error: OSError) -> XhaError:
    code = (ExitCode.INVALID_ENVIRONMENT if error.errno in (errno.EACCES, errno.EPERM)
            else ExitCode.SYSTEM_ERROR)
    return XhaError(code, "{}: {}".format(path, error.strerror))
