"""Looking for a form in encoded JSON, for every answer that leaves."""

import re
from collections.abc import Iterable


class Sought:
    """A form looked for in encoded JSON, by its first byte and the one after it.

    Looking for one byte costs a fraction of a search by regular expression, which looks at each.
    """

    def __init__(self, begins: Iterable[int], goes_on: Iterable[int], form: bytes) -> None:
        """`begins`, `goes_on`: what the first byte and the second may be. `form`: all of it, at least two bytes."""
        self._begins = sorted(begins)
        self._goes_on = bytes(byte in goes_on for byte in range(256))
        self._form = re.compile(form)

    def places(self, body: bytes) -> list[int]:
        """Each place of it; those of one first byte after those of another."""
        found: list[int] = []
        goes_on, form, last = self._goes_on, self._form, len(body) - 1
        for begin in self._begins:
            place = body.find(begin, 0, last)
            while place >= 0:
                if goes_on[body[place + 1]] and form.match(body, place) is not None:
                    found.append(place)
                place = body.find(begin, place + 1, last)
        return found
