"""A bank whose answers are declared: one type of row, in whatever format a test says."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from gateway.catalogue import format_files
from gateway.catalogue.datasets import dataset
from gateway.catalogue.words import FileTable
from gateway.formats.model import Granted, Source
from tests.proxy.bank import BASE, FIELDS
from tests.proxy.raw import Exchange, RawOrganisation

MEGABYTE = 2**20
WORDS = {"fr": "mots", "en": "words"}
Plan = TypeVar("Plan")


def declared(make: Callable[..., Plan], **form: Any) -> Callable[[Source, str, Iterable[Granted]], Plan]:
    """What stands in the place of `registry.plan`. `form`: [format] without its base and its one call."""

    def plan(source: Source, _: str, granted: Iterable[Granted]) -> Plan:
        faults: list[str] = []
        path = "/accounts/{account}/transactions"
        calls = [{"name": "rows", "dataset": "bank.transactions", "path": path, "records": "Row"}]
        read = format_files.read(FileTable("format", {"base": BASE, "calls": calls, **form}, faults), "")
        finds = {FIELDS[0]: ["Row/number", "Row/booked"], FIELDS[1]: ["Row/amount"], "transaction.words": ["Row/words"]}
        fields = [{"id": name, "label": WORDS, "short": WORDS, "find": find} for name, find in finds.items()]
        about = dict.fromkeys(("label", "short", "long", "account", "time"), WORDS)
        row = {"id": "bank.transactions", "category": "money", "sensitivity": "none", "field": fields, **about}
        known = dataset(FileTable("dataset", row, faults), "bank", "")
        assert not faults, faults
        return make(read, source, granted, {known.id: known}, frozenset(["Row"]))

    return plan


def streams(organisation: RawOrganisation, kind: str, *pieces: bytes) -> None:
    """It answers with these, one after the other."""

    async def behave(exchange: Exchange) -> None:
        size = sum(map(len, pieces))
        await exchange.say(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n".encode())
        for piece in pieces:
            await exchange.say(piece)

    organisation.behaviour = behave
