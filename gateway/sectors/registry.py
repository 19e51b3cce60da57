"""The sectors. A new one needs a folder beside these and one line here."""

from gateway.sectors import bank, energy, health
from gateway.sectors.model import Sector

SECTORS: dict[str, Sector] = {"bank": bank, "energy": energy, "health": health}
