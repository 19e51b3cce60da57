"""A world of its own for each test, and the people in it."""

from tests.worlds.consent import (  # noqa: F401
    alice,
    catalogue,
    chloe,
    consent,
    keys,
    mallory,
    policies,
    several,
    translations,
    world,
)
