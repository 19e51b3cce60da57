"""What every room stands on and what knows no person, app or consent.

web (doors, templates, languages), http (the way in and the one way out), ops (logs, health),
keys, calendar, store, and the one engine for declarations. Nothing in here imports a room
outside it; a look at gateway/ itself therefore shows what Aval can do, and nothing else.
"""
