"""A pool of real Xen hosts: a network and a disk between them, each of which can fail for each.

    cut     the network is silently gone
    unplug  the same, and the host sees that its cable has no carrier

Whether and when a host ended is told by the events of ``host``.
"""
import contextlib
import os

from xenrig.disk import ERROR, OK, Disk
from xenrig.host import DISK_BYTES, Host, Place
from xenrig.network import Network


class Pool:
    """The hosts of a pool, up; use as a context manager."""

    def __init__(self, directory, count, files):
        self.network = Network(directory)
        self.disk = Disk(directory, DISK_BYTES)
        self.hosts = []
        self._stack = contextlib.ExitStack()
        for number in range(1, count + 1):
            name = "h{}".format(number)
            home = os.path.join(directory, name)
            os.mkdir(home)
            place = Place(name, "10.77.0.{}".format(number),
                          "52:54:00:77:00:{:02x}".format(number),
                          self.network.plug(name), self.disk.attach(name))
            self.hosts.append(
                Host(home, files, place, lambda name=name: self.disk.host_dies(name)))

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.disk)
            stack.enter_context(self.network)
            for host in self.hosts:     # All at once: their boots do not wait for each other.
                host.make_disks()
                stack.push(host.__exit__)
                host.power_on()
            for host in self.hosts:
                host.wait_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def unplug(self, host):
        """Pull a host's network cable."""
        self.network.cut(host.place.name)
        host.qmp("set_link", name="net", up=False)

    def plug(self, host):
        """Put it in again."""
        self.network.join(host.place.name)
        host.qmp("set_link", name="net", up=True)

    def power_off(self, host):
        """Take a host's power; give an instant at which it was certainly off."""
        self.disk.set_mode(ERROR, host.place.name)      # what waits never arrives
        return host.power_off()

    def power_on(self, host):
        """Let it boot again."""
        self.disk.set_mode(OK, host.place.name)
        host.power_on()
