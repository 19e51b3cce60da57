"""Marks for texts that are written in one place and translated in another: pybabel and the tests find them by name."""


def N_(text: str) -> str:
    """Marks a text for translation where it is written; it is translated where it is shown."""
    return text


def N2_(one: str, many: str) -> tuple[str, str]:
    """The same for a text with a plural."""
    return one, many
