"""One row that says "apps, organisations or links changed": what the proxy compiled is of one such generation."""

from sqlmodel import Field, Session, SQLModel, update


class Directory(SQLModel, table=True):
    id: int = Field(default=1, primary_key=True)
    generation: int = 0


def directory_changed(session: Session) -> None:
    """To be called in the transaction of every change of an app's, organisation's or link's standing."""
    found = session.execute(
        update(Directory).where(Directory.id == 1).values(generation=Directory.generation + 1)  # type: ignore[arg-type]
    )
    if not found.rowcount:  # type: ignore[attr-defined]
        session.add(Directory(id=1, generation=1))
