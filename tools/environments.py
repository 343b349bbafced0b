"""Virtual environments under build/, from the pinned and hashed requirements alone."""
import hashlib
import os
import shutil
from typing import Dict

from tools import machine
from tools.machine import BUILD, ROOT, BuildError, Interpreter, run

#: Everything that is ever downloaded is kept here.
DOWNLOADS = os.path.join(BUILD, "downloads")


def pip_environment() -> Dict[str, str]:
    """The environment for pip: the caller's, for its index and proxy; our cache."""
    return dict(os.environ, PIP_CACHE_DIR=os.path.join(DOWNLOADS, "pip"),
                PIP_DISABLE_PIP_VERSION_CHECK="1")


def _create(interpreter: Interpreter, path: str) -> None:
    """Make an empty virtual environment.  BuildError: this Python cannot."""
    command = [interpreter.python, "-m", "venv", path]
    try:
        run(command, quiet=True)
    except BuildError:
        # Debian keeps what venv needs in a package of its own.
        shutil.rmtree(path, ignore_errors=True)
        machine.install_packages(["python3-venv"])
        run(command, quiet=True)


def environment(purpose: str, interpreter: Interpreter, requirements: str) -> str:
    """The Python of a virtual environment that holds exactly ``requirements``.

    Made anew only when the requirements or the interpreter changed.  Only ready-made
    packages are installed, so nothing runs code of its own while it is installed.

    Args:
        requirements: name of a file in requirements/, without ".txt".

    Raises:
        BuildError: it cannot be made; the text says why.
    """
    path = os.path.join(BUILD, "venv", "{}-{}".format(purpose, interpreter.version))
    python = os.path.join(path, "bin", "python")
    source = os.path.join(ROOT, "requirements", requirements + ".txt")
    with open(source, "rb") as stream:
        wanted = hashlib.sha256(stream.read() + repr(interpreter).encode()).hexdigest()
    stamp = os.path.join(path, "made-from")
    if os.path.exists(stamp):
        with open(stamp) as text:
            if text.read() == wanted:
                return python
    machine.say("making {}".format(os.path.relpath(path, ROOT)))
    shutil.rmtree(path, ignore_errors=True)
    _create(interpreter, path)
    run([python, "-m", "pip", "install", "-q", "--require-hashes", "--no-deps",
         "--only-binary", ":all:", "-r", source], quiet=True, env=pip_environment())
    with open(stamp, "w") as text:
        text.write(wanted)
    return python


def for_tests(interpreter: Interpreter) -> str:
    """The Python that runs the tests of this version, in several processes if told so."""
    return environment("test", interpreter,
                       "test" if interpreter.number >= (3, 10) else "test-3.6")
