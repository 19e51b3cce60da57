"""The fifth step: what a format makes of an answer, on the event loop where it is small and else beside it."""

import logging
from collections.abc import Callable
from typing import TypeVar

from gateway.errors import where
from gateway.formats.model import NotThere, TooLarge, UnknownShape
from gateway.ground.http.connector import ConnectorError
from gateway.ground.pools import Pools
from gateway.proxy.admit import Permit

# Some 0.3 ms of JSON, 2 ms of XML. Larger answers are cut in a worker thread, so that other calls go on.
IN_LOOP_BYTES = 128 * 1024

_log = logging.getLogger("gateway.proxy")
_Made = TypeVar("_Made")


async def filtered(pools: Pools, permit: Permit, size: int, work: Callable[[], _Made]) -> _Made:
    """What `work` makes of so many bytes. A fault of the filter itself gives nothing, and is ours to repair.

    Raises ConnectorError, UnknownShape, TooLarge, NotThere.
    """
    try:
        if size <= IN_LOOP_BYTES:
            return work()
        return await pools.run("cut", permit.route.facts["organisation"], work)
    except (UnknownShape, TooLarge, NotThere):
        raise
    except Exception as error:
        _log.error("filter failed: %s", where(error))
        raise ConnectorError("filter_failed", type(error).__name__) from error
