"""One row that says "apps or organisations changed": all that the proxy compiled is of one such generation.

For what the operator does, seldom. What people do (link, unlink, say when they were born) is read with their own rows,
so that nobody makes anything stale for anybody else.
And a check value of every key that this database was used with.
"""

from sqlmodel import Field, Session, SQLModel, update


class Directory(SQLModel, table=True):
    id: int = Field(default=1, primary_key=True)
    generation: int = 0


class KeyCheck(SQLModel, table=True):
    file: str = Field(primary_key=True)  # the key's, without its folder
    value: str  # says nothing of the key but whether it is the same


def directory_changed(session: Session) -> None:
    """To be called in the transaction of every change of an app's or organisation's standing."""
    found = session.execute(
        update(Directory).where(Directory.id == 1).values(generation=Directory.generation + 1)  # type: ignore[arg-type]
    )
    if not found.rowcount:  # type: ignore[attr-defined]
        session.add(Directory(id=1, generation=1))
