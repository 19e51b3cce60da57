"""Marks for texts that are written in one place and translated in another. pybabel and the tests look for them."""


def N_(text: str) -> str:
    """Mark a text for translation. It is translated where it is shown."""
    return text


def N2_(one: str, many: str) -> tuple[str, str]:
    """Mark a text with a plural form."""
    return one, many
