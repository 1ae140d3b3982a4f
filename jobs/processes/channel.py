"""A pair of sockets between two of our processes: one JSON message a packet, EOF at a death."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

# A packet must fit the kernel's buffer whole; what we send is small, and bounded by `send`.
MAX_BYTES = 64 * 1024

Message = dict[str, Any]


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, message: Message, *, fds: tuple[int, ...] = ()) -> bool:
    """Send `message`, and file descriptors with it; return whether the other end still lives."""
    data = json.dumps(message).encode()
    if len(data) > MAX_BYTES:
        raise ValueError(f"A message of {len(data)} bytes is too long for one packet.")
    try:
        if fds:
            socket.send_fds(end, [data], list(fds))
        else:
            end.send(data)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def mention(end: socket.socket, message: Message) -> None:
    """Send `message` unless the other end is gone, or hangs and has many unread."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, BlockingIOError):
        end.send(json.dumps(message).encode(), socket.MSG_DONTWAIT)


def receive(end: socket.socket) -> tuple[Message | None, list[int]]:
    """Return the next message and its file descriptors; None when the other end is gone.

    Blocks as the socket does; a non-blocking one raises BlockingIOError.
    """
    try:
        data, fds, _flags, _address = socket.recv_fds(end, MAX_BYTES, 4)
    except ConnectionResetError:
        return None, []
    if not data:
        return None, []
    message: Message = json.loads(data)
    return message, fds
