"""The help of `timeline`, which is its grammar, too."""

TEXT = """What happened, from the flight recorders of this host or of several.

Usage: xha.pyz timeline [options] [FILE...]

Without FILE: the recorders in /var/lib/xha, that of the daemon that runs, or ran last, and
those of earlier daemons (recorder.1 and so on).  FILE is a recorder, or a directory of them,
from any host: copy /var/lib/xha of each host, and name them all.  Needs no daemon, and no
root where the files can be read.

Shows every message, every change of this host's state, and what is to be inferred: where a
daemon began, where the machine was booted anew, where a clock was set.  Times are UTC, of
each host's own clock.  docs/timeline.md has the schema of the JSON.

With --html, the same as one self-contained page that needs no network: a lane for each host
with its states, its messages, and how close it came to its time-outs.

Ends with 0; with 2 when there is no recorder, or it cannot be read within 10 s, or the page not
be written; with 16 when it may not be read; with 1 when FILE is none.

Options:
  --last=N                 only the last N lines
  --since=WHEN             only lines from then on: an age (90s, 30m, 2h, 3d) or a time of
                           UTC (2026-11-27, 2026-11-27T14:30)
  --until=WHEN             only lines before then
  --measurements           the measurements, too: heartbeats of each host, State-File latencies
  --format=FORM            text or json [default: text]
  --html=PAGE              write that page, and show nothing else; what was there is replaced
                           as a whole"""
