"""Fuzz every decoder and parser of src/, or replay one input.

    python3 build.py fuzz [--minutes=M] [--target=NAME]... [--jobs=J] [--keep]
    python3 build.py fuzz --target=NAME --replay=INPUT

The time is shared by all targets and by the processes that run side by side.  Any bytes must give
a record or the documented error: what raises else is shortened and printed, with the line that
replays it.  INPUT is what that line has, or the name of a file.

--keep puts what was found into the corpus: inputs that take branches which no other takes, the
smallest of them.  Ends with 0; with 1 when something was found; with 2 when what was asked cannot
be understood.
"""
import argparse
import base64
import binascii
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zlib

import atheris

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]
import sources  # noqa: E402

import corpus  # noqa: E402

# Once for all targets: it takes some seconds to put the counters into all of src/.
with atheris.instrument_imports(include=["xha"]):
    sources.use(sources.SRC)
    import targets

#: What one input may take, s; and in memory, MiB.
INPUT_S, MEMORY_MIB = 20, 2000
#: What is kept of a target's corpus at most, bytes.
KEPT_BYTES = 12000
#: How long a target's inputs are looked through for what is worth keeping, s.
KEEP_S = 30
#: The longest input that is printed in a replay line, as text.
SHOWN = 6000


def main():
    parser = argparse.ArgumentParser(prog="build.py fuzz")
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--target", action="append", choices=sorted(targets.BY_NAME))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--replay")
    options = parser.parse_args()
    names = options.target or [target.name for target in targets.TARGETS]
    if options.replay is not None:
        if len(names) != 1:
            parser.error("--replay needs one --target")
        return replay(names[0], options.replay)
    each_s = max(2, int(60 * options.minutes * options.jobs / len(names)) - 1)
    failed = [name for name, well in fuzz_all(names, each_s, options.jobs, options.keep)
              if not well]
    print("fuzz: {} targets, {} s each: {}".format(
        len(names), each_s,
        "found something in " + ", ".join(sorted(failed)) if failed else "well"))
    return 1 if failed else 0


def fuzz_all(names, seconds, jobs, keep):
    """Fuzz these, some at a time; gives (name, whether nothing was found) of each."""
    waiting, running, done = list(names), {}, []
    while waiting or running:
        while waiting and len(running) < jobs:
            one = Fuzzing(waiting.pop(0), seconds)
            running[one.pid] = one
        pid, status = os.wait()
        one = running.pop(pid)
        done.append((one.name, one.ended(status, keep)))
    return done


