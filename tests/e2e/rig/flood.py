"""An attacker on the cable of a host: sends datagrams to it, as many as it can.

    python3 -m rig.flood PORT

It runs in the switch's namespaces.  Standard input: frames, one a line, in hexadecimal, then
an empty line; they are sent in turn, again and again, until standard input ends.  Standard
output: how many were sent, how many the switch did not take, and in how many seconds.
"""

import binascii
import select
import socket
import sys
import time

#: Frames between two looks at standard input.
FRAMES = 1000


def main(port: str) -> None:
    """Send until standard input ends."""
    frames = []
    for line in sys.stdin.buffer:
        if not line.strip():
            break
        frames.append(binascii.unhexlify(line.strip()))
    batch = (frames * (FRAMES // len(frames) + 1))[:max(FRAMES, len(frames))]
    sent = refused = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((port, 0))
        began_at = time.monotonic()
        while not select.select([0], [], [], 0)[0]:
            for frame in batch:
                try:
                    wire.send(frame)
                    sent += 1
                except OSError:
                    refused += 1    # The switch's queue is full.
        print(sent, refused, time.monotonic() - began_at, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
