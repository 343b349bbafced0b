"""The installed cluster stack of the hosts of a pool, called as xapi calls it.

xapi sets nothing but PATH, and calls nothing but the ``ha_*`` names in the stack's directory.
What of xapi itself is needed in a control domain is laid down here: its check, which fails once
a file is there; a service that cannot be restarted; and what starts HA again on every boot.
"""
import calendar
import os
import threading
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

from dom0 import ARCHIVE, CONFIG, configuration
from order import Look, Reading, drop, earliest
from recorded import boot_of
from xenrig.disk import OK
from xenrig.host import HostReset
from xenrig.images import RigError

STACK = "/usr/libexec/xapi/cluster-stack/xhad"
LOG = "/var/log/xha.log"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

SECONDS = {"t": 2, "T": 10, "Wh": 10, "Ws": 15, "check": 4}

#: While this is there, xapi's check fails; a boot removes it.
XAPI_FAILS = "/run/xapi-fails"
#: A line for each attempt to restart xapi.
XAPI_RESTARTS = "/run/xapi-restarts"

PROGRAMS = {
    "/opt/xensource/libexec/xapi-health-check":
        "test ! -e {} || {{ echo xapi is stuck; exit 1; }}".format(XAPI_FAILS),
    "/usr/bin/systemctl": 'echo "$*" >>{}; exit 1'.format(XAPI_RESTARTS),
    # As xapi does: again while the answer is that it was too early.
    "/etc/boot.d/ha": (
        "test -e {config} || exit 0\n"
        "while true; do\n"
        "  env -i PATH={path} {stack}/ha_start_daemon; code=$?\n"
        '  echo "$(date +%T) ha_start_daemon: $code"\n'
        "  test $code = 0 && exit 0\n"
        "  sleep 2\n"
        "done").format(config=CONFIG, path=ENVIRONMENT["PATH"], stack=STACK),
}

#: What ha_query_liveset says of the pool: sets of indexes, but for the last, survival rule 2.
View = namedtuple("View", "status live master access excluded statefile_lost")


def files(directory, archive):
    """What the hosts of a pool have on their disks: path there -> path here."""
    found = {ARCHIVE: archive}
    for path, text in PROGRAMS.items():
        found[path] = os.path.join(directory, os.path.basename(path))
        with open(found[path], "w") as file:
            file.write("#!/bin/sh\n{}\n".format(text))
        os.chmod(found[path], 0o755)
    return found


def ha(host, name, *arguments):
    """Run an ha_* program of the installed stack as xapi does: it bounds itself."""
    return host.run("{}/ha_{}".format(STACK, name), *arguments, env=ENVIRONMENT, patience_s=300)


def succeed(host, name, *arguments):
    """Run one that has to succeed; what it prints."""
    done = ha(host, name, *arguments)
    assert done.code == 0, (host.place.name, name, done)
    return done.out


def view(text):
    """What ha_query_liveset says."""
    root = ElementTree.fromstring(text)

    def those(flag):
        return {int(host.findtext("HostIndex")) for host in root.findall("host")
                if host.findtext(flag) == "TRUE"}
    return View(root.findtext("status"), those("liveness"), those("master"),
                those("statefile_access"), those("excluded"),
                root.findtext("warning_on_local_host/statefile_lost") == "TRUE")


