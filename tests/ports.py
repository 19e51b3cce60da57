"""Ports of this machine, for servers that tests and the bench start."""

import socket


def free_port() -> int:
    """One that nobody has at this moment. Whoever takes it should do so soon."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
