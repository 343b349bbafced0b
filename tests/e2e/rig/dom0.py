"""The files of a dom0 around a host of the rig: the installed archive, and what xapi brings.

A host of the rig shares /etc, /opt and /usr with this machine.  Here each of
these gets a layer over it, in memory and seen by this host alone; below
/usr/libexec there is also what the archive itself has installed.  So the names
by which xapi calls, the configuration and xapi's own health check are where
they are in every dom0, and no command needs to be told anything.

``install`` lets the archive install itself once, for many hosts: nothing below
its folder is ever written again.

``XHA_PYTHON``, where it is set, takes the place of /usr/bin/python3, which the
archive's first line names.
"""

import os
import subprocess
from typing import Any

from rig import namespaces
from rig.host import Host
from rig.namespaces import RigError

STACK = "/usr/libexec/xapi/cluster-stack/xhad"
CONFIG = "/etc/xensource/xhad.conf"
HEALTH_CHECK = "/opt/xensource/libexec/xapi-health-check"
INTERPRETER = "/usr/bin/python3"

#: All that xapi sets for its scripts.  Source: spec 6.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def install(archive: str, root: str) -> None:
    """Let ``archive`` install itself into ``root``, an empty folder; RigError."""
    for folder in (STACK, os.path.dirname(INTERPRETER)):
        os.makedirs(root + folder)
    os.symlink(os.path.realpath(INTERPRETER), root + INTERPRETER)
    done = subprocess.run(
        [os.environ.get("XHA_PYTHON") or INTERPRETER, archive, "install", "--root=" + root],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
    if done.returncode != 0:
        raise RigError("install ended with {}: {!r}".format(done.returncode, done.stderr))


class Dom0:
    """A host whose /etc, /opt and /usr/libexec are its own, with the archive installed."""

    def __init__(self, host: Host, installed: str) -> None:
        """Lay the layers over ``host``, above what is ``installed``."""
        self.host = host
        self._installed = installed
        host.door.do(self._settle)
        self.write_config()
        self.write(HEALTH_CHECK, "#!/bin/sh\nexit 0\n", 0o755)

    def _settle(self) -> None:
        """In the host's namespaces: the layers, the interpreter, the directories.

        What is started there from now on starts in /, as xapi's scripts do.
        """
        os.chdir("/")
        layers = os.path.join(self.host.folder, "layers")
        os.mkdir(layers)
        namespaces.mount("none", layers, "tmpfs", data="mode=755")
        for folder in ("/etc", "/opt"):
            _lay_over(folder, layers)
        _lay_over("/usr/libexec", layers, self._installed + "/usr/libexec:")
        interpreter = os.environ.get("XHA_PYTHON")
        if interpreter:
            self._replace_interpreter(os.path.realpath(interpreter), layers)
        for folder in (os.path.dirname(CONFIG), os.path.dirname(HEALTH_CHECK)):
            os.makedirs(folder, exist_ok=True)

    @staticmethod
    def _replace_interpreter(interpreter: str, layers: str) -> None:
        """Every user of this host can run it, also one that is below a closed home."""
        top = "/" + interpreter.split("/")[1]
        if not os.stat(top).st_mode & 0o001:
            _lay_over(top, layers)
            os.chmod(top, 0o755)
        namespaces.mount(interpreter, os.path.realpath(INTERPRETER), flags=namespaces.MOUNT_BIND)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of this dom0."""
        def work() -> None:
            with open(path, "w") as file:
                file.write(text)
            os.chmod(path, mode)
        self.host.door.do(work)

    def write_config(self, **changes: Any) -> None:
        """Write xhad.conf where it belongs; ``changes`` as of ``Host.write_config``."""
        self.host.write_config(**changes)
        with open(self.host.config) as file:
            self.write(CONFIG, file.read())

    def remove(self, path: str) -> None:
        """Remove a file of this dom0."""
        self.host.door.do(lambda: os.unlink(path))

    def signal_daemon(self, number: int) -> None:
        """Send the daemon a signal; the lock file names it."""
        pid = self.host.door.must("cat", "/run/xhad.lock").out.split()[0]
        self.host.door.must("kill", "-{}".format(int(number)), pid)


def _lay_over(folder: str, layers: str, between: str = "") -> None:
    """From now on this thread's namespace keeps its changes of ``folder`` in ``layers``.

    Args:
        between: folders that lie between, each with a colon after it.
    """
    upper = os.path.join(layers, folder.strip("/").replace("/", "-"))
    work = upper + ".work"
    os.makedirs(folder, exist_ok=True)
    os.mkdir(upper)
    os.mkdir(work)
    namespaces.mount("overlay", folder, "overlay", data="lowerdir={}{},upperdir={},workdir={}"
                     .format(between, folder, upper, work))
