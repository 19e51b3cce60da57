"""The engines of formats, and what rooms ask them: a plan for a grant, the accounts of a person.

A format is a file (`gateway.catalogue.formats`). Its driver names the engine that acts on it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from gateway.catalogue import Catalogue, CatalogueError, Dataset, Format
from gateway.catalogue import fields as governing
from gateway.catalogue.datasets import ACCOUNT
from gateway.formats import checking, csv_cut, espi, everything, fhir
from gateway.formats.csv_plan import CsvPlan
from gateway.formats.json_plan import JsonPlan
from gateway.formats.model import Fetch, FoundAccount, Granted, Plan, Source
from gateway.formats.xml_plan import XmlPlan

# driver → its engine, for those that tables do not describe
OWN: Mapping[str, Callable[[Source, Iterable[Granted]], Plan]] = {"espi": espi.plan, "fhir": fhir.plan}
ACCOUNTS: Mapping[str, Callable[[Source, Fetch], list[FoundAccount]]] = {"espi": espi.accounts, "fhir": fhir.accounts}
TABLES: Mapping[str, Mapping[str, str]] = {"espi": espi.TABLE, "fhir": fhir.TABLE}
NEEDED: Mapping[str, Mapping[str, Iterable[tuple[str, str]]]] = {"fhir": fhir.NEEDED}
CALLS: Mapping[str, Callable[[str], list[str]]] = {"espi": espi.paths, "fhir": fhir.paths}  # below their base
BY_TABLES: Mapping[str, Callable[..., Plan]] = {
    "json": JsonPlan,
    "ndjson": JsonPlan,
    "csv": CsvPlan,
    "xml": XmlPlan,
}


def form_of(source: Source, dataset: str) -> str | None:
    """The id of the format in which an organisation gives a type of data; None: it does not."""
    found = _known(source).get(dataset)
    return None if found is None else found.format


def plan(source: Source, format_: str, granted: Iterable[Granted]) -> Plan:
    """The granted items of one format, compiled."""
    its = form(source, format_)
    if not its.described:
        return OWN[its.driver](source, granted)
    known = _known(source)
    governed = governing.governed(format_, known, its)
    return BY_TABLES[its.driver](its, source, granted, governing.datasets(format_, known), governed)


def accounts(source: Source, fetch: Fetch) -> list[FoundAccount]:
    """The person's accounts at the organisation, as the first of its formats that lists any has them."""
    forms = [form(source, name) for name in formats_of(source)]
    lists = [each for each in forms if not each.described or each.accounts is not None]
    first = (lists or forms)[0]
    return everything.accounts(first, source, fetch) if first.described else ACCOUNTS[first.driver](source, fetch)


def formats_of(source: Source) -> list[str]:
    """The formats of an organisation's types of data, its own first."""
    known = _known(source)
    held = source.paths or [name for name, dataset in known.items() if dataset.sector == source.sector]
    found = dict.fromkeys(known[name].format for name in held if name in known)
    return sorted(found, key=lambda name: name != "")


def base_of(form: Format, paths: Iterable[str], dataset: str) -> str:
    """What stands before the paths of the calls of a shared format, as an organisation declares them; "": as the
    standard has it."""
    own = CALLS.get(form.driver)
    calls = own(dataset) if own else [call.path for call in form.calls.values() if call.dataset == dataset]
    for path in paths:
        for call in sorted(calls, key=len, reverse=True):
            if path.endswith(call):
                return path.removesuffix(call)
    return ""


def _known(source: Source) -> Mapping[str, Dataset]:
    return governing.shipped().datasets if source.known is None else source.known


def form(source: Source, name: str) -> Format:
    return source.forms[name] if name in source.forms else governing.shipped().formats[name]


# ---- whether they fit together


def checked(catalogue: Catalogue) -> Catalogue:
    """The same catalogue. Raises CatalogueError if it names what no format has, so that no plan could be made of it; or
    if it can withhold what a plan judges records by, so that every call would fail."""
    faults = list(_faults(catalogue))
    if faults:
        raise CatalogueError(faults)
    return catalogue


def _faults(catalogue: Catalogue) -> Iterator[str]:
    for dataset in catalogue.datasets.values():
        if dataset.format not in catalogue.formats and dataset.format != ACCOUNT:
            known = ", ".join(sorted(catalogue.formats))
            yield f"{catalogue.files[dataset.id]}: format: {dataset.format!r} is none of {known}"
    for name, one in catalogue.formats.items():
        its = {key: found for key, found in catalogue.datasets.items() if found.format == name}
        if its:
            for which, key, wrong in form_faults(one, its):
                where = f"{catalogue.files[which]}: {which}" if which else f"formats/{name}.toml"
                yield f"{where}: {key}: {wrong}"


def table(form: Format) -> Mapping[str, str]:
    return form.shapes if form.described else TABLES[form.driver]


def form_faults(form: Format, datasets: Mapping[str, Dataset]) -> Iterator[tuple[str, str, str]]:
    """(dataset or "", key, what is wrong or would be right) of a format and the types of data that are of it."""
    yield from checking.faults(form, table(form), NEEDED.get(form.driver, {}), datasets)
    if form.driver == "csv":
        yield from csv_cut.faults(form)
