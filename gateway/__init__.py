"""Aval, a consent and authorisation gateway.

It stands between organisations that hold personal data and apps that want to
use it: records what a person agreed to, issues tokens that carry exactly that,
lets through exactly what was agreed, and writes down what happened.
"""

__version__ = "0.1.0"

from gateway import compiled

compiled.use()
