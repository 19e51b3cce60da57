"""French texts from gettext catalogues (.po, one per room), compiled in memory at start, so there is no build step.

English is the source language: its texts are the message ids themselves.
"""

import io
from decimal import Decimal
from functools import cache
from gettext import NullTranslations
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations as Catalogue

FOLDER = Path(__file__).parent / "locale"


class Translations:
    def __init__(self, folder: Path = FOLDER) -> None:
        french = Catalogue()
        french.plural = _french_plural
        for path in sorted((folder / "fr" / "LC_MESSAGES").glob("*.po")):
            french.merge(_load(path))
        self._by_language: dict[str, NullTranslations] = {"fr": french, "en": NullTranslations()}

    def of(self, language: str) -> NullTranslations:
        return self._by_language[language]


def _french_plural(count: float | Decimal) -> int:
    """CLDR: zero and one are singular in French. Set here, because `merge` ignores the rule of what it adds."""
    return int(count >= 2)


@cache
def _load(path: Path) -> Catalogue:
    compiled = io.BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source))
    compiled.seek(0)
    return Catalogue(compiled)
