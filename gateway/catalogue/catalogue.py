"""The catalogue: the content of policies/ and how to look things up in it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import jsonschema

from gateway.catalogue import format_files
from gateway.catalogue.datasets import Category, Dataset, answering, categories, datasets
from gateway.catalogue.formats import Format
from gateway.catalogue.purposes import Purpose, purpose
from gateway.catalogue.scopes import Scope, scopes
from gateway.catalogue.scopes import faults as scope_faults
from gateway.catalogue.words import SENSITIVITIES, CatalogueError, FileTable, Words, files
from gateway.settings import shipped_policies


class Defines(Protocol):
    """An organisation, as far as it defines types of data itself."""

    @property
    def own(self) -> Mapping[str, Dataset]: ...


SCHEMA = "data_access.schema.json"


class Catalogue:
    """Raises CatalogueError with the faults of all files, so that no page finds a word missing later."""

    def __init__(self, folder: Path) -> None:
        self.datasets: dict[str, Dataset] = {}
        self.categories: dict[str, Category] = {}
        self.purposes: dict[str, Purpose] = {}
        self.formats: dict[str, Format] = {}
        self.sectors: set[str] = set()
        faults: list[str] = []
        self.files = where = dict[str, str]()  # type of data or purpose → its file
        whole = hashlib.sha256()
        for path, file in files(folder, "formats", faults, shipped_policies()):
            whole.update(path.read_bytes())
            self.formats[path.stem] = format_files.read(file, path.stem)
        for path, file in files(folder, "sectors", faults, shipped_policies()):
            whole.update(path.read_bytes())
            self._take_sectors(file)
        for path, file in files(folder, "datasets", faults):
            whole.update(path.read_bytes())
            for dataset in datasets(file):
                if dataset.sector not in self.sectors:
                    file.wrong(
                        f"{dataset.id}: sector", f"{dataset.sector!r} is none of {', '.join(sorted(self.sectors))}"
                    )
                if dataset.id in self.datasets:
                    file.wrong(dataset.id, "stands in another file of datasets/ too")
                self.datasets[dataset.id] = answering(dataset, self.formats.get(dataset.format))
                where[dataset.id] = file.where
            self._take_categories(file)
        for path, file in files(folder, "purposes", faults):
            whole.update(path.read_bytes())
            found = purpose(path, file)
            if found.code in self.purposes:
                file.wrong(found.code, "stands in another file of purposes/ too")
            self.purposes[found.code] = found
            where[found.code] = file.where
        self.scopes: dict[str, Scope] = {}
        if (folder / "scopes").is_dir():
            for path, file in files(folder, "scopes", faults):
                whole.update(path.read_bytes())
                found_scopes = scopes(file)
                for name in sorted(self.scopes.keys() & found_scopes.keys()):
                    file.wrong(name, "stands in another file of scopes/ too")
                self.scopes |= found_scopes
                wrong = scope_faults(found_scopes, self.purposes, self.datasets)
                faults += [f"{file.where}: {each}" for each in wrong]
        self.schema = _schema(folder, faults)  # of one object of a request's authorization_details
        whole.update(json.dumps(self.schema).encode())
        self.sha256 = whole.hexdigest()
        faults += [*self._without_words(where), *self._unknown_datasets(where)]
        if faults:
            raise CatalogueError(faults)

    def of(self, place: "Defines | None", dataset: str) -> Dataset | None:
        """A type of data at an organisation, which may define its own; None: there is none of this name."""
        own = place.own if place is not None else {}
        return own.get(dataset) or self.datasets.get(dataset)

    def at(self, place: "Defines | None", dataset: str) -> Dataset:
        """The same where there must be one. Raises KeyError."""
        found = self.of(place, dataset)
        if found is None:
            raise KeyError(dataset)
        return found

    def sensitivity(self, known: Dataset, fields: tuple[str, ...]) -> str:
        """The highest sensitivity of a type of data and these fields of it."""
        found = [known.sensitivity, *(known.fields[name].sensitivity for name in fields if name in known.fields)]
        return max(found, key=SENSITIVITIES.index)

    def title(self, sensitivity: str, category: str) -> Words:
        """The heading above data of this sensitivity. There is none for sensitivity "none"."""
        return self.categories[category].titles[sensitivity]

    def _take_sectors(self, file: FileTable) -> None:
        """A file of sectors/ has some, or categories, or both."""
        file.only("sector", "category")
        if not file.table.keys() & {"sector", "category"}:
            file.wrong("sector", "list at least one [[sector]] or [[category]]")
        if "sector" in file.table:
            self.sectors.update(row.text("id") for row in file.entries("sector"))
        if "category" in file.table:
            self._take_categories(file)

    def _take_categories(self, file: FileTable) -> None:
        for category in categories(file):
            if self.categories.setdefault(category.id, category) != category:
                file.wrong(category.id, "has other words in another file")

    def _without_words(self, where: Mapping[str, str]) -> list[str]:
        """Faults: datasets for which a heading on the consent screen is missing."""
        faults = []
        for dataset in self.datasets.values():
            category = self.categories.get(dataset.category)
            if category is None:
                named = dataset.category or "(none)"
                faults.append(f"{where[dataset.id]}: {dataset.id}: category: {named} is no [[category]] of datasets/")
                continue
            for missing in sorted(dataset.sensitivities - {"none"} - category.titles.keys()):
                faults.append(
                    f"{where[dataset.id]}: {dataset.id}: category {category.id} has no words for {missing} data"
                )
        return faults

    def _unknown_datasets(self, where: Mapping[str, str]) -> list[str]:
        return [
            f"{where[purpose.code]}: datasets: {unknown} is in no file of datasets/"
            for purpose in self.purposes.values()
            for unknown in sorted(set(purpose.datasets) - set(purpose.declared) - set(self.datasets))
        ]


def _schema(folder: Path, faults: list[str]) -> dict[str, Any]:
    try:
        found = json.loads((folder / SCHEMA).read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(found)
    except OSError as error:
        faults.append(f"{SCHEMA}: {error.strerror}")
    except (ValueError, jsonschema.SchemaError) as error:
        faults.append(f"{SCHEMA}: {str(error).splitlines()[0]}")
    else:
        if isinstance(found, dict):
            return found
        faults.append(f"{SCHEMA}: write an object")
    return {}
