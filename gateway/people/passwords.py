"""Passwords: argon2id, and which passwords are too easy.

Hashing takes tens of milliseconds and 19 MiB. So it is never done inside a write transaction, and doors do it only in
the pool "password" (`ground.pools`): many tries at once then neither exhaust memory nor delay other pages.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.ground.web.marks import N_

SHORTEST, LONGEST = 8, 128
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# Words in the passwords that are guessed first (English and French). Digits and signs around them and "0" for "o" make
# no difference.
_COMMON = frozenset(
    """password passwort passe motdepasse mdp secret admin administrator administrateur root user login welcome
    bienvenue bonjour hello salut coucou letmein laissemoientrer iloveyou jetaime jtaime amour love loulou doudou
    cheri cherie princess princesse soleil sunshine starwars pokemon football baseball basketball hockey soccer
    rugby marseille paris france lyon monkey dragon shadow master batman superman spiderman michael jordan thomas
    nicolas camille julien chloe qwerty qwertyuiop azerty azertyuiop asdfgh asdfghjkl qsdfgh qsdfghjkl zxcvbn
    zxcvbnm wxcvbn qazwsx azeqsd qwertz qwertzuiop trustno trustnoone whatever freedom liberte internet computer
    ordinateur google facebook samsung iphone changeme changezmoi default defaut guest invite test testing temp
    temporaire access acces chocolat chocolate vanille cookie cheese fromage banana banane orange apple pomme
    summer winter spring autumn ete hiver printemps automne january janvier february fevrier march mars april
    avril may mai june juin july juillet august aout september septembre october octobre november novembre
    december decembre monday lundi friday vendredi sunday dimanche family famille maison home fuckyou connard
    putain merde killer gamer minecraft fortnite naruto aval consent""".split()
)
_LETTERS = str.maketrans("04135$@7!|", "oalessatil")
_RUNS = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "98765432109876543210", "qwertyuiop", "azertyuiop")


def normal(password: str) -> str:
    """The password with its characters normalised, since keyboards compose accents differently (NIST SP 800-63B
    §3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def weakness(password: str, own: Iterable[str]) -> str | None:
    """Why this password is refused, or None. `own`: the person's name and address, which others know."""
    text = normal(password)
    if len(text) < SHORTEST:
        return N_("Use at least 8 characters. Several words in a row are easy to remember and hard to guess.")
    if len(text) > LONGEST:
        return N_("Use at most 128 characters.")
    if _is_run(text) or _cores(text) & _COMMON:
        return N_("This password is among the first that are tried. Choose another.")
    if _cores(text) & _own_words(own):
        return N_("This password is made of your name or address. Choose another.")
    return None


def _cores(text: str) -> set[str]:
    """What is left of a password without its digits and signs: as it is, and with look-alikes ("0") read as letters."""
    bare = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", _plain(text.lower()))
    return {re.sub(r"[\W\d_]", "", one) for one in (bare, bare.translate(_LETTERS))}


def _plain(text: str) -> str:
    """Without accents, so that "été" is "ete"."""
    return "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char))


def _own_words(own: Iterable[str]) -> set[str]:
    words = set()
    for text in own:
        parts = [part for part in re.split(r"[\W\d_]+", _plain(text.lower())) if part]
        words |= {"".join(parts), "".join(reversed(parts)), *parts, "".join(parts[:2]), "".join(parts[1::-1])}
    return words


def _is_run(text: str) -> bool:
    low = text.lower()
    return len(set(low)) <= 2 or any(low in run or low[::-1] in run for run in _RUNS) or _cores(text) == {""}


def hash_(password: str) -> str:
    return _hasher.hash(normal(password))


def verify(kept: str | None, password: str) -> bool:
    """Whether the password is right. Without a stored hash it takes as long and returns False, so that the time does
    not tell whether there is an account."""
    if len(password) > 4 * LONGEST:
        password = ""
    try:
        return _hasher.verify(kept or _dummy(), normal(password)) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(kept: str) -> bool:
    """Whether the hash was made with other costs than today's, and should be made again at the next sign-in."""
    return _hasher.check_needs_rehash(kept)


@functools.cache
def _dummy() -> str:
    return _hasher.hash("no account has this password")
