"""Incidents that happened on real Xen hosts, and all that `why` says of them: two files for each.

``xen/NAME.tar.xz`` is what the hosts left, as tests/xen copied it with ``--rewrite``: recorders
of all hosts, the State-File, the console of each as a serial line showed it, and which boot each
was on when it was asked.  ``xen/NAME.txt`` has two parts between lines of ``---``: what was done
and the true cause; then commands, as in ``test_incidents``.  So what was seen once, on machines
that really were reset, is asked again wherever this test runs.

tests/xen itself asks on the hosts, while they live, and demands the same causes.
"""

import glob
import json
import os
import re
import tarfile

import pytest
from asking import answers, cause_of, compare, page_of, parts_of, title_of

pytestmark = pytest.mark.ends

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FILES = sorted(glob.glob(os.path.join(HERE, "xen", "*.txt")))


class Left:
    """What the hosts of an incident left."""

    def __init__(self, path, folder):
        self._folder = folder
        with tarfile.open(path[:-len(".txt")] + ".tar.xz") as packed:
            packed.extractall(folder, **(
                {"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        with open(os.path.join(folder, "now.json"), encoding="ascii") as stream:
            self._now = json.load(stream)
        for path in glob.glob(os.path.join(folder, "conf-*")):
            with open(path, encoding="ascii") as stream:
                text = stream.read()
            with open(path, "w", encoding="ascii") as out:
                out.write(text.replace("<StateFile>", "<StateFile>" + folder + os.sep))

    def now(self, host):
        """The boot in which a question was asked on that host, and whether its daemon ran."""
        return self._now[str(host)]


@pytest.mark.parametrize("path", FILES, ids=[os.path.basename(path) for path in FILES])
def test_the_true_cause_is_named_with_all_that_is_known(path, asker, rewrite):
    about, commands = parts_of(path)
    asker.story = Left(path, asker.folder)
    compare(path, "\n---\n".join([about, answers(asker, about, commands)]), rewrite)


def test_the_incidents_are_part_of_the_documentation(rewrite):
    compare(os.path.join(ROOT, "docs", "why-on-xen.md"), page_of(
        FILES, "Incidents on real Xen hosts, and what `why` says of them",
        "Written by `pytest tests/why --rewrite` from what real hosts left (tests/why/xen), which "
        "`build.py xen` stages\nanew; there is also what was said on the host itself and on a "
        "survivor. [why.md](why.md) explains the command."), rewrite)


def test_the_documentation_lists_every_incident():
    with open(os.path.join(ROOT, "docs", "why.md"), encoding="ascii") as stream:
        rows = dict(re.findall(r"^\| ([a-z][a-z0-9-]+) \| [^|]* \| `([a-z0-9-]+)` \|$",
                               stream.read(), re.M))
    assert rows == {title_of(path): cause_of(parts_of(path)[0])[0] for path in FILES}
