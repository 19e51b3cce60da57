"""Runnable examples: three organisations that hold data, two apps that ask for it.

They know the gateway by its public addresses only, never by its code: each is a process of its own that could
stand anywhere. What they hold is made here by seeded generators, so that every machine sees the same four people.
"""
