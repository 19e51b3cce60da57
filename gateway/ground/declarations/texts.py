"""Texts from outside that people will read: finds invisible characters and look-alike letters in them."""

import unicodedata

# Cc controls, Cf invisible formatting (bidi overrides, zero-width), Cs surrogates, Co private use, Zl/Zp separators
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def hidden(text: str) -> str:
    """The first character that is invisible or changes the order of visible ones, as U+XXXX; "" if there is none."""
    if text.isprintable():
        return ""
    return next((f"U+{ord(char):04X}" for char in text if unicodedata.category(char) in _HIDDEN), "")


def scripts(text: str) -> set[str]:
    """The writing systems of its letters, by the first word of each letter's Unicode name."""
    return {unicodedata.name(char, "UNKNOWN").split()[0] for char in text if char.isalpha()}


def look_alike(text: str) -> bool:
    """Whether a name for French and English readers has letters of a script other than Latin (UTS #39)."""
    return bool(scripts(unicodedata.normalize("NFKC", text)) - {"LATIN"}) or text != unicodedata.normalize("NFKC", text)
