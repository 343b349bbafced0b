"""Files of incidents, and commands among the evidence of one: what both kinds of them share."""

import json
import os
import re

from xha import cli

COMMAND = re.compile(r"\$ (on (?P<host>\d)|copied (?P<files>.*?)): why ?(?P<words>.*)")
CANNOT = "cannot tell: "


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


def parts_of(path):
    """The parts of a file: what happened, the story if it is told here, commands."""
    with open(path, encoding="ascii") as text:
        return text.read().split("\n---\n")


def title_of(path):
    """What an incident is called."""
    return os.path.basename(path)[:-len(".txt")]


def cause_of(about):
    """(true cause, index of the host) of an incident."""
    cause, host = re.search(r"^cause: ([a-z0-9-]+) of (\d)$", about, re.M).groups()
    return cause, int(host)


def answers(asker, about, commands):
    """The commands of a file with what is said now, each true, and none too wide."""
    lines = [line for line in commands.splitlines() if line.startswith(("$ ", CANNOT))]
    said = []
    for place, line in enumerate(lines):
        if line.startswith(CANNOT):
            continue
        told = lines[place + 1] if lines[place + 1:] and lines[place + 1].startswith(CANNOT) else ""
        incident = json.loads(asker.ask(line, "--format=json"))["incident"]
        cause, host = cause_of(about)
        assert incident is not None, line
        assert (incident["cause"], incident["host"]) == (told[len(CANNOT):] or cause, host), line
        assert incident["limits"] or not told, "where the evidence ends it says so"
        said += [""] * bool(said) + [line] + [told] * bool(told) + [
            "", asker.ask(line).rstrip("\n")]
    text = "\n".join(said) + "\n"
    for line in text.splitlines():
        assert len(line) <= 80 and all(" " <= letter <= "~" for letter in line), line
    return text


def compare(path, text, rewrite):
    """Check that a file says this, or let it."""
    if rewrite:
        with open(path, "w", encoding="ascii") as out:
            out.write(text)
    with open(path, encoding="ascii") as kept:
        assert text.splitlines() == kept.read().splitlines()


def page_of(paths, title, text):
    """A page of the documentation: of each incident the answer to its last command."""
    lines = ["# " + title, "", text, ""]
    for path in paths:
        parts = parts_of(path)
        about, commands = parts[0], parts[-1]
        last = commands[commands.rindex("$ "):].splitlines()
        body = last[1:]
        while body and (not body[0] or body[0].startswith(CANNOT)):
            body = body[1:]
        lines += ["## " + title_of(path), "", about.partition("\n\ncause: ")[0], "",
                  "    " + last[0][len("$ "):], ""]
        lines += [("    " + line).rstrip() for line in body]
        lines.append("")
    return "\n".join(lines)
