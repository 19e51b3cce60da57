"""Which language a page is in. First counts the language switch, then the app's ui_locales, then the person's
preference, then the browser's."""

import re
import unicodedata
from datetime import date, datetime
from functools import cache, lru_cache

from babel import Locale
from babel.dates import format_date, format_time, get_datetime_format
from starlette.requests import Request

from gateway.ground.web import cookies
from gateway.settings import LANGUAGES, Settings

NAMES = {"fr": "Français", "en": "English"}  # each in its own language, so that those who need it can read it
_LOCALES = {"en": "en_GB"}
_FIRST = re.compile(r"\b1 (?=[^\W\d])")  # before the name of a month
_PARTS = 20  # ranges read of one Accept-Language header


def choose_language(request: Request, settings: Settings, preferred: str | None, ui_locales: str = "") -> str:
    switched = cookies.read(request, cookies.LANGUAGE, settings)
    if switched in LANGUAGES:
        return switched
    for tag in ui_locales.split():
        if _ours(tag):
            return _ours(tag)
    if preferred in LANGUAGES:
        return str(preferred)
    return _accepted(request.headers.get("accept-language", "")) or settings.default_language


def _ours(tag: str) -> str:
    """The language of an RFC 5646 tag if it is one of ours ("fr-CA" → "fr"), else ""."""
    language = tag.strip().split("-")[0].lower()
    return language if language in LANGUAGES else ""


def _accepted(header: str) -> str | None:
    """The preferred one of our languages (RFC 9110 §12.5.4, simplified): the first with the highest weight above 0."""
    ranked: list[tuple[float, str]] = []
    for part in header.split(",")[:_PARTS]:
        tag, _, parameter = part.partition(";")
        weight = _weight(parameter)
        if weight > 0 and _ours(tag):
            ranked.append((-weight, _ours(tag)))
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if name.strip().lower() == "q" and 0 <= weight <= 1 else 0.0


def collated(text: str) -> tuple[str, str]:
    """What to sort by, for lists that people read: É stands beside E, and capitals beside small letters."""
    letters = (one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return "".join(letters).casefold(), text


def written_day(day: date, form: str, language: str) -> str:
    """A day written out, in one of Babel's forms ("medium", "long", "full"). In French the first of a month is "1er",
    which CLDR leaves out."""
    return _written(day.date() if isinstance(day, datetime) else day, form, language)


@lru_cache(maxsize=1024)
def _written(day: date, form: str, language: str) -> str:
    text = format_date(day, form, locale(language))
    return _FIRST.sub("1er ", text, count=1) if language == "fr" else text


def written_moment(at: datetime, language: str, time_form: str = "short") -> str:
    """Day and time, in the order of the language. `at` is in the zone of who reads it."""
    time = format_time(at, time_form, tzinfo=at.tzinfo, locale=locale(language))
    pattern = str(get_datetime_format("long", locale(language)))  # "{1}, {0}"
    return pattern.replace("{0}", time).replace("{1}", written_day(at, "long", language))


@cache
def locale(language: str) -> Locale:
    """The locale for dates, times and lists. English is British: "23 November 2026, 21:25"."""
    return Locale.parse(_LOCALES.get(language, language))
