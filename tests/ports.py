"""Ports of this machine, for servers that tests and the bench start."""

from gateway.cli import demo_setup


def free_port() -> int:
    """One that nobody has at this moment, and that the system gives to nobody. Whoever takes it should do so soon."""
    return demo_setup.free(1)[0]
