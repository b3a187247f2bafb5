"""Runs inside the sandbox: makes a terminal there, hands its other end out to Mainspring, and becomes the command.

It is started as ``python -I -S -c TEXT CHANNEL ROWS COLUMNS COMMAND...``, so it imports nothing of ours. Nothing of it
is left when the command begins: no process beside it, no descriptor, no way to Mainspring but the terminal.
"""

import contextlib
import fcntl
import os
import socket
import struct
import sys
import termios


def main() -> None:
    """Never returns but for a command that cannot be started."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", int(sys.argv[2]), int(sys.argv[3]), 0, 0))
    modes = termios.tcgetattr(slave)
    modes[0] |= 0x4000  # IUTF8: erasing takes back a character, not a byte
    termios.tcsetattr(slave, termios.TCSANOW, modes)
    socket.send_fds(channel, [b"t"], [master])
    channel.close()
    with contextlib.suppress(PermissionError):  # it leads a session already
        os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    os.closerange(3, 4096)
    try:
        os.execvp(sys.argv[4], sys.argv[4:])
    except OSError as error:
        print(f"{sys.argv[4]}: {error.strerror}")
        os._exit(127)


if __name__ == "__main__":
    main()
