"""The help of `why`, which is its grammar, too."""

_TEXT = """Why was a host fenced, why did it not start, why was it lost?

Usage: xha.pyz {name} [options] [FILE...]

  xha.pyz {name}                        the last incident that this host knows of, its own or not
  xha.pyz {name} --host=2               the last one of host 2: an index, address, UUID or name
  xha.pyz {name} a/ b/ console.txt      from files that were copied from anywhere

Without FILE: the flight recorders of this host, also of earlier daemons, the last words on the
State-File, the record of the watchdog timers, and Xen's own log where it can be had.  FILE is a
recorder or a directory of them (/var/lib/xha of any host), an image of the State-File, xha.log,
or a log of Xen: a captured console, xen.log of /var/crash, `xl dmesg`; host=N:FILE says whose
such a log is.  Needs no daemon and no State-File, and changes nothing.

Tells the cause, the path that failed, the survival rule, what the others saw, what to do, what
happened in order of time, and where the evidence ends.  docs/why.md has twenty incidents with
what is said of them, and the schema of the JSON.

Ends with 0, also when no incident is known; with 2 when there is nothing to read; with 16 when
it may not be read; with 1 when a FILE is nothing that can be used.

Options:
  --host=HOST              only incidents of that host
  --before=WHEN            the last one before: an age (90s, 30m, 2h, 3d) or a time of UTC
                           (2026-11-27, 2026-11-27T14:30:00)
  --list                   all incidents that are known, one line each
  --format=FORM            text or json [default: text]"""

TEXTS = {name: _TEXT.replace("{name}", name) for name in ("why", "explain")}
