"""Whether a format and the types of data written for it fit together: told when they are read, never at a call."""

from collections.abc import Iterable, Iterator, Mapping

from gateway.catalogue import fields as governing
from gateway.catalogue.datasets import Dataset
from gateway.catalogue.formats import Format, Member
from gateway.catalogue.shapes import NEVER, inner, members, reached
from gateway.formats import coarse_checking, xml_checking

Found = Iterator[tuple[str, str, str]]  # dataset or "", key, what is wrong or would be right


def faults(
    form: Format, table: Mapping[str, str], needed: Mapping[str, Iterable[Member]], datasets: Mapping[str, Dataset]
) -> Found:
    """Of the datasets of this format. `table`: its types, and `needed`: the members by which records of a dataset are
    judged, for a format with an engine of its own as well."""
    for dataset in datasets.values():
        members_needed = list(needed.get(dataset.id, ())) + form.needed(dataset.id)
        for key, wrong in (*_unknown(dataset, form, table), *_judged(dataset, form, members_needed, datasets)):
            yield dataset.id, key, wrong
        for key, wrong in coarse_checking.faults(dataset, form, table):
            yield dataset.id, key, wrong
    if form.described:
        for call in form.calls.values():
            for key, wrong in coarse_checking.answer_faults(call, form, datasets.get(call.dataset)):
                yield "", f"calls.{call.name}.{key}", wrong
        yield from _calls(form, datasets)
        yield from _unnamed(form, datasets)
        yield from xml_checking.faults(form)


def _unknown(dataset: Dataset, form: Format, table: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for field in dataset.fields.values():
        for kind, name in sorted(field.find | field.shared):
            if kind not in table or name not in members(table, kind):
                yield f"{field.id}: find", f"'{kind}/{name}' is no member of the format {form.id or 'declared here'}"
            elif members(table, kind)[name] in NEVER:
                yield f"{field.id}: find", f"'{kind}/{name}' is never given: take it out of the shape's `-`, or of find"


def _judged(
    dataset: Dataset, form: Format, by: list[Member], datasets: Mapping[str, Dataset]
) -> Iterator[tuple[str, str]]:
    """What a plan needs to judge records by, and is not given whatever of the dataset is agreed to."""
    always = dataset.members(set(dataset.structural()))
    governed = governing.governed(form.id, datasets, form)
    for needed in by:
        if needed[0] in governed and needed not in always:
            named = (field.id for field in dataset.fields.values() if needed in field.find | field.shared)
            right = f"'{needed[0]}/{needed[1]}' must stand in a field with structural = true, without &"
            why = "no record can be judged without it, and every call would fail"
            yield f"{next(named, 'field')}: find", f"{right}: {why}"
    yield from _time(dataset, form)


def _time(dataset: Dataset, form: Format) -> Iterator[tuple[str, str]]:
    """That people read of the time that counts."""
    if not form.described:
        return
    times = {f"{kind}/{path[0]}" for kind in form.judged(dataset.id) if kind in form.records
             for path in form.records[kind].time.paths if path}  # fmt: skip
    said = dataset.time.get("find")
    if times and said not in times:
        yield "time: find", f"the record's own time is {' or '.join(sorted(times))}"
    elif said and not times:
        yield "time: find", "leave it out: these records have no time of their own"


def _calls(form: Format, datasets: Mapping[str, Dataset]) -> Found:
    for call in form.calls.values():
        if call.dataset not in datasets:
            right = f"{call.dataset!r} is no type of data of this format"
            yield "", f"calls.{call.name}.dataset", f"{right}: one of {', '.join(sorted(datasets)) or 'none yet'}"
        records = form.records.get(call.records)
        if records is not None and not records.account and form.accounts is not None and not _whose(form, call.name):
            yield "", f"calls.{call.name}", "nothing says whose its records are: name [records] account, or {account}"
        if "account" in call.placed and "{account}" not in call.path:
            yield "", f"calls.{call.name}.path", "put {account} into the path, so that an app can say which"
    for name, parameter in form.parameters.items():
        fields = {field for dataset in datasets.values() for field in dataset.fields}
        if parameter.needs and parameter.needs not in fields:
            yield "", f"parameters.{name}.needs", f"{parameter.needs!r} is no field"
    for dataset in datasets.values():
        if not any(call.dataset == dataset.id for call in form.calls.values()):
            yield dataset.id, "calls", "no call of the format gives it"


def _whose(form: Format, name: str) -> bool:
    call = form.calls[name]
    return call.names_account or any(rule == "account" for rule in form.around.values())


def _unnamed(form: Format, datasets: Mapping[str, Dataset]) -> Found:
    """Members of governed types that are in no field: they would be withheld for ever, and nobody would know."""
    named: set[Member] = set()
    for dataset in datasets.values():
        named.update(form.needed(dataset.id))  # `_judged` tells of these
        named |= {member for field in dataset.fields.values() for member in field.find | field.shared}
    for call in form.calls.values():
        if call.answer is not None:  # read for it, and never given
            named.update(form.read_for(call))
    governed = governing.governed(form.id, datasets, form)
    seen: set[str] = set()
    for records in (*form.records, *(call.answer.kind for call in form.calls.values() if call.answer)):
        if records in form.shapes:
            seen.update(reached(form.shapes, records))
    for kind in sorted(governed & seen):
        for name, word in members(form.shapes, kind).items():
            if inner(word) not in NEVER and (kind, name) not in named:
                right = f"put '{kind}/{name}' into a field's find, or write {name}:-"
                yield "", f"shapes.{kind}", f"{name} is in no field: {right}"
