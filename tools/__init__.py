"""What build.py is made of.  Standard library only; runs on CPython 3.6 and newer."""
