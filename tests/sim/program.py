"""The program from its sources, with the packages that go into the archive: for the builder."""
import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
__import__("conftest")  # Makes src/ importable as xha.

from xha import cli  # noqa: E402

if __name__ == "__main__":
    sys.exit(cli.main("xha.pyz", sys.argv[1:]))
