"""Whether a format and the types of data written for it fit together: told when they are read, never at a call."""

import re
from collections.abc import Iterable, Iterator, Mapping

from gateway.catalogue import fields as governing
from gateway.catalogue.datasets import Dataset
from gateway.catalogue.formats import Format, FormatCall, Member, along
from gateway.catalogue.shapes import NEVER, TEXTS, inner, members, reached
from gateway.formats import coarse_checking, xml_checking

Found = Iterator[tuple[str, str, str]]  # dataset or "", key, what is wrong or would be right
_JSON = ("json", "ndjson")
_UNREADABLE = re.compile(r'["\\\x00-\x1f]')  # in a member's name: msgspec has no such


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
            for key, wrong in coarse_checking.part_faults(call, form, datasets.get(call.dataset)):
                yield "", f"calls.{call.name}.{key}", wrong
        yield from _calls(form, datasets)
        yield from _accounts(form)
        yield from _unnamed(form, datasets)
        yield from _around(form)
        yield from _nested(form)
        yield from _only(form)
        yield from _spelt(form)
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
        by_account = form.accounts is not None or "{account}" in call.path
        if records is not None and by_account and not _whose(form, call):
            right = 'name [records] account, put {account} into what is asked, or say whose = "person"'
            yield "", f"calls.{call.name}", f"nothing says whose its records are: {right}"
        if "account" in call.placed and "{account}" not in call.path:
            yield "", f"calls.{call.name}.path", "put {account} into the path, so that an app can say which"
    for name, parameter in form.parameters.items():
        fields = {field for dataset in datasets.values() for field in dataset.fields}
        if parameter.needs and parameter.needs not in fields:
            yield "", f"parameters.{name}.needs", f"{parameter.needs!r} is no field"
    for dataset in datasets.values():
        if not any(call.dataset == dataset.id for call in form.calls.values()):
            yield dataset.id, "calls", "no call of the format gives it"


def _accounts(form: Format) -> Found:
    for kind, records in form.records.items():
        steps = along(form.shapes, kind, records.account) or []
        if steps and inner(members(form.shapes, steps[-1][0])[steps[-1][1]]) == "p":
            right = "write s in shapes: an account has a reference of each app's own anyway"
            yield "", f"records.{kind}.account", f"{'.'.join(records.account)} is p: {right}"


def _whose(form: Format, call: FormatCall) -> bool:
    return form.says_whose(call) or any(rule == "account" for rule in form.around.values())


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


def _around(form: Format) -> Found:
    """That what stands around the records holds none, and that a rule can be kept."""
    for (kind, name), rule in form.around.items():
        word = inner(members(form.shapes, kind).get(name, "s")) if kind in form.shapes else "s"
        types = set(reached(form.shapes, word)) if word in form.shapes else set[str]()
        words = {word, *(inner(each) for inside in types for each in members(form.shapes, inside).values())}
        for held in sorted(types & form.records.keys()) if rule == "same" else ():
            yield "", f"around.{kind}/{name}", f"{held} are records, which nothing would judge here: leave it out"
        if rule == "same" and "p" in words:
            yield "", f"around.{kind}/{name}", "p, an identifier, is the app's own in records only: leave it out"
    ruled = {kind for kind, _ in form.around}
    for envelope in dict.fromkeys(call.envelope for call in form.calls.values() if call.envelope in form.shapes):
        for kind in reached(form.shapes, envelope):
            if form.driver == "json" and kind not in form.records:
                yield from _listed(form, kind, ruled)


def _listed(form: Format, kind: str, ruled: set[str]) -> Found:
    for name, word in members(form.shapes, kind).items():
        below = inner(word)
        if word != below and below in form.shapes and below not in form.records:
            for held in sorted(ruled.intersection(reached(form.shapes, below))):
                if (kind, name) not in form.around:
                    yield "", f"around.{held}", f"it stands in a list, {kind}/{name}: write a rule for that instead"


def _nested(form: Format) -> Found:
    """Records that hold others: those inside would be judged by nothing of their own."""
    for kind in form.records.keys() & form.shapes.keys():
        for inside in sorted(form.records.keys() & set(reached(form.shapes, kind)) - {kind}):
            yield "", f"records.{kind}", f"{inside} are records, too, and stand inside these: give them another type"


def _only(form: Format) -> Found:
    """What is given only sometimes is looked for in records themselves, and by texts."""
    for (kind, name), only in form.only.items():
        word = members(form.shapes, kind).get(only.member, "s") if kind in form.shapes else "s"
        if kind not in form.records:
            yield "", f"only.{kind}/{name}", f"{kind} is no type of records, and it would be given always"
        elif form.driver in _JSON and word not in TEXTS:
            right = f"{only.member} is {word} in shapes, and must be a text: one of {', '.join(TEXTS)}"
            yield "", f"only.{kind}/{name}.member", right


def _spelt(form: Format) -> Found:
    """That every name can be read."""
    for kind in form.shapes if form.driver in _JSON else ():
        for name in filter(_UNREADABLE.search, members(form.shapes, kind)):
            right = "it cannot be read in JSON: leave it out, and it is withheld"
            yield "", f"shapes.{kind}", f"{name!r} has a quote, a backslash or a control character: {right}"
