"""Care that people of the demo received. Diagnoses are ICD-10-CM, procedures HCPCS level II.

Drug codes begin with a labeler number that nobody holds; providers are invented. Amounts in euro cents.
"""

from typing import NamedTuple


class Visit(NamedTuple):
    """A kind of visit: who is seen, why, what is done."""

    specialty: str
    specialty_code: str
    provider: str
    diagnosis: str  # ICD-10-CM
    diagnosis_text: str
    procedure: str  # HCPCS
    procedure_text: str
    cents: int
    place: str = "11"  # office
    weight: int = 1


class Drug(NamedTuple):
    ndc: str
    name: str
    days: int
    cents: int


_GP = ("General practice", "01", "Dr Hélène Kervella")

VISITS: dict[str, tuple[Visit, ...]] = {
    "alice": (
        Visit(*_GP, "J06.9", "Acute upper respiratory infection", "G0463", "Clinic visit", 2650, weight=3),
        Visit(*_GP, "M54.50", "Low back pain", "G0463", "Clinic visit", 2650, weight=2),
        Visit(
            "Psychiatry",
            "26",
            "Dr Yann Le Bris",
            "F41.1",
            "Generalised anxiety disorder",
            "G2012",
            "Brief remote check-in",
            4670,
            weight=3,
        ),
        Visit(
            "Physical therapist",
            "65",
            "Cabinet Mouvement",
            "M54.50",
            "Low back pain",
            "G0283",
            "Electrical stimulation",
            1613,
            weight=4,
        ),
        Visit("Ophthalmology", "18", "Dr Inès Carré", "H52.13", "Myopia, both eyes", "S0621", "Eye examination", 5000),
        Visit("Dermatology", "07", "Dr Paul Vasseur", "L20.9", "Atopic dermatitis", "G0463", "Clinic visit", 5400),
    ),
    "bob": (
        Visit(*_GP, "I10", "Essential hypertension", "G0463", "Clinic visit", 2650, weight=4),
        Visit(
            "Cardiology",
            "06",
            "Dr Sonia Belkacem",
            "I10",
            "Essential hypertension",
            "G0403",
            "Electrocardiogram",
            5112,
            weight=2,
        ),
        Visit(
            "Clinical laboratory",
            "69",
            "Laboratoire des Brotteaux",
            "E78.5",
            "Hyperlipidaemia",
            "G0432",
            "Blood analysis",
            2140,
            "81",
            weight=3,
        ),
        Visit(*_GP, "Z00.00", "General examination", "G0438", "Yearly prevention visit", 3000),
    ),
    "germaine": (
        Visit(*_GP, "E11.9", "Type 2 diabetes", "G0463", "Clinic visit", 2650, weight=5),
        Visit(
            "Endocrinology",
            "46",
            "Dr Claire Tanguy",
            "E11.9",
            "Type 2 diabetes",
            "G0108",
            "Diabetes training",
            5800,
            weight=2,
        ),
        Visit(
            "Clinical laboratory",
            "69",
            "Laboratoire de la Rade",
            "E11.9",
            "Type 2 diabetes",
            "G0432",
            "Blood analysis",
            2780,
            "81",
            weight=4,
        ),
        Visit(
            "Podiatry",
            "48",
            "Cabinet du Port",
            "E11.42",
            "Diabetic polyneuropathy",
            "G0247",
            "Foot care",
            3200,
            weight=2,
        ),
        Visit("Ambulance service", "59", "Ambulances d'Armor", "R55", "Syncope", "A0428", "Transport", 7600, "41"),
        Visit(*_GP, "Z23", "Immunisation", "G0008", "Influenza vaccination", 980),
    ),
    "chloe": (
        Visit(*_GP, "J45.20", "Mild intermittent asthma", "G0463", "Clinic visit", 2650, weight=4),
        Visit(
            "Allergy",
            "03",
            "Dr Marc Olivier",
            "J30.1",
            "Allergic rhinitis due to pollen",
            "G0463",
            "Clinic visit",
            5400,
            weight=2,
        ),
        Visit("Ophthalmology", "18", "Dr Inès Carré", "H52.13", "Myopia, both eyes", "S0621", "Eye examination", 5000),
        Visit(
            "Diagnostic radiology",
            "30",
            "Imagerie Atlantique",
            "S52.501A",
            "Fracture of forearm",
            "R0070",
            "Transport of X-ray equipment",
            4200,
            weight=1,
        ),
    ),
}

DRUGS: dict[str, tuple[Drug, ...]] = {
    "alice": (
        Drug("99999010128", "Sertraline 50 mg", 28, 612),
        Drug("99999010230", "Ibuprofen 400 mg", 10, 284),
        Drug("99999010307", "Desloratadine 5 mg", 30, 431),
    ),
    "bob": (Drug("99999020128", "Ramipril 5 mg", 30, 733), Drug("99999020230", "Atorvastatin 20 mg", 30, 894)),
    "germaine": (
        Drug("99999030128", "Metformin 1000 mg", 30, 548),
        Drug("99999030230", "Gliclazide 30 mg", 30, 702),
        Drug("99999030305", "Insulin glargine 100 U/mL", 28, 5412),
    ),
    "chloe": (
        Drug("99999040128", "Salbutamol 100 µg inhaler", 60, 391),
        Drug("99999040230", "Cetirizine 10 mg", 30, 322),
    ),
}

PHARMACY = ("Pharmacie Saint-Pierre", "1558000042")
