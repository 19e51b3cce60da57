"""The sectors. A new one needs a folder beside these and one line here."""

from collections.abc import Iterator

from gateway.catalogue import Catalogue, CatalogueError
from gateway.catalogue import fields as governing
from gateway.catalogue.datasets import Dataset
from gateway.formats import bank, espi, fhir
from gateway.formats.model import Sector
from gateway.formats.shapes import members

SECTORS: dict[str, Sector] = {"bank": bank, "energy": espi, "health": fhir}


def checked(catalogue: Catalogue) -> Catalogue:
    """The same catalogue. Raises CatalogueError if it names what no format has, so that no plan could be made of it; or
    if it can withhold what a plan judges records by, so that every call would fail."""
    faults = [
        f"{catalogue.files[dataset.id]}: {dataset.id}: {fault}"
        for dataset in catalogue.datasets.values()
        for fault in (*_unknown(dataset), *_withheld(dataset, catalogue))
    ]
    if faults:
        raise CatalogueError(faults)
    return catalogue


def _unknown(dataset: Dataset) -> Iterator[str]:
    if dataset.sector not in SECTORS:
        yield f"sector: {dataset.sector!r} is none of {', '.join(SECTORS)}"
        return
    table = SECTORS[dataset.sector].TABLE
    for field in dataset.fields.values():
        for kind, name in sorted(field.find | field.shared):
            if kind not in table or name not in members(table, kind):
                yield f"{field.id}: find: '{kind}/{name}' is no member of the format of {dataset.sector}"


def _withheld(dataset: Dataset, catalogue: Catalogue) -> Iterator[str]:
    """What a plan needs, and is not given whatever of the dataset is agreed to."""
    if dataset.sector not in SECTORS:
        return
    governed = governing.governed(dataset.sector, catalogue.datasets)
    always = dataset.members(set(dataset.structural()))
    for needed in SECTORS[dataset.sector].NEEDED.get(dataset.id, ()):
        if needed[0] in governed and needed not in always:
            named = (field.id for field in dataset.fields.values() if needed in field.find | field.shared)
            right = f"'{needed[0]}/{needed[1]}' must stand in a field with structural = true, without &"
            why = "no record can be judged without it, and every call would fail"
            yield f"{next(named, 'field')}: find: {right}: {why}"
