"""Time, as people and formats write it.

    instants   points in time, read and written strictly     durations   P6M and its like (ISO 8601)
    windows    the hour, day or month that a use counts in   ages        who is too young to agree alone

It knows no person and no consent: it is handed instants, dates and time zones, and answers in the same.

The one invariant: nothing here reads a clock. Whoever asks says what time it is, so that every answer can be had again.
"""
