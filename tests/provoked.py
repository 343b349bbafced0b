"""Which messages of the catalogue the tests provoke, found out and not declared.

``pytest --catalogue tests`` fails unless every message of ``sysloglist`` was made by code of
ours while the tests ran: by the core in a story, by a shell that met what the message is about,
by a daemon of its own.  A message that a test makes itself does not count, nor one of the
model of xhad, which is no code that runs on a host.

Each process writes the names that it sees to a file of its own, at once, so that the workers
of pytest-xdist, forked children and processes that end by a signal are all seen.  A test that
runs the sources in an interpreter of its own calls ``watch`` there.
"""
import os
import shutil
import sys
import tempfile

#: The environment variable that names the folder; without it nothing is written.
FOLDER = "XHA_PROVOKED"

#: What speaks for a daemon that is not ours.
_MODEL = "xha.simxhad"


def watch():
    """Look at every message from now on.  Before any module of ours has imported ``log``."""
    from xha import actions
    made = actions.log
    written = {}  # where each name was written

    def log(name, **fields):
        folder = os.environ.get(FOLDER)
        if folder and written.get(name) != folder and is_ours(sys._getframe(1)):
            if _write(folder, name):
                written[name] = folder
        return made(name, **fields)
    actions.log = log


def is_ours(frame):
    """Whether the code that makes a message runs on a host: not a test, not the model of xhad."""
    if frame.f_globals["__name__"] == "xha.view" and frame.f_code.co_name == "log":
        frame = frame.f_back  # The view hands on what its room says.
    module = frame.f_globals["__name__"]
    return module.startswith("xha.") and not module.startswith(_MODEL)


def _write(folder, name):
    try:
        file = os.open(os.path.join(folder, str(os.getpid())),
                       os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError:
        return False  # A test that has no descriptors left, or may not write.
    try:
        os.write(file, name.encode("ascii") + b"\n")
    finally:
        os.close(file)
    return True


class Census:
    """The plugin of the one process that starts the tests and judges at their end."""

    def __init__(self):
        """Begin to collect; the workers inherit the environment."""
        self.missing = []
        self._folder = tempfile.mkdtemp(prefix="xha-provoked-")
        os.chmod(self._folder, 0o777)  # Some tests give up their privileges.
        os.environ[FOLDER] = self._folder

    def pytest_sessionfinish(self, session, exitstatus):
        """After the last test: compare."""
        names = set()
        for name in os.listdir(self._folder):
            with open(os.path.join(self._folder, name), encoding="ascii") as stream:
                names.update(stream.read().split())
        shutil.rmtree(self._folder)
        del os.environ[FOLDER]
        if exitstatus in (0, 1):  # A run that was interrupted proves nothing.
            self.missing = missing(names)
            session.exitstatus = 1 if self.missing else exitstatus

    def pytest_terminal_summary(self, terminalreporter):
        """Name what is missing."""
        if self.missing:
            terminalreporter.section("messages that no test provokes")
            for name in self.missing:
                terminalreporter.write_line("sysloglist: " + name, red=True)


def missing(names):
    """The messages of the catalogue that are not among these, in order."""
    from xha.syslogger import load_catalogue
    return [name for name in load_catalogue().names() if name not in names]
