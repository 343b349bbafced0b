"""xha: high availability for Xen pools, from one file."""

__version__ = "1.0.0"
