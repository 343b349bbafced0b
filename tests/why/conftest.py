"""What the tests of this directory have."""

import pytest

pytest.register_assert_rewrite("asking")

from asking import Asker  # noqa: E402  (its asserts are to say what differs)


@pytest.fixture
def rewrite(request):
    """Whether what is said now is to be recorded."""
    return request.config.getoption("--rewrite", default=False)


@pytest.fixture
def asker(tmp_path, monkeypatch, capfd):
    """No daemon, log or Xen of this machine is looked at."""
    monkeypatch.setenv("XHA_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XHA_LOG_FILE", str(tmp_path / "xha.log"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("xha.whyfiles._XEN_LOGS", ())
    # A machine that is busy is no disk that hangs.
    monkeypatch.setattr("xha.whyfiles._STATEFILE_S", 120.0)
    return Asker(tmp_path / "files", monkeypatch, capfd)
