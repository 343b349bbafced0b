"""What the tests of this directory do with the control domain of their host."""
import time

from xenrig.host import DISK

ARCHIVE = "/opt/xha.pyz"
SCRIPT = "/opt/dom0_watchdog.py"
CONFIG = "/etc/xensource/xhad.conf"


def configuration(local, addresses, interface="lo", mode="HYPERVISOR", check=60, **seconds):
    """The text of xhad.conf for the host of index ``local``; ``seconds``: t, T, Wh and Ws.

    ``check``: how often xapi is looked at, s.
    """
    uuids = ["10000000-0000-4000-8000-00000000000{}".format(index)
             for index in range(len(addresses))]
    members = "".join("<host><HostID>{}</HostID><IPaddress>{}</IPaddress></host>\n".format(*row)
                      for row in zip(uuids, addresses))
    return """<?xml version="1.0" encoding="utf-8"?>
<xhad-config version="1.0"><common-config>
<GenerationUUID>11111111-2222-3333-4444-555555555555</GenerationUUID><UDPport>694</UDPport>
{members}<parameters>
<HeartbeatInterval>{t}</HeartbeatInterval><HeartbeatTimeout>{T}</HeartbeatTimeout>
<StateFileInterval>{t}</StateFileInterval><StateFileTimeout>{T}</StateFileTimeout>
<HeartbeatWatchdogTimeout>{Wh}</HeartbeatWatchdogTimeout>
<StateFileWatchdogTimeout>{Ws}</StateFileWatchdogTimeout>
<BootJoinTimeout>60</BootJoinTimeout><EnableJoinTimeout>60</EnableJoinTimeout>
<XapiHealthCheckInterval>{check}</XapiHealthCheckInterval>
</parameters></common-config><local-config><localhost><HostID>{local}</HostID>
<HeartbeatInterface>{interface}</HeartbeatInterface><StateFile>{disk}</StateFile>
<WatchdogMode>{mode}</WatchdogMode></localhost></local-config></xhad-config>
""".format(local=uuids[local], interface=interface, disk=DISK, mode=mode, check=check,
           members=members, **seconds).encode()


def script(host, *arguments):
    """Run dom0_watchdog.py in the control domain."""
    return host.run("python3", "-B", SCRIPT, *map(str, arguments))


def script_on_console(host, *arguments):
    """Start it with its output on the console; when it began."""
    began_s = time.monotonic()
    host.spawn("python3", "-B", SCRIPT, *map(str, arguments), log="/dev/hvc0")
    return began_s


def said_at(host, text, after_s):
    """When the console showed this."""
    return next(at_s for at_s, line in host.console if at_s > after_s and text in line)


def lives(host, seconds):
    """Whether the host runs on, without a reset, for so long."""
    since_s = time.monotonic()
    time.sleep(seconds)
    return host.find("reset", since_s) is None and host.run("true").code == 0