class Watch:
    """Asks a host for its liveset and its clock all the time."""

    def __init__(self, host):
        self.host = host
        self.looks = []
        self.readings = []
        self.view = None                # the newest
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self):
        """Ask no more."""
        self._ended.set()

    def drop(self, index, since_s):
        """When this host was seen to drop another, or None."""
        return drop(list(self.looks), index, since_s)

    def logged_drop(self, index, since_s):
        """The instant before which it did not, by its log, or None."""
        readings = [one for one in list(self.readings) if one.asked_s >= since_s]
        # A host that was reset may have left zeros at what was then the end of its log.
        text = self.host.run("grep", "-a", "-F", "[host-dropped] host={}".format(index), LOG).out
        for shown_s in (stamp(line.lstrip("\0")) for line in text.splitlines()):
            if readings and readings[0].showed_s <= shown_s < readings[-1].showed_s:
                return earliest(shown_s, readings)
        return None

    def _run(self):
        while not self._ended.wait(0.2):
            if self.host.is_up:
                try:
                    self._ask()
                except (HostReset, RigError, OSError):
                    self.view = None

    def _ask(self):
        asked_s = time.monotonic()
        showed_s = self.host.clock()
        self.readings.append(Reading(asked_s, time.monotonic(), showed_s))
        asked_s = time.monotonic()
        done = ha(self.host, "query_liveset")
        self.view = view(done.out) if done.code == 0 else None
        online = self.view is not None and self.view.status == "Online"
        self.looks.append(Look(asked_s, time.monotonic(), self.view.live if online else None))


def stamp(line):
    """When a line of the log was written, by its host's clock, seconds since 1970."""
    return calendar.timegm(time.strptime(line[:19], "%Y-%m-%dT%H:%M:%S")) + float(line[19:23])


class Stacks:
    """The hosts of a pool with the stack installed, and what each says of the liveset."""

    def __init__(self, pool):
        self.pool, self.hosts = pool, pool.hosts
        self.everybody = set(range(len(self.hosts)))
        self.on_all(self._install)
        self.watches = [Watch(host) for host in self.hosts]

    def on_all(self, do):
        """Do something on all hosts at once; what it gives, in their order."""
        with ThreadPoolExecutor(len(self.hosts)) as threads:
            return list(threads.map(do, self.hosts))

    @staticmethod
    def _install(host):
        host.run("mkdir", "-p", STACK.rpartition("/")[0])       # that of xapi's own package
        installed = host.run(ARCHIVE, "install", env=ENVIRONMENT)
        assert installed.code == 0, installed

    def configure(self):
        """Write xhad.conf, as xapi does on every host when HA is enabled."""
        addresses = [host.place.address for host in self.hosts]
        for index, host in enumerate(self.hosts):
            host.run("mkdir", "-p", CONFIG.rpartition("/")[0])
            host.put(configuration(index, addresses, interface="eth0", **SECONDS), CONFIG)

    def boot_of(self, host):
        """The boot that a host is on, with all readings of its clock, now and later."""
        return boot_of(host, self.watches[self.hosts.index(host)].readings)

    def end(self):
        """Ask no host for anything more."""
        for watch in self.watches:
            watch.end()

    def wait(self, what, holds, patience_s, hosts=None):
        """Wait until these hosts, or all, say in answer to a new question what they should."""
        watches = [watch for watch in self.watches if watch.host in (hosts or self.hosts)]
        since_s = time.monotonic()
        while True:
            fresh = all(watch.looks and watch.looks[-1].asked_s > since_s for watch in watches)
            newest = [watch.view for watch in watches]
            if fresh and all(one is not None and holds(one) for one in newest):
                return
            assert time.monotonic() < since_s + patience_s, "{}: {}".format(what, newest)
            time.sleep(0.2)

    def wait_whole(self, patience_s=180):
        """Wait until every host says that all are alive and reach the State-File."""
        self.wait("whole", lambda one: one.live == one.access == self.everybody
                  and not one.excluded and not one.statefile_lost, patience_s)

    def wait_dropped(self, host, how, since_s, patience_s=90):
        """Wait until all others have dropped a host, by ``how``; what that gives, by name.

        ``how``: ``Watch.drop`` or ``Watch.logged_drop``.
        """
        until_s, found = time.monotonic() + patience_s, {}
        for watch in self.watches:
            if watch.host is not host:
                name = watch.host.place.name
                found[name] = None
                while found[name] is None and time.monotonic() < until_s:
                    found[name] = how(watch, self.hosts.index(host), since_s)
                    time.sleep(0.2)
        return found

    def heal(self, host):
        """Give a host its network and its disk back."""
        self.pool.plug(host)
        self.pool.disk.set_mode(OK, host.place.name)
