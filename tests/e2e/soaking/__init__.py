"""A pool of real daemons under a random diet, with the simulator's checkers looking on.

    diet       from a seed to what is done to the pool, line by line
    machines   the hosts as machines: they boot, run virtual machines, and are reset
    deeds      does a line of the diet to the pool
    harvest    what the daemons recorded and the disk saw, as events
    witness    shows the events to the checkers of src/simcheckers.py
    rounds     one round after the other: trouble, healing, an election, the verdict
"""
