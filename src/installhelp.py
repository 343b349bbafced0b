"""The help of `install` and `uninstall`, which is their docopt grammar too (see ``usage``)."""

from typing import Dict

_OPTIONS = """Options:
  --root=DIR               of an image, or a test, instead of this host; needs no root where
                           DIR may be written
  --dry-run                say what would be done, and change nothing
  --run-dir=DIR            where to look for a daemon, instead of /run/xha
  -h, --help               this text
"""

#: Of commands that have no option in common with those that ask a daemon.
TEXTS = {
    "install": """Make this host's cluster stack serve this file.

Usage: xha.pyz install [options]

Copies this file to /usr/libexec/xapi/cluster-stack/xhad/xha.pyz, makes links to it by the
names that xapi calls, and lays down small files for logrotate, portreserve, systemd (which
keeps xen-watchdog from taking one of the two timers that xha needs) and the bug tool.
  xha.pyz install --dry-run      what it would do with each name
  xha.pyz install                do it: all or nothing
  xha.pyz uninstall              put back what was there

What was there stays beside its name as .NAME.xha-before~, the very file, and the first such
one is kept when a newer xha is installed over an older one.  What somebody has changed since
is kept as .NAME.xha-changed~.  A full disk leaves the old state; kill -9 or a power failure
leaves the old one, the new one, or a half that the next install or uninstall puts right
before all else.  A second install changes nothing.  A file that runs is never written over.

Ends with 15 while a daemon runs: disable HA first; with 16 when not root, when the host is no
xapi host, when Python 3 is not where this file expects it, or when a directory may not be
written; with 2 when the disk is full or fails; with 3 when another install runs.

""" + _OPTIONS,
    "uninstall": """Put back what was there before the first install, and remove xha.

Usage: xha.pyz uninstall [options]

Every name that install has laid down becomes what it was: the very file, with its mode, owner
and times, or nothing.  What somebody has changed since is kept as .NAME.xha-changed~.  Log,
State-File and configuration are not touched.  Interrupted, it is finished by the next
uninstall or install.  Without an installation there is nothing to do, and that is said.

Ends with 15 while a daemon runs: disable HA first; with 16, 2 and 3 as install does.

""" + _OPTIONS,
}  # type: Dict[str, str]
