"""French and English for the pages of the examples: both texts side by side, the browser's wish decides."""

Words = dict[str, dict[str, str]]


def words_of(**texts: tuple[str, str]) -> Words:
    """key=(French, English) → {key: {"fr": …, "en": …}}"""
    return {key: {"fr": french, "en": english} for key, (french, english) in texts.items()}


def language(header: str) -> str:
    """ "fr" or "en", whichever an Accept-Language likes better; English when it names neither."""
    liked: list[tuple[float, str]] = []
    for part in header.split(","):
        tag, _, q = part.strip().partition(";q=")
        try:
            liked.append((-float(q or 1), tag[:2].lower()))
        except ValueError:
            continue
    return next((tag for _, tag in sorted(liked, key=lambda pair: pair[0]) if tag in ("fr", "en")), "en")
