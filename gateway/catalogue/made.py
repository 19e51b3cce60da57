"""Answers instead of data: how a field is made coarser than the member it stands for, and what that still reveals.

    made = { round = "10" }           the nearest multiple, half away from zero
    made = { cut = 2 }                decimals, the others cut off towards zero
    made = { keep = 2 }               the first characters
    made = { band = ["0", "1000"] }   "..0", "0..1000" or "1000.."
    made = { date = "month" }         of a time: the local day, month or year
    made = { pseudonym = true }       a code in its place, one-way, per app and person
    made = { yes = "present" }        whether it is there

A call may also give an answer over its records (`OverRecords`): totals, first and last, whether a threshold is reached.
Here stand the words, and a sentence for each; `gateway.formats.coarser` and `totals` act on them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

from gateway.catalogue.words import FileTable, Words
from gateway.settings import LANGUAGES

WORDS = ("round", "cut", "keep", "band", "date", "pseudonym", "yes")
NUMBERS = ("round", "cut")  # what is made of a number is a number
UNITS = ("day", "month", "year")  # from the finest
GIVES = ("sum", "count", "first", "last", "min", "max", "yes")
OVER = ("day", "month", "all")
_EXACT = Context(prec=100)  # of two steps of 48 digits
_DECIMAL = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,18})?")


@dataclass(frozen=True, slots=True)
class Made:
    """One word and what it takes. Of two of one word, that with the smaller `coarseness` says more."""

    word: str  # of WORDS
    by: str = ""  # round: the step; cut, keep: how many; date: of UNITS
    bounds: tuple[str, ...] = ()  # band: ascending
    written: str = ""  # date: how the member is written; "": as the record's own time, else ISO 8601

    @property
    def coarseness(self) -> Decimal:
        if self.word == "round":
            return Decimal(self.by)
        if self.word == "date":
            return Decimal(UNITS.index(self.by))
        return -Decimal(self.by or len(self.bounds))  # more decimals, characters or bounds say more

    @property
    def text(self) -> str:
        """As an agreement keeps it: "cut 2"."""
        return " ".join(filter(None, (self.word, self.by, *self.bounds)))

    def says_more(self, agreed: str) -> bool:
        """Whether something can be told from it that could not from what was agreed, such a text."""
        word, *by = agreed.split()
        if self.word in ("yes", "pseudonym") or self.word != word:
            return self.word not in ("yes", word)
        if word == "round":
            return _EXACT.remainder(Decimal(self.by), Decimal(by[0])) != 0
        if word == "band":
            return not set(self.bounds) <= set(by)
        return self.coarseness < Made(word, by[0]).coarseness


def finer(first: Made, second: Made) -> Made:
    """What is given where a person agreed to both. Whether a member is there says least."""
    if "yes" in (first.word, second.word):
        return second if first.word == "yes" else first
    return second if second.coarseness < first.coarseness else first


def made(row: FileTable, stamps: Iterable[str]) -> Made | None:
    """Of a field; None: the member goes as it is."""
    if "made" not in row.table:
        return None
    table = row.within("made")
    word = next((each for each in WORDS if each in table.table), "")
    if not word:
        table.wrong("", f"write one of {', '.join(WORDS)}, as {{ cut = 2 }}")
        return None
    table.only(word, *(("written",) if word == "date" else ()))
    return _READ[word](table, word, tuple(stamps))


def _step(table: FileTable, word: str, _: tuple[str, ...]) -> Made:
    text = table.text(word)
    if not _DECIMAL.fullmatch(text) or Decimal(text) <= 0:
        table.wrong(word, 'a decimal number above 0, as a text: "10" or "0.5"')
        text = "1"
    return Made(word, text)


def _count(table: FileTable, word: str, _: tuple[str, ...]) -> Made:
    least, most = (0, 18) if word == "cut" else (1, 1000)
    return Made(word, str(table.whole(word, least, most, least)))


def _bounds(table: FileTable, word: str, _: tuple[str, ...]) -> Made:
    bounds = table.texts(word)
    numbers = [Decimal(each) for each in bounds if _DECIMAL.fullmatch(each)]
    if not bounds or len(numbers) != len(bounds) or any(b <= a for a, b in zip(numbers, numbers[1:], strict=False)):
        table.wrong(word, 'decimal numbers as texts, from the lowest: ["0", "1000", "2000"]')
        return Made(word, bounds=("0",))
    return Made(word, bounds=bounds)


def _unit(table: FileTable, word: str, stamps: tuple[str, ...]) -> Made:
    written = table.one_of("written", stamps) if "written" in table.table else ""
    return Made(word, table.one_of(word, UNITS), written=written)


def _alone(table: FileTable, word: str, _: tuple[str, ...]) -> Made:
    right = True if word == "pseudonym" else "present"
    if table.table[word] != right or isinstance(table.table[word], bool) != isinstance(right, bool):
        table.wrong(word, "write true" if right is True else 'write "present"')
    return Made(word)


_READ: Mapping[str, Callable[[FileTable, str, tuple[str, ...]], Made]] = {
    "round": _step, "cut": _count, "keep": _count, "band": _bounds, "date": _unit, "pseudonym": _alone, "yes": _alone,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OverRecords:
    """What a call gives instead of its records."""

    kind: str  # type of the table
    per: str = "all"  # of OVER: one answer for each day or month that has records, or one in all
    of: tuple[str, ...] = ()  # the member of the record that is added up and compared; (): records are only counted
    gives: tuple[str, ...] = ("count",)
    at_least: str = ""  # the threshold of `yes`
    by: str = ""  # what is compared with it, of GIVES

    @property
    def text(self) -> str:
        """As an agreement keeps it: what is told, of which records. Any change of it is something else."""
        return " ".join(filter(None, ("over", self.per, ".".join(self.of), self.by, self.at_least)))

    @property
    def unit(self) -> str:
        """Of time, in which nothing finer than the answer can be asked for."""
        return "day" if self.per == "all" else self.per


def answer(row: FileTable) -> OverRecords | None:
    """Of a call; None: it gives its records. `of` is followed by whoever knows the shapes."""
    if "answer" not in row.table:
        return None
    table = row.within("answer")
    table.only("as", "per", "of", "gives", "at_least", "by")
    gives = table.texts("gives")
    if not gives or len(set(gives)) != len(gives) or not set(gives) <= set(GIVES):
        table.wrong("gives", f"list some of {', '.join(GIVES)}")
        gives = ("count",)
    of = "of" in table.table
    if not of and (needing := [each for each in gives if each not in ("count", "yes")]):
        table.wrong("of", f"{', '.join(needing)}: of which member?")
    at_least = table.text("at_least") if "at_least" in table.table else ""
    if at_least and not _DECIMAL.fullmatch(at_least):
        table.wrong("at_least", 'a decimal number as a text: "500"')
        at_least = "0"
    if bool(at_least) != ("yes" in gives):
        table.wrong("at_least", 'a threshold belongs to gives = ["yes"], and each to the other')
    by = table.one_of("by", GIVES[:-1] if of else ("count",), "sum" if of else "count")
    if "by" in table.table and not at_least:
        table.wrong("by", "it says what is compared with at_least, which is missing")
    return OverRecords(table.text("as"), table.one_of("per", OVER, "all"), gives=gives, at_least=at_least, by=by)


# ---- what each still reveals


_UNIT_WORDS: Mapping[str, Words] = {
    "day": {"fr": "le jour", "en": "the day"},
    "month": {"fr": "le mois", "en": "the month"},
    "year": {"fr": "l’année", "en": "the year"},
}
REVEALS: Mapping[str, Words] = {
    "round": {
        "fr": "Arrondi à {value} près : l’ordre de grandeur se voit encore.",
        "en": "Rounded to the nearest {value}: how large it is can still be seen.",
    },
    "cut": {
        "fr": "Coupé, décimales gardées : {value}. Ce qui reste est exact.",
        "en": "Cut, decimals kept: {value}. What is left is exact.",
    },
    "keep": {
        "fr": "Coupé, caractères gardés au début : {value}. Ce qui reste est exact, et peut être rare.",
        "en": "Cut, characters kept at the beginning: {value}. What is left is exact, and may be rare.",
    },
    "band": {
        "fr": "Seulement une tranche, entre ces limites : {value}. Un passage d’une tranche à l’autre se voit.",
        "en": "Only a band, between these limits: {value}. A step from one band to another can be seen.",
    },
    "date": {
        "fr": "Seulement {value}. Une application qui lit souvent voit aussi quand une donnée nouvelle arrive.",
        "en": "Only {value}. An app that reads often also sees when new data arrives.",
    },
    "pseudonym": {
        "fr": "Un code propre à cette application : elle voit ce qui revient et combien de fois, pas la valeur.",
        "en": "A code of this app’s own: it sees what comes back and how often, and not the value.",
    },
    "yes": {
        "fr": "Oui ou non, rien d’autre. Plusieurs réponses dans le temps montrent quand cela change.",
        "en": "Yes or no, and nothing else. Several answers over time show when it changes.",
    },
    "sum": {
        "fr": "Un total, sans les données. Le total d’une seule donnée la révèle.",
        "en": "A total, without the data. The total of a single one reveals it.",
    },
    "count": {
        "fr": "Un nombre, sans les données. Un petit nombre montre une habitude.",
        "en": "A number, without the data. A small number shows a habit.",
    },
    "first": {
        "fr": "La première valeur, exacte, sans les autres.",
        "en": "The first value, exact, without the others.",
    },
    "last": {
        "fr": "La dernière valeur, exacte, sans les autres.",
        "en": "The last value, exact, without the others.",
    },
    "min": {
        "fr": "La plus petite valeur, exacte, sans les autres.",
        "en": "The smallest value, exact, without the others.",
    },
    "max": {
        "fr": "La plus grande valeur, exacte, sans les autres.",
        "en": "The largest value, exact, without the others.",
    },
}  # fmt: skip


def reveals(how: Made | str) -> Words:
    """What the word of a field, or one of GIVES, still reveals: one sentence in each language."""
    word = how if isinstance(how, str) else how.word
    return {name: REVEALS[word][name].format(value=_value(how, name)) for name in LANGUAGES}


def _value(how: Made | str, language: str) -> str:
    if isinstance(how, str):
        return ""
    if how.word == "date":
        return _UNIT_WORDS[how.by][language]
    numbers = how.bounds or (how.by,)
    return (" ; " if language == "fr" else "; ").join(_number(each, language) for each in numbers)


def _number(text: str, language: str) -> str:
    return text.replace(".", ",") if language == "fr" else text
