"""Messages of a real daemon: some that are known by a number, and how to find them again."""

import re

from rig import view


def names(text):
    """The names of the messages in lines of a log or of `timeline`."""
    return re.findall(r" \[([a-z0-9-]+)\]", text)


def count(host, number):
    """Have the daemon log a message with a number in it."""
    answer = view.converse(host.control, "xha/1\tfault\tset\tstatefile.slow={}\n".format(
        number).encode("ascii"))
    assert answer.startswith(b"xha/1\t0\t"), answer


def counted(text):
    """The numbers of those messages, in the order of the text."""
    return [int(number) for number in re.findall(r"statefile\.slow is set to (\d+)\.", text)]
