"""Texts that are chosen in one place and translated in another."""

from gateway.ground.web.marks import N_

# amr values (RFC 8176) of a sign-in → how it is told
METHODS = {
    "pwd": N_("Signed in by password on %(at)s."),
    "pwd otp": N_("Signed in by password and one-time code on %(at)s."),
    "pwd rcv": N_("Signed in by password and recovery code on %(at)s."),
    "hwk user": N_("Signed in by passkey on %(at)s."),
}

# (what a User-Agent says, how people call it); the first that fits, so the more special first
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)


def browser(user_agent: str) -> str:
    """ "Firefox, Linux": two words to recognise a sign-in by; "" when it says nothing we know.

    Only names of the tables above are kept, never text of the caller's.
    """
    head = user_agent[:400]
    named = next((name for mark, name in _BROWSERS if f"{mark}/" in head), "")
    system = next((name for mark, name in _SYSTEMS if mark in head), "")
    return ", ".join(filter(None, (named, system)))
