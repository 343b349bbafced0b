"""Reads what Linux says of a bond: a small file of /proc, which never waits for a device.

Source: spec 8, "Bond monitor".
"""

from typing import Optional

#: Where Linux has a file for each bond of this network namespace.
FOLDER = "/proc/net/bonding"

#: Far above what 64 slaves need (about 350 bytes each).
_TEXT_MAX = 1 << 16


def read(interface: str, folder: str = "") -> Optional[str]:
    """The text about a bond; None when there is no bond of that name, "" when it cannot be read.

    Args:
        interface: a name that config has checked: it has no slash.
        folder: instead of FOLDER.
    """
    try:
        with open("{}/{}".format(folder or FOLDER, interface), "rb") as file:
            return file.read(_TEXT_MAX).decode("ascii", "backslashreplace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return ""
