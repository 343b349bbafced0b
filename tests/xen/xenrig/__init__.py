"""Real Xen hosts in an emulator: the hypervisor, and a small Debian as its control domain.

A watchdog that expires, or a shutdown asked of Xen, really resets the machine; nothing of it is
seen outside the emulator.  ``images`` builds, once, from Debian packages; ``host`` boots and
drives one; ``pool`` boots several, with a ``network`` and a ``disk`` between them that fail on
demand.  Needs root, Debian and its package archive, and some 0.6 GB of memory a host.
"""
