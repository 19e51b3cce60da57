"""What a text or a name looks like. Guesses: whoever reads the draft decides."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache, partial

from gateway.formats.drafting.nodes import ascii_words

_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?\s?(Z|[+-]\d\d(:?\d\d)?)?")
_PATTERNS = {  # kind → how it is written
    "uuid": re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "mail": re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[A-Za-z]{2,}"),
    "phone": re.compile(r"(\+|00?)\d([ .()/-]?\d){7,14}"),
    "address": re.compile(r"[a-z][a-z0-9+.-]{1,20}://\S{1,2000}"),
    "hex": re.compile(r"(?=\S*\d)[0-9a-fA-F]{16,128}"),
    "digits": re.compile(r"\d{8,34}"),
    "decimal": re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,12})?"),
    "comma": re.compile(r"-?(\d{1,3}([ .\u00a0\u202f]\d{3})+|\d{1,18})(,\d{1,12})?"),
    "integer": re.compile(r"-?(0|[1-9]\d{0,17})"),
    "truth": re.compile(r"true|false"),
    "month": re.compile(r"\d{4}-(0[1-9]|1[0-2])"),
    "lasting": re.compile(r"P(?=\d|T\d)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?"),
}
_IBAN = re.compile(r"[A-Z]{2}\d\d(?: ?[A-Z0-9]){10,30}")
_DATES = {  # word of `written` → how Python reads it
    "date": "%Y-%m-%d",
    "dd/mm/yyyy": "%d/%m/%Y",
    "mm/dd/yyyy": "%m/%d/%Y",
    "yyyy/mm/dd": "%Y/%m/%d",
    "dd.mm.yyyy": "%d.%m.%Y",
    "dd-mm-yyyy": "%d-%m-%Y",
    "yyyymmdd": "%Y%m%d",
    "ddmmyyyy": "%d%m%Y",
    "dd/mm/yyyy HH:MM": "%d/%m/%Y %H:%M",
    "dd/mm/yyyy HH:MM:SS": "%d/%m/%Y %H:%M:%S",
    "mm/dd/yyyy HH:MM": "%m/%d/%Y %H:%M",
    "mm/dd/yyyy HH:MM:SS": "%m/%d/%Y %H:%M:%S",
    "dd.mm.yyyy HH:MM": "%d.%m.%Y %H:%M",
    "dd.mm.yyyy HH:MM:SS": "%d.%m.%Y %H:%M:%S",
    "yyyymmddHHMMSS": "%Y%m%d%H%M%S",
}
_LENGTHS = {word: len(word) for word in _DATES} | {"date": 10}
_BARE_DATES = {"yyyymmdd", "ddmmyyyy", "yyyymmddHHMMSS"}  # digits alone: a number as well, unless the name says a time
EPOCHS = {"epoch-s": (946_684_800, 4_102_444_800), "epoch-ms": (946_684_800_000, 4_102_444_800_000)}  # 2000 to 2100

TIMES = {"instant", "month", *_DATES, *EPOCHS}
IDENTIFIERS = {"uuid", "mail", "phone", "hex", "digits", "iban", "identifier"}
OPAQUE = {"uuid", "hex", "digits", "identifier", "integer"}  # a number for machines, which may be exchanged

_OF_TIME = set("date time datetime timestamp stamp at when day jour heure instant created updated since until".split())
_OF_TIME |= set("ts start end begin debut fin from period expiry expires horodatage".split())
_OF_TEXT = set(
    "comment comments commentaire comments note notes description descriptif libelle narrative message".split()
)
_OF_TEXT |= set(
    "remark remarks remarque text texte memo subject objet body content contenu wording detail details".split()
)
_OF_TEXT |= set("information explanation observation observations reason motif annotation summary".split())
_OF_IDS = set("id ids uuid guid identifier identifiant identification ref reference uid".split())
_NUMBERS = {"number", "numero", "nr", "no", "num"}  # of what follows: a house has a number too
_NUMBERED = set(
    "account compte customer client contract contrat card policy police member invoice facture order".split()
)
_NUMBERED |= set("reference serial document licence license passport party person subscriber meter id".split())
CUSTOMERS = set("customer client subscriber member person user patient insured kunde cliente abonne assure".split())
_OF_NO_TEXT = set("type code kind id status count total url uri link href amount currency format lang language".split())
_OF_PERSONS = {  # words of a name → what it most likely is
    "mail": set("email mail courriel".split()),
    "phone": set("phone telephone tel mobile msisdn fax".split()),
    "iban": {"iban", "bban", "pan"},
}


def words_of(name: str) -> set[str]:
    return set(ascii_words(name))


def kinds(text: str, among: Iterable[str] | None = None) -> frozenset[str]:
    """Everything that a text may be. `among`: only these are tried, which is quick where few are left."""
    text = text.strip()
    if not text or len(text) > 2100:
        return frozenset()
    return frozenset(kind for kind in (_TESTS if among is None else among) if _TESTS[kind](text))


def _is_instant(text: str) -> bool:
    return text[0].isdigit() and bool(_ISO.fullmatch(text))


def _is_iban(text: str) -> bool:
    return bool(_IBAN.fullmatch(text)) and _checks(text)


def _is_epoch(word: str, text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) in (10, 13) and word in epochs(int(text))


def epochs(number: int) -> set[str]:
    return {word for word, (low, high) in EPOCHS.items() if low <= number < high}


def _is_date(word: str, text: str) -> bool:
    if len(text) != _LENGTHS[word] or not text[0].isdigit() or not _looks(word, text):
        return False
    form = _DATES[word]
    try:
        return 1900 <= datetime.strptime(text, form).year <= 2100
    except ValueError:
        return False


def _checks(text: str) -> bool:
    """ISO 13616: the number made of an IBAN leaves 1 when divided by 97."""
    plain = text.replace(" ", "")
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def _looks(word: str, text: str) -> bool:
    """Whether what stands between the numbers is right: reading a date is slow."""
    return all(sign == other for sign, other in zip(_SHAPES[word], text, strict=True) if not sign.isalpha())


_SHAPES = {word: "yyyy-mm-dd" if word == "date" else word for word in _DATES}
_TESTS: dict[str, Callable[[str], object]] = {
    **{kind: pattern.fullmatch for kind, pattern in _PATTERNS.items()},
    "instant": _is_instant,
    "iban": _is_iban,
    **{word: partial(_is_date, word) for word in _DATES},
    **{word: partial(_is_epoch, word) for word in EPOCHS},
}
_FIRST = (
    "instant",
    *_DATES,
    "month",
    "uuid",
    "iban",
    "mail",
    "phone",
    "address",
    "lasting",
    "decimal",
    "hex",
    "digits",
)


def kind_of(name: str, possible: frozenset[str]) -> str:
    """The one that is most likely, of what all values under this name may be; empty: nothing particular."""
    timely = says_time(name)
    for kind in (*EPOCHS, *_BARE_DATES):
        if kind in possible and timely:
            return kind
    for kind in _FIRST:
        if kind in possible and kind not in _BARE_DATES and not (kind == "decimal" and "digits" in possible):
            return kind
    return kind_by_name(name)


def kind_by_name(name: str) -> str:
    words = words_of(name)
    for kind, telling in _OF_PERSONS.items():
        if words & telling and not words & {"type", "status", "verified"}:
            return kind
    return "identifier" if says_identifier(name) else ""


def says_time(name: str) -> bool:
    return bool(words_of(name) & _OF_TIME)


def says_identifier(name: str) -> bool:
    words = ascii_words(name)
    if not words or "of" in words:
        return False
    numbers = words[-1] in _NUMBERS or words[0] in _NUMBERS | _OF_IDS  # "customer no", and "numéro client"
    return words[-1] in _OF_IDS or (numbers and bool(set(words) & _NUMBERED))


def says_customer(name: str) -> bool:
    words = words_of(name)
    return bool(words & CUSTOMERS) and (words <= CUSTOMERS or says_identifier(name))


def says_text(name: str) -> bool:
    words = ascii_words(name)
    return bool(words) and bool(set(words) & _OF_TEXT) and words[-1] not in _OF_NO_TEXT


def says_code(name: str) -> bool:
    """One of a few words, though it may be several of them."""
    words = ascii_words(name)
    return bool(words) and words[-1] in _OF_NO_TEXT


@lru_cache(maxsize=10_000)
def is_data(key: str) -> bool:
    """A key that no programmer wrote: a date, a number, an identifier, an address. It must not be told."""
    if not key:
        return False  # of nothing; no declaration can say it, so it is left out
    if len(key) > 80 or "@" in key[1:] or any(mark in key for mark in "\n\r\t"):  # @id is of JSON-LD
        return True
    if sum(letter.isdigit() for letter in key) >= 6 or not any(letter.isalpha() for letter in key):
        return True
    return bool(kinds(key) & (TIMES | {"uuid", "mail", "phone", "iban", "hex", "digits", "address", "decimal"}))
