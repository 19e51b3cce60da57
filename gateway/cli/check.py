"""One thing that `aval doctor` has looked at."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    do: str = ""  # what to do about it
