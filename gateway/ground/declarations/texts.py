"""Texts from outside that people will read: no invisible tricks, and look-alikes are flagged."""

import unicodedata

# Cc controls, Cf invisible formatting (bidi overrides, zero-width), Cs surrogates, Co private use, Zl/Zp separators
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def hidden(text: str) -> str:
    """The first character that people cannot see or that reorders what they see, as U+XXXX; "" when there is none."""
    return next((f"U+{ord(char):04X}" for char in text if unicodedata.category(char) in _HIDDEN), "")


def scripts(text: str) -> set[str]:
    """The writing systems of its letters, by the first word of each letter's Unicode name."""
    return {unicodedata.name(char, "UNKNOWN").split()[0] for char in text if char.isalpha()}


def look_alike(text: str) -> bool:
    """Letters of another script than Latin in a name for French and English readers (UTS #39, mixed scripts)."""
    return bool(scripts(unicodedata.normalize("NFKC", text)) - {"LATIN"}) or text != unicodedata.normalize("NFKC", text)
