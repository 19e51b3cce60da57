"""Texts that are chosen in one place and translated in another."""

from gateway.ground.web.marks import N_

# amr values (RFC 8176) of a sign-in → sentence for people
METHODS = {
    "pwd": N_("Signed in by password on %(at)s."),
    "pwd otp": N_("Signed in by password and one-time code on %(at)s."),
    "pwd rcv": N_("Signed in by password and recovery code on %(at)s."),
    "hwk user": N_("Signed in by passkey on %(at)s."),
}

# (part of the User-Agent, name for people). The first that fits is taken, so specific ones come first.
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
    """ "Firefox, Linux": two words by which to recognise a sign-in; "" if the User-Agent names none that we know.

    The result only contains names of the tables above, never text from the caller.
    """
    head = user_agent[:400]
    named = next((name for mark, name in _BROWSERS if f"{mark}/" in head), "")
    system = next((name for mark, name in _SYSTEMS if mark in head), "")
    return ", ".join(filter(None, (named, system)))
