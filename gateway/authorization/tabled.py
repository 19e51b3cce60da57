"""Every endpoint with the steps of its calls, for who wants to see them side by side: the reference, the tests."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.authorization import endpoints, pages

TABLE: Mapping[str, tuple[Callable[..., Any], ...]] = {
    "authorize": pages.ASKING,
    "authorize (kept)": pages.OPENING,
    **{one.name: one.steps for one in endpoints.STEPPED},
}
