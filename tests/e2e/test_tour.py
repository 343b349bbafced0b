"""The guided tour: it sees what it expects, and says so when it does not."""
import os
import signal
import subprocess

#: Beyond every limit of the tour itself, s.
PATIENCE_S = 400


def tour(archive, *options):
    """A tour that has just begun."""
    interpreter = os.environ.get("XHA_PYTHON")
    return subprocess.Popen(
        ([interpreter] if interpreter else []) + [archive, "sandbox", "--tour"] + list(options),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        universal_newlines=True)


def test_the_tour_sees_what_it_expects(archive):
    process = tour(archive)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    lines = said[said.index("every expectation was met."):].splitlines()
    assert not [line for line in lines if line.startswith("  NOT")]
    # A host is dropped only after its reset: in the crash, and in the cut.
    assert len([line for line in lines if "dropped only after its reset" in line]) == 2
    assert len([line for line in lines if line.startswith("  ok")]) >= 20


def test_a_tour_that_is_disturbed_fails_and_says_where(archive, tmp_path):
    directory = str(tmp_path / "pool")
    process = tour(archive, "--dir=" + directory)
    said = ""
    while "fencing is armed on every host" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    with open(directory + "/h2/xhad.lock") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    rest, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "NOT ALL EXPECTATIONS WERE MET." in rest
    assert "\n  NOT" in rest
    assert not os.path.exists(directory)
