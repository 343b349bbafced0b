"""Where a program is."""
import os
import shutil

import pytest

from xha.paths import program_of


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Two folders on the path, and what can be in them."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    for name, mode in (("one/plain", 0o644), ("two/plain", 0o755), ("two/only", 0o755),
                       ("one/both", 0o755), ("two/both", 0o755)):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    (tmp_path / "one" / "folder").mkdir()
    monkeypatch.setenv("PATH", "{0}/one:{0}/none:{0}/two".format(tmp_path))
    return str(tmp_path)


FOUND = [
    # name           found         why
    ("only", "two/only", "in a later folder"),
    ("both", "one/both", "the first folder counts"),
    ("plain", "two/plain", "a file that cannot be run is passed over"),
    ("folder", "", "a folder is no program"),
    ("absent", "", "nowhere"),
    ("{}/two/only", "two/only", "by its path"),
    ("{}/one/plain", "", "by its path, and cannot be run"),
    ("{}/absent", "", "by a path where nothing is"),
]


@pytest.mark.parametrize("name, found, why", FOUND, ids=[row[-1] for row in FOUND])
def test_a_program_is_found_as_a_shell_finds_it(programs, name, found, why):
    name = name.format(programs)
    expected = os.path.join(programs, found) if found else ""
    assert program_of(name) == expected == (shutil.which(name) or "")
