"""The technical ground that every room uses. It knows no person, app or consent.

web (doors, templates, languages), http (the way in and the one way out), ops (logs, health),
keys, calendar, store, disk, and the one engine for declarations. What they know of people,
apps and consents is handed to them by the composition root, as functions and values.

The one invariant: nothing in here imports a room outside it. A look at gateway/ itself
therefore shows what Aval can do, and nothing else.
"""
