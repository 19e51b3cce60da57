"""Aval, a consent and authorisation gateway.

It stands between organisations that hold personal data and apps that want to
use it: records what a person agreed to, issues tokens that carry exactly that,
lets through exactly what was agreed, and writes down what happened. It does not
keep the data itself: what an organisation answers is passed on or refused.

The one invariant: no data leaves without a live agreement to it, and not before
its entry in the access log is on the disk.
"""

__version__ = "0.1.0"

from gateway import compiled

compiled.use()
