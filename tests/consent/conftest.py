"""A place of its own for each test, and the people who come there: consent_fixtures.py."""

from consent_fixtures import (  # noqa: F401
    alice,
    catalogue,
    chloe,
    consent,
    keys,
    mallory,
    place,
    policies,
    several,
    translations,
)
