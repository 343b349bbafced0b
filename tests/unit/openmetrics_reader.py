"""A strict reader of OpenMetrics text, written from the specification and not from our writer.

It takes what both OpenMetrics 1.0 and the text format 0.0.4 of Prometheus (which is what
node_exporter's textfile collector reads) take, and refuses everything else.
"""
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")
SUFFIXES = {"gauge": [""], "counter": ["_total"]}
RESERVED = ("_total", "_created", "_count", "_sum", "_bucket")


class Invalid(Exception):
    """The text is no OpenMetrics."""


def require(fact, text):
    if not fact:
        raise Invalid(text)


def read(text):
    """{(name of the sample, labels): value as text}, and {family: (kind, unit, help)}."""
    require(text.endswith("# EOF\n"), "no # EOF at the end")
    lines = text[:-len("# EOF\n")].split("\n")
    require(lines.pop() == "", "a line without its end")
    samples, families, current = {}, {}, None
    for line in lines:
        require(line and line == line.strip() and "\r" not in line, "blank: {!r}".format(line))
        if line.startswith("# "):
            current = metadata(line, families, current)
            continue
        require(not line.startswith("#"), line)
        name, labels, value = sample(line)
        require(current is not None and name in [
            current + suffix for suffix in SUFFIXES[families[current]["TYPE"]]],
            "{} is not of the family {}".format(name, current))
        require((name, labels) not in samples, "twice: " + line)
        if families[current]["TYPE"] == "counter":
            require(float(value) >= 0, "a counter below 0")
        families[current]["samples"] += 1
        samples[name, labels] = value
    for family, found in families.items():
        require(found["samples"], family + " has no sample")
        require("HELP" in found, family + " has no help")
        require(("UNIT" in found) == family.endswith("_seconds"), family + ": unit")
    return samples, families


def metadata(line, families, current):
    words = line.split(" ", 3)
    require(len(words) == 4 and words[1] in ("TYPE", "UNIT", "HELP"), line)
    kind, family, rest = words[1:]
    require(NAME.match(family), line)
    if family != current:
        require(family not in families, family + " is interleaved")
        require(kind == "TYPE", "no TYPE first: " + line)
        require(not family.endswith(RESERVED), family)
        families[family] = {"samples": 0}
    found = families[family]
    require(kind not in found and not found["samples"], "late or twice: " + line)
    found[kind] = rest
    if kind == "TYPE":
        require(rest in SUFFIXES, "a type that the textfile collector does not know: " + rest)
    elif kind == "UNIT":
        require(family.endswith("_" + rest), line)
    else:
        require(not set(rest) & set('"\\'), "an escape in a help text")
    return family


def sample(line):
    """Name, labels and value of a line."""
    if "{" in line:
        name, rest = line.split("{", 1)
        labels, rest = label_set(rest)
    else:
        name, rest = line.split(" ", 1)
        labels, rest = (), " " + rest
    require(NAME.match(name), line)
    require(rest.startswith(" ") and NUMBER.match(rest[1:]), "no number, or more: " + line)
    return name, labels, rest[1:]


def label_set(rest):
    labels = []
    while True:
        name, equals, rest = rest.partition('="')
        require(equals and LABEL.match(name), "label " + name)
        require(name not in dict(labels), "label twice: " + name)
        value = ""
        while True:
            require(rest, "a label without an end")
            letter, rest = rest[0], rest[1:]
            if letter == '"':
                break
            if letter == "\\":
                require(rest[:1] in ("n", '"', "\\"), "escape \\" + rest[:1])
                letter, rest = {"n": "\n"}.get(rest[0], rest[0]), rest[1:]
            value += letter
        labels.append((name, value))
        if rest.startswith("}"):
            return tuple(labels), rest[1:]
        require(rest.startswith(","), "labels end in " + rest)
        rest = rest[1:]
