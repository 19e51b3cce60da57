"""The sectors. A new one needs a folder beside these and one line here."""

from collections.abc import Iterator

from gateway.catalogue import Catalogue, CatalogueError
from gateway.catalogue.datasets import Dataset
from gateway.sectors import bank, energy, health
from gateway.sectors.model import Sector
from gateway.sectors.shapes import members

SECTORS: dict[str, Sector] = {"bank": bank, "energy": energy, "health": health}


def checked(catalogue: Catalogue) -> Catalogue:
    """The same catalogue. Raises CatalogueError if it names what no format has: no plan could be made of it."""
    faults = [fault for dataset in catalogue.datasets.values() for fault in _unknown(dataset)]
    if faults:
        raise CatalogueError(faults)
    return catalogue


def _unknown(dataset: Dataset) -> Iterator[str]:
    if dataset.sector not in SECTORS:
        yield f"{dataset.id}: sector: {dataset.sector!r} is none of {', '.join(SECTORS)}"
        return
    table = SECTORS[dataset.sector].TABLE
    for field in dataset.fields.values():
        for kind, name in sorted(field.find | field.shared):
            if kind not in table or name not in members(table, kind):
                yield f"{dataset.id}: {field.id}: find: '{kind}/{name}' is no member of the format of {dataset.sector}"
