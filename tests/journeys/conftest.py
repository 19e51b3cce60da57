"""Whole stories through HTTP, in one running town."""

from town import town

__all__ = ["town"]
