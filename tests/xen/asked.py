"""What `why` says of an incident on real hosts: there, on a survivor, and elsewhere, from copies.

After an incident the question is put on the host that was reset, once it is up again; on a host
that went on; and on this machine, to the files of all hosts, without and with what the rig saw
on the console of that host, each line with its time (UTC), as a serial console is captured.

What is left is the evidence of a test that needs no Xen (tests/why/xen): with ``--rewrite`` it
is kept there, and tests/why says what is to be done then.
"""
import base64
import gzip
import json
import os
import subprocess
import sys
import tarfile
import time
from collections import namedtuple

from dom0 import ARCHIVE, CONFIG
from xenrig.host import DISK

KEPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "why", "xen")

#: What `why` says: as text, and its JSON.
Answer = namedtuple("Answer", "text found")
#: The causes that are to be named: on the host itself, on a survivor, of all copied recorders,
#: and of these with the console.  None: no survivor is asked; of copies it has to be said that a
#: recording breaks off.
Causes = namedtuple("Causes", "itself survivor copies console")

_BREAK = "=====\n"
_WHOLE = "{0} why {1} && echo {2} && {0} why --format=json {1}"
_RECORDERS = ("cd /var/lib/xha && tar -c --warning=no-file-changed recorder* | gzip -1 | "
              "base64 -w0")
#: The global record and those of all hosts that there can be.
_STATEFILE = "dd if={} bs=4096 count=66 iflag=direct 2>/dev/null | gzip -1 | base64 -w0".format(
    DISK)


def ask(host, words=""):
    """What a host says of the last incident that it knows of."""
    done = host.run("sh", "-c", _WHOLE.format(ARCHIVE, words, _BREAK.strip()))
    assert (done.code, done.err) == (0, ""), done
    return _answer(*done.out.split(_BREAK))


def _answer(text, found):
    assert all(len(line) <= 80 for line in text.splitlines()), text
    return Answer(text, json.loads(found))


def _bytes_of(host, command):
    done = host.run("sh", "-c", command)
    assert (done.code, done.err) == (0, ""), done
    return base64.b64decode(done.out)


class Copies:
    """Files of some hosts, copied to this machine."""

    def __init__(self, archive, directory, hosts):
        self.archive, self.directory = archive, str(directory)
        self.names, self.now = [], {}
        for index, host in sorted(hosts.items()):
            self.names.append("host-{}".format(index))
            place = os.path.join(self.directory, self.names[-1])
            os.mkdir(place)
            subprocess.run(["tar", "-xz"], input=_bytes_of(host, _RECORDERS), cwd=place,
                           check=True)
            self._write("conf-{}".format(index), host.run("cat", CONFIG).out.replace(
                DISK, "statefile"))
            self.now[index] = host.boot_id
            self._capture(index, host)
        self._write("statefile", gzip.decompress(_bytes_of(hosts[max(hosts)], _STATEFILE)))

    def _capture(self, index, host):
        """The console, as something that writes down what comes on a serial line has it."""
        ahead_s = time.time() - time.monotonic()
        self._write("console-{}".format(index), "".join(
            time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime(at_s + ahead_s)) + line + "\n"
            for at_s, line in host.console))

    def _write(self, name, data):
        with open(os.path.join(self.directory, name), "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode("ascii", "replace"))

    def ask(self, words, *names):
        """What `why` says of the recorders, and of these files."""
        said = [subprocess.run(
            [sys.executable, self.archive, "why"] + form + words.split() + self.names
            + list(names),
            cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            for form in ([], ["--format=json"])]
        assert [(one.returncode, one.stderr) for one in said] == [(0, b"")] * 2, said
        return _answer(*[one.stdout.decode("ascii") for one in said])

    def keep(self, name, running):
        """Put everything where tests/why finds it."""
        self._write("now.json", json.dumps(
            {str(index): [boot_id, running] for index, boot_id in self.now.items()}))
        os.makedirs(KEPT, exist_ok=True)
        with tarfile.open(os.path.join(KEPT, name + ".tar.xz"), "w:xz") as packed:
            for path in sorted(os.listdir(self.directory)):
                packed.add(os.path.join(self.directory, path), path)


class Asker:
    """Asks everywhere, and checks that the true cause is named."""

    def __init__(self, archive, directory, rewrite):
        self._archive, self._directory, self._rewrite = archive, directory, rewrite

    def require(self, name, hosts, victim, causes, path, words=""):
        """Check what is said of the last incident.

        Args:
            hosts: by index, those whose recorders there are.
            victim: the index of the host that was reset.
            path: what failed, as it is said where there is most evidence.
            words: options of the command.
        """
        answers = {"itself": ask(hosts[victim], words)}
        survivors = [index for index in hosts if index != victim]
        if causes.survivor is not None:
            answers["survivor"] = ask(hosts[survivors[0]], words)
        copies = Copies(self._archive, self._directory, hosts)
        answers["copies"] = copies.ask(words)
        answers["console"] = copies.ask(words, "host={0}:console-{0}".format(victim))
        if self._rewrite:
            copies.keep(name, bool(survivors))
        for where, answer in answers.items():
            print("== {}\n{}".format(where, answer.text))
        for where, answer in answers.items():
            cause, incident = getattr(causes, where), answer.found["incident"] or answer.found
            if cause is None:
                assert any("breaks off at" in limit for limit in incident["limits"]), where
            else:
                assert (incident["host"], incident["cause"]) == (victim, cause), where
        assert answers["console"].found["incident"]["path"] == path
        assert answers["itself"].found["incident"]["machine_rebooted"] is True
