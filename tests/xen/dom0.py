"""What the tests of this directory do with the control domain of their host."""
import time

ARCHIVE = "/opt/xha.pyz"
SCRIPT = "/opt/dom0_watchdog.py"


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