class Fuzzing:
    """One target that is fuzzed, in a process of its own."""

    def __init__(self, name, seconds):
        self.name = name
        self._folder = tempfile.mkdtemp(prefix="xha-fuzz-")
        self._known = os.path.join(self._folder, "known")
        os.mkdir(self._known)
        for number, data in enumerate(targets.BY_NAME[name].seeds() + corpus.load(name)):
            with open(os.path.join(self._known, "seed{}".format(number)), "wb") as file:
                file.write(data)
        self._began = time.monotonic()
        self.pid = self._child([
            self._known, "-max_total_time={}".format(seconds),
            "-artifact_prefix={}/".format(self._folder), "-print_final_stats=1"])

    def _child(self, words):
        """libFuzzer, on this target; its words go to a file."""
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            out = os.open(os.path.join(self._folder, "out"), os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(out, 1)
            os.dup2(out, 2)
            target = targets.BY_NAME[self.name]

            def changed(data, most, seed):
                found = atheris.Mutate(data, most)
                return target.mend(found)[:most] if seed % 4 else found
            def run(data):
                try:
                    target.run(data)
                except Exception:  # pylint: disable=broad-except
                    with open(os.path.join(self._folder, "crash-it"), "wb") as file:
                        file.write(data)
                    os._exit(77)
            mutator = {"custom_mutator": changed} if target.mend else {}
            atheris.Setup(["fuzz", "-max_len={}".format(target.longest),
                           "-timeout={}".format(INPUT_S), "-rss_limit_mb={}".format(MEMORY_MIB)]
                          + words, run, **mutator)
            atheris.Fuzz()
        finally:
            os._exit(99)

    def ended(self, status, keep):
        """It ended; says what came of it, and whether nothing was found."""
        try:
            with open(os.path.join(self._folder, "out"), errors="replace") as file:
                out = file.read()
            bad = [os.path.join(self._folder, file) for file in sorted(os.listdir(self._folder))
                   if file.split("-")[0] in ("crash", "timeout", "oom")]
            if not bad and status:
                print("{}: the fuzzer itself failed, {}:\n{}".format(
                    self.name, status, out[-2000:]))
                return False
            tell(self.name, out, time.monotonic() - self._began)
            for path in bad:
                show(self.name, path)
            if keep and not bad:
                self._keep_best()
            return not bad
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _keep_best(self):
        """Put the smallest inputs that take all lines that were taken into the corpus.

        (libFuzzer's own merge starts programs anew, and there is none to start.)
        """
        target = targets.BY_NAME[self.name]
        seeds = target.seeds()
        found = set()
        for file in os.listdir(self._known):
            with open(os.path.join(self._known, file), "rb") as stream:
                found.add(stream.read())
        taken = set()
        for data in seeds:
            taken |= steps_of(target, data)
        kept = []
        until = time.monotonic() + KEEP_S
        for data in sorted(found - set(seeds), key=lambda one: (len(one), one)):
            more = steps_of(target, data) - taken
            if more:
                taken |= more
                kept.append(data)
            if time.monotonic() > until:
                break
        while corpus.save(self.name, kept) > KEPT_BYTES:
            kept = kept[:int(len(kept) * 0.8)]


def steps_of(target, data):
    """From which line to which of src/ a target goes with an input."""
    found, last = set(), {}

    def trace(frame, event, _):
        if not frame.f_code.co_filename.startswith(sources.SRC):
            return None
        found.add((frame.f_code, last.get(frame, 0), frame.f_lineno))
        last[frame] = frame.f_lineno
        if event == "return":
            last.pop(frame, None)
        return trace
    sys.settrace(trace)
    try:
        target.run(data)
    finally:
        sys.settrace(None)
    return found


def tell(name, out, took_s):
    """A line about a target that was fuzzed."""
    cover = [line for line in out.splitlines() if " cov: " in line]
    runs = [line.split()[-1] for line in out.splitlines() if "number_of_executed_units" in line]
    print("{:14} {:4.0f} s, {:>8} inputs, {} branches".format(
        name, took_s, runs[-1] if runs else "?",
        cover[-1].split(" cov: ")[1].split()[0] if cover else "?"), flush=True)


# ---- what was found

def fails(name, data):
    """Whether a target raises, and what."""
    try:
        targets.BY_NAME[name].run(data)
    except Exception as error:  # pylint: disable=broad-except
        return type(error), traceback.format_exc(limit=-4)
    return None, ""


def shortened(name, data, within_s=5.0):
    """A shorter input that fails in the same way."""
    kind, _ = fails(name, data)
    if kind is None:
        return data
    until = time.monotonic() + within_s
    size = len(data) // 2
    while size and time.monotonic() < until:
        at = 0
        while at < len(data) and time.monotonic() < until:
            less = data[:at] + data[at + size:]
            if fails(name, less)[0] is kind:
                data = less
            else:
                at += size
        size //= 2
    return data


def show(name, path):
    """Print what was found, and the line that replays it."""
    with open(path, "rb") as file:
        data = file.read()
    what = os.path.basename(path).split("-")[0]
    if what == "crash":
        data = shortened(name, data)
    packed = base64.urlsafe_b64encode(zlib.compress(data, 9)).decode("ascii")
    if len(packed) > SHOWN:
        kept = os.path.join(tempfile.gettempdir(), "xha-fuzz-{}-{:08x}".format(
            name, binascii.crc32(data)))
        shutil.copy(path, kept)
        packed = kept
    print("FOUND in {} ({}), {} bytes: {!r}\n{}replay: python3 build.py fuzz --target={} "
          "--replay={}".format(name, what, len(data), data[:200],
                               fails(name, data)[1] if what == "crash" else "", name, packed),
          flush=True)


def replay(name, word):
    """Give one input to a target."""
    if os.path.exists(word):
        with open(word, "rb") as file:
            data = file.read()
    else:
        try:
            data = zlib.decompress(base64.urlsafe_b64decode(word))
        except (ValueError, zlib.error) as error:
            print("no input, and no file: {}".format(error), file=sys.stderr)
            return 2
    began = time.monotonic()
    kind, text = fails(name, data)
    print(text or "{}: well, after {:.3f} s".format(name, time.monotonic() - began))
    return 0 if kind is None else 1


if __name__ == "__main__":
    sys.exit(main())
