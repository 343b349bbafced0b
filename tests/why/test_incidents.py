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

from xha import catalogue, cli, history, whycauses
from xha.actions import Log

# What is said does not depend on the Python: the oldest and the newest say it.
pytestmark = pytest.mark.ends

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FILES = sorted(glob.glob(os.path.join(HERE, "[0-9]*.txt")))

with open(os.path.join(ROOT, "sysloglist"), encoding="ascii") as stream:
    CATALOGUE = catalogue.parse(stream.read())

COMMAND = re.compile(r"\$ (on (?P<host>\d)|copied (?P<files>.*?)): why ?(?P<words>.*)")


class Asker:
    """Runs commands of a file among the files that its hosts left."""

    def __init__(self, folder, monkeypatch, capfd):
        self.story = None
        self.folder, self._monkeypatch, self._capfd = str(folder), monkeypatch, capfd

    def ask(self, line, *more):
        """What a command prints; paths as the file has them."""
        found = COMMAND.match(line)
        words = found.group("words").split() + list(more)
        at = os.path.join(self.folder, "")
        if found.group("host"):
            words.append("--config={}conf-{}".format(at, found.group("host")))
            self._monkeypatch.setenv("XHA_STATE_DIR", at + "host-" + found.group("host"))
            boot_id, running = self.story.now(int(found.group("host")))
            self._monkeypatch.setattr("xha.recorder.boot_id", lambda: boot_id)
            self._monkeypatch.setattr("xha.daemonlock.holder", lambda path: 1 if running else 0)
        else:
            words += [re.sub(r"^(host=\d:)?", "\\g<0>" + at.replace("\\", r"\\"), name)
                      for name in found.group("files").split()]
        code = cli.main("xha.pyz", ["why"] + words)
        out, err = self._capfd.readouterr()
        assert (code, err) == (0, ""), (line, err)
        return out.replace(at, "")


@pytest.fixture
def asker(tmp_path, monkeypatch, capfd):
    """No daemon, log or Xen of this machine is looked at."""
    monkeypatch.setenv("XHA_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XHA_LOG_FILE", str(tmp_path / "xha.log"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("xha.whyfiles._XEN_LOGS", ())
    # A machine that is busy is no disk that hangs.
    monkeypatch.setattr("xha.whyfiles._STATEFILE_S", 120.0)
    return Asker(tmp_path / "files", monkeypatch, capfd)


def parts_of(path):
    with open(path, encoding="ascii") as text:
        about, story, commands = text.read().split("\n---\n")
    return about, story, commands


@pytest.mark.parametrize("path", FILES, ids=[os.path.basename(path) for path in FILES])
def test_the_true_cause_is_named_with_all_that_is_known(path, asker, request):
    about, story, commands = parts_of(path)
    cause, host = re.search(r"^cause: ([a-z0-9-]+) of (\d)$", about, re.M).groups()
    asker.story = staged.Staged(story.splitlines(), CATALOGUE)
    asker.story.lay(asker.folder)
    lines = []
    for line in commands.splitlines():
        if line.startswith("$ "):
            lines += ([""] if lines else []) + [line]
        elif line.startswith("cannot tell: "):
            lines.append(line)
    said = []
    for place, line in enumerate(lines):
        said.append(line)
        if not line.startswith("$ "):
            continue
        told = lines[place + 1] if place + 1 < len(lines) else ""
        incident = json.loads(asker.ask(line, "--format=json"))["incident"]
        expected = (told[len("cannot tell: "):] if told.startswith("cannot tell: ") else cause)
        assert incident is not None, line
        assert (incident["cause"], incident["host"]) == (expected, int(host)), line
        if told.startswith("cannot tell: "):
            assert incident["limits"], "where the evidence ends it says so"
            lines[place + 1] = told + "\n\n" + asker.ask(line).rstrip("\n")
        else:
            said += ["", asker.ask(line).rstrip("\n")]
    text = "\n---\n".join([about, story, "\n".join(said) + "\n"])
    for line in text.splitlines():
        assert len(line) <= 80 and all(" " <= letter <= "~" for letter in line), line
    if request.config.getoption("--rewrite", default=False):
        with open(path, "w", encoding="ascii") as out:
            out.write(text)
        return
    with open(path, encoding="ascii") as kept:
        assert text.splitlines() == kept.read().splitlines()


def page_of(paths):
    """docs/why-incidents.md: of each incident the answer to its last command."""
    lines = ["# Staged incidents, and what `why` says of them", "",
             "Written by `pytest tests/why --rewrite` from the files in tests/why, which have the "
             "story of each, and", "what is said on the host itself and on a survivor alone. "
             "[why.md](why.md) explains the command.", ""]
    for path in paths:
        about, _, commands = parts_of(path)
        title = os.path.basename(path)[:-len(".txt")]
        last = commands[commands.rindex("$ "):].splitlines()
        body = last[1:]
        while body and (not body[0] or body[0].startswith("cannot tell: ")):
            body = body[1:]
        lines += ["## {}".format(title), "", about.partition("\n\ncause: ")[0], "",
                  "    " + last[0][len("$ "):], ""]
        lines += [("    " + line).rstrip() for line in body]
        lines.append("")
    return "\n".join(lines)


def test_the_incidents_are_part_of_the_documentation(request):
    path = os.path.join(ROOT, "docs", "why-incidents.md")
    page = page_of(FILES)
    if request.config.getoption("--rewrite", default=False):
        with open(path, "w", encoding="ascii") as out:
            out.write(page)
        return
    with open(path, encoding="ascii") as kept:
        assert kept.read() == page


def test_the_documentation_lists_every_incident_and_every_cause():
    with open(os.path.join(ROOT, "docs", "why.md"), encoding="ascii") as stream:
        text = stream.read()
    rows = dict(re.findall(r"^\| (\d\d-[a-z0-9-]+) \| .* \| `([a-z0-9-]+)` \|$", text, re.M))
    staged_causes = {os.path.basename(path)[:-len(".txt")]: re.search(
        r"^cause: ([a-z0-9-]+)", parts_of(path)[0], re.M).group(1) for path in FILES}
    assert rows == staged_causes
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
    cause, host = re.search(r"^cause: ([a-z0-9-]+) of (\d)$", about, re.M).groups()
    told = staged.Staged(story.splitlines(), CATALOGUE)
    os.makedirs(asker.folder)
    logs = []
    for machine in told.machines:
        logs.append(os.path.join(asker.folder, "xha.log.{}".format(machine.host.index)))
        with open(logs[-1], "w", encoding="ascii") as out:
            out.write(log_of(machine.lives))
    assert cli.main("xha.pyz", ["explain", "--format=json"] + logs) == 0
    incident = json.loads(capfd.readouterr().out)["incident"]
    assert (incident["cause"], incident["host"]) == (cause, int(host))


def test_there_are_twenty_incidents_with_twenty_causes():
    causes = [re.search(r"^cause: ([a-z0-9-]+)", parts_of(path)[0], re.M).group(1)
              for path in FILES]
    assert len(causes) >= 20 and len(set(causes)) >= 20, sorted(causes)
