"""Files that travel in the archive beside the program: read from there, or from the source tree.

The archive has them in the package ``xha``; who runs from the sources, in their own place.
"""

import os
import pkgutil


def read(name: str, in_tree: str) -> bytes:
    """The bytes of a file.

    Args:
        name: its path in the archive, below the package.
        in_tree: its path in the source tree.

    Raises:
        OSError: it is not there.
    """
    try:
        data = pkgutil.get_data("xha", name)
    except OSError:
        data = None
    if data is None:
        tree = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        with open(os.path.join(tree, in_tree), "rb") as stream:
            data = stream.read()
    return data
