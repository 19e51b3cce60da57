"""Looking for a form in encoded JSON, for every answer that leaves."""

import re
from collections.abc import Iterable

SELDOM = 256  # bytes of a body to one first byte


class Sought:
    """A form looked for in encoded JSON, by its first byte and the one after it.

    Looking for one byte costs a fraction of a search by regular expression, which looks at each, as long as there are
    few of it. Where there are many the search goes on by regular expression, so that no body costs much more than that.
    """

    def __init__(self, begins: Iterable[int], goes_on: Iterable[int], form: bytes) -> None:
        """`begins`, `goes_on`: what the first byte and the second may be. `form`: all of it, at least two bytes."""
        self._begins = sorted(begins)
        self._goes_on = bytes(byte in goes_on for byte in range(256))
        self._form = re.compile(form)

    def places(self, body: bytes) -> list[int]:
        """Each place of it (where they overlap, at least the first); those of one first byte after those of another."""
        found: list[int] = []
        goes_on, form, last = self._goes_on, self._form, len(body) - 1
        few = len(body) // SELDOM
        for begin in self._begins:
            place = body.find(begin, 0, last)
            while place >= 0 and few >= 0:
                if goes_on[body[place + 1]] and form.match(body, place) is not None:
                    found.append(place)
                few -= 1
                place = body.find(begin, place + 1, last)
            if place >= 0:
                return found + [each.start() for each in form.finditer(body)]
        return found
