"""Values that hold for a while, such as a token that a server has given for an hour. In memory, for one process."""

import threading
from collections import OrderedDict

HELD = 10_000  # values; whatever was put first is forgotten first

Key = tuple[str, ...]


class Lasting:
    """By key. Can be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[Key, tuple[str, float]] = OrderedDict()

    def __repr__(self) -> str:
        return f"Lasting({len(self._held)})"

    def get(self, key: Key, epoch: float) -> str | None:
        found = self._held.get(key)
        return found[0] if found is not None and epoch < found[1] else None

    def put(self, key: Key, value: str, until: float) -> None:
        """`until`: the epoch second from which on it is not given any more."""
        with self._lock:
            self._held.pop(key, None)
            self._held[key] = value, until
            if len(self._held) > HELD:
                self._held.popitem(last=False)

    def drop(self, key: Key, value: str) -> None:
        """Forget this value, and no other that has come in its place."""
        with self._lock:
            if key in self._held and self._held[key][0] == value:
                del self._held[key]
