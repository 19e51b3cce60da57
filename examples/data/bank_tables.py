"""What people of the demo spend on. Amounts in euro cents; all names are invented."""

from typing import NamedTuple


class Merchant(NamedTuple):
    name: str
    mcc: str  # ISO 18245
    low: int
    high: int
    weight: int


class Regular(NamedTuple):
    """A payment of every month."""

    day: int
    credit: bool
    party: str
    narrative: str
    cents: int
    kind: str  # key of KINDS
    mcc: str = ""


class Style(NamedTuple):
    """How one account is used."""

    name: str
    nickname: str
    type_code: str  # CACC current, SVGS savings
    merchants: tuple[Merchant, ...]
    regulars: tuple[Regular, ...]
    scale: float  # of every card amount
    target: int  # balance that the transfer at the end of a month brings it back to
    funder: str  # who pays when there is too little, and receives what is too much


# kind → (BankTransactionCode, SubCode, ProprietaryBankTransactionCode)
KINDS = {
    "card": ("CustomerCardTransactions", "POSPayment", "VIS"),
    "cash": ("CustomerCardTransactions", "CashWithdrawal", "ATM"),
    "debit": ("IssuedDirectDebits", "SEPADirectDebit", "DD"),
    "paid": ("IssuedCreditTransfers", "SEPACreditTransfer", "TRF"),
    "received": ("ReceivedCreditTransfers", "SEPACreditTransfer", "CRF"),
    "salary": ("ReceivedCreditTransfers", "PayrollSalaryPayment", "SAL"),
}

CITY: tuple[Merchant, ...] = (
    Merchant("Boulangerie du Pont", "5462", 110, 780, 22),
    Merchant("Café des Quais", "5814", 180, 950, 16),
    Merchant("Tram & Bus", "4111", 170, 510, 14),
    Merchant("Le Petit Comptoir", "5812", 1250, 4800, 6),
    Merchant("Librairie Les Vents", "5942", 690, 3900, 4),
    Merchant("Cinéma Le Phare", "7832", 650, 1450, 3),
    Merchant("Pharmacie Saint-Pierre", "5912", 320, 2900, 5),
    Merchant("Vélo Atelier", "5940", 450, 6500, 1),
    Merchant("Maison Ferrand Vêtements", "5651", 1500, 8900, 2),
    Merchant("Piscine Municipale", "7997", 350, 1200, 3),
    Merchant("Cabinet Dr Morvan", "8011", 2650, 3000, 1),
)

HOUSE: tuple[Merchant, ...] = (
    Merchant("Marché Talensol", "5411", 420, 3600, 22),
    Merchant("Épicerie Bio du Canal", "5499", 350, 2700, 16),
    Merchant("Supermarché Horizon", "5411", 900, 8800, 12),
    Merchant("Fromagerie Guérin", "5451", 480, 2100, 7),
    Merchant("Boucherie Le Gall", "5422", 690, 2900, 6),
    Merchant("Quincaillerie Centrale", "5251", 240, 4500, 3),
    Merchant("Station Carbu Ouest", "5541", 2500, 7200, 4),
    Merchant("Pressing Express", "7216", 650, 2400, 2),
    Merchant("Jardinerie des Prés", "5261", 590, 4800, 2),
    Merchant("Parking du Port", "7523", 150, 900, 8),
)

YOUNG: tuple[Merchant, ...] = (
    Merchant("Boulangerie du Pont", "5462", 110, 420, 30),
    Merchant("Kiosque de la Place", "5994", 120, 690, 14),
    Merchant("Tram & Bus", "4111", 90, 170, 20),
    Merchant("Cinéma Le Phare", "7832", 450, 850, 3),
    Merchant("Papeterie Plume", "5943", 150, 1200, 8),
    Merchant("Jeux & Mondes", "5816", 99, 999, 6),
)


def _working(salary: int, employer: str, rent: int, funder: str, house_target: int) -> tuple[Style, Style]:
    everyday = Style(
        "Compte courant",
        "Quotidien",
        "CACC",
        CITY,
        (
            Regular(28, True, employer, "VIREMENT SALAIRE", salary, "salary"),
            Regular(3, False, "Opale Mobile", "PRLV OPALE MOBILE FORFAIT", 1599, "debit", "4814"),
            Regular(8, False, "Lumen Vidéo", "PRLV LUMEN VIDEO ABONNEMENT", 1199, "debit", "4899"),
            Regular(12, False, "Mutuelle Prévoyance Ouest", "PRLV MPO COTISATION", 4250, "debit", "6300"),
            Regular(29, False, "Compte Maison", "VIR PERMANENT VERS MAISON", salary // 2, "paid"),
        ),
        1.0,
        180_000,
        funder,
    )
    house = Style(
        "Compte commun",
        "Maison",
        "CACC",
        HOUSE,
        (
            Regular(1, True, "Compte Quotidien", "VIR PERMANENT QUOTIDIEN", salary // 2, "received"),
            Regular(4, False, "Agence Loire Habitat", "PRLV LOYER AGENCE LOIRE HABITAT", rent, "debit", "6513"),
            Regular(10, False, "City Energy", "PRLV CITY ENERGY ELECTRICITE", 8420, "debit", "4900"),
            Regular(15, False, "Eaux de l'Ouest", "PRLV EAUX DE L OUEST", 3180, "debit", "4900"),
            Regular(20, False, "Assurances du Large", "PRLV ASSURANCES DU LARGE HABITATION", 2790, "debit", "6300"),
        ),
        1.0,
        house_target,
        funder,
    )
    return everyday, house


STYLES: dict[str, tuple[Style, Style]] = {
    "alice": _working(284_000, "ATELIERS NAVALS DU PONANT", 79_000, "Livret d'épargne Alice Martin", 90_000),
    "bob": _working(231_500, "COLLEGE JEAN MACE LYON", 68_500, "Livret d'épargne Bob Leroy", 60_000),
    "germaine": _working(174_800, "CAISSE DE RETRAITE OUEST", 41_000, "Livret d'épargne Germaine Dupont", 120_000),
    "chloe": (
        Style(
            "Compte jeune",
            "Argent de poche",
            "CACC",
            YOUNG,
            (Regular(2, True, "Alice Martin", "VIR ARGENT DE POCHE", 12_000, "received"),),
            0.6,
            6_000,
            "Alice Martin",
        ),
        Style(
            "Compte cantine",
            "École",
            "CACC",
            (
                Merchant("Cantine Collège des Acacias", "8211", 310, 460, 8),
                Merchant("Distributeur Acacias", "5814", 80, 220, 10),
                Merchant("Bus scolaire", "4131", 60, 120, 10),
            ),
            (Regular(2, True, "Alice Martin", "VIR ECOLE CHLOE", 15_000, "received"),),
            0.8,
            8_000,
            "Alice Martin",
        ),
    ),
}
