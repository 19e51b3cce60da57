"""Declarations: files that tell this gateway what it needs to know of an app or an organisation.

A room writes down what its files may say as one table (`Form`): each key, the kind of its value
and the value when it is absent. The engine turns that table and a file into faults: all of them
at once, each with its key, what is wrong and what would be right. It knows neither apps nor
organisations.

The one invariant: a fault never repeats a value that could be a secret.
"""

from gateway.ground.declarations.form import REQUIRED, Form, Keys, unknown
from gateway.ground.declarations.reading import digest, load

__all__ = ["REQUIRED", "Form", "Keys", "digest", "load", "unknown"]
