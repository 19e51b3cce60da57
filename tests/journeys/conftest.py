"""Whole stories through HTTP, in one running demo."""

from tests.worlds.demo import world

__all__ = ["world"]
