"""The four people of the demo, as the three organisations know them."""

import hashlib
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Home:
    """A place with a meter. `kwh` is its use in a whole year; `heating` the part of it that follows the cold."""

    name: str
    address: str
    kwh: int
    heating: float
    night_tariff: bool


@dataclass(frozen=True, slots=True)
class Person:
    key: str
    given: str
    family: str
    birth_date: date
    gender: str
    email: str
    postcode: str
    town: str
    phone: str
    energy: str  # customer number at City Energy
    energy_password: str  # for City Energy's own sign-in page; demo only
    bank: str  # customer number at Harbour Bank
    health: str  # member number at Meadow Health
    homes: tuple[Home, ...]

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"


PEOPLE: tuple[Person, ...] = (
    Person(
        key="alice",
        given="Alice",
        family="Martin",
        birth_date=date(1984, 6, 12),
        gender="female",
        email="alice@example.org",
        postcode="44000",
        town="Nantes",
        phone="+33 1 99 00 00 11",
        energy="CE-1001",
        energy_password="correct horse battery",
        bank="HB-2001",
        health="MH-3001",
        homes=(
            Home("Appartement", "12 rue des Lilas, 44000 Nantes", 4200, 0.45, True),
            Home("Maison de vacances", "3 chemin de la Dune, 44510 Le Pouliguen", 2600, 0.6, False),
        ),
    ),
    Person(
        key="bob",
        given="Bob",
        family="Leroy",
        birth_date=date(1979, 11, 3),
        gender="male",
        email="bob@example.org",
        postcode="69003",
        town="Lyon",
        phone="+33 1 99 00 00 12",
        energy="CE-1002",
        energy_password="correct horse battery",
        bank="HB-2002",
        health="MH-3002",
        homes=(Home("Appartement", "48 cours de la Gare, 69003 Lyon", 3100, 0.3, True),),
    ),
    Person(
        key="germaine",
        given="Germaine",
        family="Dupont",
        birth_date=date(1946, 2, 27),
        gender="female",
        email="germaine@example.org",
        postcode="29200",
        town="Brest",
        phone="+33 1 99 00 00 13",
        energy="CE-1003",
        energy_password="correct horse battery",
        bank="HB-2003",
        health="MH-3003",
        homes=(Home("Maison", "7 venelle du Four, 29200 Brest", 7400, 0.65, True),),
    ),
    Person(
        key="chloe",
        given="Chloé",
        family="Petit",
        birth_date=date(2012, 9, 18),
        gender="female",
        email="chloe@example.org",
        postcode="44000",
        town="Nantes",
        phone="+33 1 99 00 00 14",
        energy="CE-1004",
        energy_password="correct horse battery",
        bank="HB-2004",
        health="MH-3004",
        homes=(Home("Studio", "12 bis rue des Lilas, 44000 Nantes", 1800, 0.4, False),),
    ),
)

BY_ENERGY = {person.energy: person for person in PEOPLE}
BY_BANK = {person.bank: person for person in PEOPLE}
BY_HEALTH = {person.health: person for person in PEOPLE}


def opaque(*parts: str, length: int = 16) -> str:
    """An identifier that says nothing of its owner: hexadecimal characters, the same for the same parts."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:length]


def digits(*parts: str, length: int) -> str:
    """As `opaque`, in decimal digits, the first not zero."""
    number = int(hashlib.sha256("\x1f".join(parts).encode()).hexdigest(), 16)
    return str(10 ** (length - 1) + number % (9 * 10 ** (length - 1)))


def months_back(day: date, months: int) -> date:
    """The first of the month that lies `months` whole months before the month of `day`."""
    index = day.year * 12 + day.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)
