"""Texts in French and English, by gettext catalogues (.po) compiled in memory at start: nothing to build, nothing stale."""

import io
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations as Catalogue

FOLDER = Path(__file__).parent / "locale"


class Translations:
    def __init__(self, folder: Path = FOLDER) -> None:
        self._by_language = {language: _load(folder / language / "LC_MESSAGES" / "aval.po") for language in ("fr", "en")}

    def of(self, language: str) -> Catalogue:
        return self._by_language[language]


def _load(path: Path) -> Catalogue:
    compiled = io.BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source))
    compiled.seek(0)
    return Catalogue(compiled)
