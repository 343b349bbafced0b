"""Staged incidents, and all that `why` says of them: a file for each.

A file has three parts between lines of ``---``: what happened and, in a line ``cause: NAME of
HOST``, the true cause; the story (see ``staged``); then commands, each with its whole output:

    $ on 2: why                    on host 2, with its own files alone, after its boot
    $ on 0: why --host=2           on a survivor
    $ copied host-0 host-2: why    from copied files, on a third machine

Every command must name the true cause; where a file says ``cannot tell: NAME`` after a command's
line, it names that, because what it was given cannot show more.

``pytest tests/why --rewrite`` records what it says now: commit that only with the reason why
each changed line is right.
"""

import glob
import json
import os
import re

import pytest
import staged
from asking import answers, cause_of, compare, page_of, parts_of, title_of

from xha import catalogue, cli, history, whycauses
from xha.actions import Log

# What is said does not depend on the Python: the oldest and the newest say it.
pytestmark = pytest.mark.ends

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FILES = sorted(glob.glob(os.path.join(HERE, "[0-9]*.txt")))

with open(os.path.join(ROOT, "sysloglist"), encoding="ascii") as stream:
    CATALOGUE = catalogue.parse(stream.read())


@pytest.mark.parametrize("path", FILES, ids=[os.path.basename(path) for path in FILES])
def test_the_true_cause_is_named_with_all_that_is_known(path, asker, rewrite):
    about, story, commands = parts_of(path)
    asker.story = staged.Staged(story.splitlines(), CATALOGUE)
    asker.story.lay(asker.folder)
    compare(path, "\n---\n".join([about, story, answers(asker, about, commands)]), rewrite)


def test_the_incidents_are_part_of_the_documentation(rewrite):
    compare(os.path.join(ROOT, "docs", "why-incidents.md"), page_of(
        FILES, "Staged incidents, and what `why` says of them",
        "Written by `pytest tests/why --rewrite` from the files in tests/why, which have the "
        "story of each, and\nwhat is said on the host itself and on a survivor alone. "
        "[why.md](why.md) explains the command."), rewrite)


def test_the_documentation_lists_every_incident_and_every_cause():
    with open(os.path.join(ROOT, "docs", "why.md"), encoding="ascii") as stream:
        text = stream.read()
    rows = dict(re.findall(r"^\| (\d\d-[a-z0-9-]+) \| .* \| `([a-z0-9-]+)` \|$", text, re.M))
    assert rows == {title_of(path): cause_of(parts_of(path)[0])[0] for path in FILES}
    for cause in whycauses.CAUSES:
        assert "`{}`".format(cause.name) in text, cause.name


# From the log, where there is no recorder

def log_of(lives):
    """What the log says of these lives, as ``Syslogger`` writes it."""
    lines = []
    for life in lives:
        for entry in life.entries:
            if entry.kind == "event":
                message = Log(name=entry.name, fields=entry.fields)
                lines.append("{} {:7} {} [{}] {}".format(
                    history.stamp(entry.wall_ms), entry.level,
                    CATALOGUE.text_of(message, life.header.addresses), entry.name,
                    catalogue.pairs_of(message)).rstrip())
    return "\n".join(lines) + "\n"


FROM_LOGS = ["01-cut-off", "06-storage-of-one-hangs", "13-sigterm-while-armed", "15-xapi-fails",
             "20-start-with-a-cut-network", "28-frozen-and-thawed"]


@pytest.mark.parametrize("name", FROM_LOGS)
def test_the_logs_alone_name_the_true_cause_too(name, asker, capfd):
    about, story, _ = parts_of(os.path.join(HERE, name + ".txt"))
    cause, host = cause_of(about)
    told = staged.Staged(story.splitlines(), CATALOGUE)
    os.makedirs(asker.folder)
    logs = []
    for machine in told.machines:
        logs.append(os.path.join(asker.folder, "xha.log.{}".format(machine.host.index)))
        with open(logs[-1], "w", encoding="ascii") as out:
            out.write(log_of(machine.lives))
    assert cli.main("xha.pyz", ["explain", "--format=json"] + logs) == 0
    incident = json.loads(capfd.readouterr().out)["incident"]
    assert (incident["cause"], incident["host"]) == (cause, host)


def test_there_are_twenty_incidents_with_twenty_causes():
    causes = [cause_of(parts_of(path)[0])[0] for path in FILES]
    assert len(causes) >= 20 and len(set(causes)) >= 20, sorted(causes)
