"""Pools of real daemons on one machine, in namespaces of their own.

What a host of the rig is, what can be done to it, and what is left out:
``pool.py``.  Needs root, Linux, the programs ``ip`` and ``nft`` (packages
iproute2 and nftables), ``mount``, and /dev/fuse; for hosts with the files of a dom0 (``dom0.py``)
overlay file systems and ``setpriv``, too.
"""
