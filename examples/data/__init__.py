"""Data of the example organisations, made and never copied.

Every generator is a pure function of a person and a day called `today`. What happened on one calendar day does not
depend on `today`: tomorrow's run shows the same past and one more day. No clock and no chance but seeded ones.
"""
