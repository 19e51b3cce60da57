"""The sectors there are. A new one is a folder beside these, and one line here."""

from gateway.sectors import bank, energy, health
from gateway.sectors.model import Sector

SECTORS: dict[str, Sector] = {"bank": bank, "energy": energy, "health": health}
