"""The calls of a draft: which of those that were read, with which names, and with which words in their paths."""

import re

from gateway.formats.drafting.nodes import Object, Remark, snake
from gateway.formats.drafting.reading import AnswerShape, Reading
from gateway.formats.drafting.records import Found

MOST = 50  # types of data of one declaration
_NOT_FOR_APPS = ("customer", "subscription")  # words that only the gateway fills


def rename_words(answer: AnswerShape, reading: Reading) -> None:
    """A word in braces is the app's to fill: none twice in one path, none that is a parameter or the gateway's own."""
    taken = {*reading.parameters, *_NOT_FOR_APPS}
    for word in re.findall(r"\{([a-z_]+)\}", answer.path):
        free = word
        while free in taken:
            free += "_id"
        taken.add(free)
        if free != word:
            answer.path, answer.asks = (_renamed(path, word, free) for path in (answer.path, answer.asks))


def _renamed(path: str, word: str, free: str) -> str:
    """The last of its places: of a word that stands twice, the first keeps it."""
    head, brace, tail = path.rpartition(f"{{{word}}}")
    return f"{head}{{{free}}}{tail}" if brace else path


def grouped(reading: Reading, found: list[Found]) -> list[list[Found]]:
    """By the type of their records: each group is a type of data, and there are no more than a declaration has."""
    groups: dict[Object, list[Found]] = {}
    for each in found:
        groups.setdefault(each.record, []).append(each)
    if len(groups) > MOST:
        what = f"{len(groups)} types of data, where a declaration has {MOST} at most"
        reading.notes.append(Remark("the whole draft", what, f"the first {MOST} are written"))
    return list(groups.values())[:MOST]


def name(found: list[Found]) -> None:
    """As a declaration takes it: small letters, digits and -, and each once."""
    taken: set[str] = set()
    for each in found:
        wanted = each.answer.name if each.answer.path else each.record.name
        plain = re.sub("[^a-z0-9]+", "-", snake(wanted)).strip("-")[:56].rstrip("-")
        plain = plain if plain[:1].isalpha() else f"call-{plain}".rstrip("-")
        free = (plain, *(f"{plain}-{number}" for number in range(2, 10_000)))
        each.call = next(name for name in free if name not in taken)
        taken.add(each.call)
