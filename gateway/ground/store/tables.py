"""The generation of the directory (apps and organisations), and the check values of the keys.

Operators seldom change apps or organisations. Each change raises the one generation, and grants compiled from an older
one are compiled again. What people do often (link, unlink, give a birth date) must not do this to everybody: it is
read from their own rows.
"""

from sqlmodel import Field, Session, SQLModel, update


class Directory(SQLModel, table=True):
    id: int = Field(default=1, primary_key=True)
    generation: int = 0


class KeyCheck(SQLModel, table=True):
    file: str = Field(primary_key=True)  # name of the key file, without its folder
    value: str  # identifies the key without revealing it


def directory_changed(session: Session) -> None:
    """Raise the generation. Call this in the transaction of every change of an app or organisation."""
    found = session.execute(
        update(Directory).where(Directory.id == 1).values(generation=Directory.generation + 1)  # type: ignore[arg-type]
    )
    if not found.rowcount:  # type: ignore[attr-defined]
        session.add(Directory(id=1, generation=1))
