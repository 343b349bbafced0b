"""The pinned source of Xen: downloaded once, believed only when it is the very file."""
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from tools import xensource  # noqa: E402
from tools.machine import BuildError  # noqa: E402


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A place for downloads, and a function that puts files where they are downloaded from."""
    monkeypatch.setattr(xensource, "DOWNLOADS", str(tmp_path / "downloads"))

    def offer(*contents):
        addresses = []
        for number, content in enumerate(contents):
            place = tmp_path / str(number)
            if content is not None:
                place.write_bytes(content)
            addresses.append(place.as_uri())
        monkeypatch.setattr(xensource, "ADDRESSES", addresses)
        return addresses

    monkeypatch.setattr(xensource, "SHA256", (
        "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"))  # of b"foo"
    return offer


def test_a_source_is_downloaded_once_from_the_first_address_that_has_it(mirror):
    mirror(None, b"foo")
    with open(xensource.fetch(), "rb") as stream:
        assert stream.read() == b"foo"
    mirror(None)
    assert os.listdir(os.path.dirname(xensource.fetch())) == [xensource.NAME]


def test_a_source_that_no_address_has_is_said_to_be_unreachable(mirror):
    addresses = mirror(None, None)
    with pytest.raises(xensource.Unreachable) as told:
        xensource.fetch()
    assert all(address in str(told.value) for address in addresses)


def test_another_source_than_the_pinned_one_is_refused_and_not_kept(mirror):
    mirror(b"bar", b"foo")
    with pytest.raises(BuildError):
        xensource.fetch()
    assert not os.path.exists(xensource.path())


def test_a_download_that_was_damaged_on_disk_is_refused_once_and_fetched_anew(mirror):
    mirror(b"foo")
    with open(xensource.fetch(), "wb") as stream:
        stream.write(b"fo")
    with pytest.raises(BuildError):
        xensource.fetch()
    with open(xensource.fetch(), "rb") as stream:
        assert stream.read() == b"foo"
