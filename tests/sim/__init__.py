"""A pool in one process: real hosts (core and formats) in a virtual world."""
