"""The ORM's session, but rows are read by key, inserted and changed by bare statements that are made once for a table.

The ORM makes each statement anew, with a key to find how it was compiled before: 120 µs of a row's 150. It goes on to
keep which row is which object, what has changed in it, and what has to be read again. What these statements do not say
(rows that are deleted, keys that the database gives, joins) goes the ORM's own way.

    session.get, get_one, refresh   by its key   session.flush, commit   what was added and changed
    found                    by a condition on columns of one table
    made                     a new one, to be added
    known                    what was written of a row beside the session
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import JSON, Boolean, Date, DateTime, inspect
from sqlalchemy.orm import InstanceState, Mapper
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import Session, SQLModel

from gateway.ground.store.contract import Connection, Remote, instant, stored
from gateway.ground.store.statements import raw

Row = TypeVar("Row", bound=SQLModel)
_Values = ParamSpec("_Values")
_Read = Callable[[Any], Any]


def found(session: Session, table: type[Row], condition: str, values: Sequence[Any] = ()) -> list[Row]:
    """The rows of this table for which the condition holds: SQL with `?` for values, after WHERE."""
    return _found(session, _of(table), condition, values)


def made(table: Callable[_Values, Row], *_: _Values.args, **values: _Values.kwargs) -> Row:
    """What the class of rows makes of these values; its own way takes 100 µs for 30 columns."""
    kept = _of(table)
    row: Row = kept.mapper.class_manager.new_instance()
    inspect(row).dict.update(kept.defaults, **values)
    return row


def known(row: SQLModel, **values: Any) -> None:
    """Note what a statement beside the ORM has written of this row."""
    for name, value in values.items():
        set_committed_value(row, name, value)


class RowSession(Session):
    """Of `Store.read` and `Store.write`."""

    def get(self, entity: Any, ident: Any, **how: Any) -> Any:
        """As the ORM's, with `populate_existing` and `with_for_update=True`; anything more is left to it."""
        again, locked = how.pop("populate_existing", None), how.pop("with_for_update", None)
        if any(how.values()) or locked not in (None, False, True) or isinstance(ident, dict):
            return super().get(entity, ident, populate_existing=again, with_for_update=locked, **how)
        table = _of(entity)
        values = tuple(ident) if isinstance(ident, tuple | list) else (ident,)
        locked = locked and isinstance(raw(self), Remote)  # one writer has the whole database: there is nobody else
        known = self.identity_map.get(table.mapper.identity_key_from_primary_key(values))
        if known is not None and not (again or locked or inspect(known).expired):
            return known
        condition = f"{table.by_key} FOR UPDATE" if locked else table.by_key
        rows = _found(self, table, condition, values, again=bool(again))
        return rows[0] if rows else None

    def refresh(self, instance: object, *asked: Any, **how: Any) -> None:
        if asked or how or self.get(type(instance), inspect(instance).identity, populate_existing=True) is None:
            super().refresh(instance, *asked, **how)

    def _flush(self, objects: Sequence[object] | None = None) -> None:
        added, changed = list(self._new), list(self._dirty_states)
        plain = not self._deleted and not objects and all(map(_is_plain, added)) and not any(map(_moves, changed))
        if not plain:
            super()._flush(objects)
            return
        connection = raw(self)
        for state in _in_order((*changed, *added)):
            if state.key is None:
                _insert(connection, _of(state.class_), state.dict)
            else:
                _update(connection, _of(state.class_), state)
        self._register_persistent({*added, *changed})


# ---- a table


@dataclass(frozen=True)
class Conversion:
    """How a bare connection's value becomes Python's, and the other way; None stays None."""

    read: _Read
    write: _Read


def _instant_stored(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError("an instant without a zone may be any of a whole day")
    return stored(at)


_KINDS: tuple[tuple[type, Conversion], ...] = (
    (Boolean, Conversion(bool, bool)),
    (DateTime, Conversion(instant, _instant_stored)),
    (Date, Conversion(date.fromisoformat, date.isoformat)),
    (JSON, Conversion(json.loads, json.dumps)),
)


@dataclass(frozen=True)
class Table:
    mapper: Mapper[Any]
    name: str
    names: tuple[str, ...]  # of attributes, in the order of columns
    columns: dict[str, str]  # attribute → column, quoted
    kinds: dict[str, Conversion]  # of those attributes whose values are not the database's own
    defaults: dict[str, Any]  # of attributes that have one
    key: tuple[str, ...]  # attributes
    by_key: str  # condition
    select: str
    insert: str


def _of(table: Any) -> Table:
    """Of a class of rows."""
    return _made(table)


@cache
def _made(table: Any) -> Table:
    mapper: Mapper[Any] = inspect(table)
    name: str = mapper.local_table.name  # type: ignore[attr-defined]
    columns = list(mapper.local_table.columns)
    names = tuple(mapper.get_property_by_column(each).key for each in columns)
    quoted = [f'"{each.name}"' for each in columns]
    key = tuple(mapper.get_property_by_column(each).key for each in mapper.primary_key)
    by_key = " AND ".join(f'"{each.name}" = ?' for each in mapper.primary_key)
    listed = ", ".join(quoted)
    return Table(
        mapper,
        name,
        names,
        dict(zip(names, quoted, strict=True)),
        {attribute: kind for attribute, each in zip(names, columns, strict=True) if (kind := _kind(each.type))},
        {name: each.default for name, each in table.model_fields.items() if not each.is_required()},
        key,
        by_key,
        f'SELECT {listed} FROM "{name}"',
        f'INSERT INTO "{name}" ({listed}) VALUES ({", ".join("?" * len(columns))})',
    )


def _kind(type_: TypeEngine[Any]) -> Conversion | None:
    own = type_.impl_instance if isinstance(type_, TypeDecorator) else type_
    return next((kind for known, kind in _KINDS if isinstance(own, known)), None)


# ---- reading


def _found(session: Session, table: Table, condition: str, values: Sequence[Any], *, again: bool = False) -> list[Any]:
    """`again`: what the session has of these rows already is overwritten."""
    if session.autoflush:
        session.flush()
    given = [stored(value) if isinstance(value, datetime) else value for value in values]
    rows = raw(session).execute(f"{table.select} WHERE {condition}", given).fetchall()
    return [_kept(session, table, row, again) for row in rows]


def _kept(session: Session, table: Table, row: Sequence[Any], again: bool) -> Any:
    """The session's one object of this row."""
    values = dict(zip(table.names, row, strict=True))
    for name, kind in table.kinds.items():
        if values[name] is not None:
            values[name] = kind.read(values[name])
    key = table.mapper.identity_key_from_primary_key(tuple(values[name] for name in table.key))
    known = session.identity_map.get(key)
    if known is None:
        return _new(session, table, key, values)
    state = inspect(known)
    if again or state.expired:
        state.dict.update(values)
        state._commit_all(state.dict, session.identity_map)
    return known


def _new(session: Session, table: Table, key: Any, values: dict[str, Any]) -> Any:
    """What `make_transient_to_detached` and `add` make of an object, whose key is known."""
    made = table.mapper.class_manager.new_instance()
    state = inspect(made)
    state.dict.update(values)
    state.key = key
    session._save_or_update_impl(state)  # `add` looks for what hangs from it: rows here have no relationships
    return made


# ---- writing


def _is_plain(state: InstanceState[Any]) -> bool:
    """Whether all of its key is known before it is inserted."""
    return all(state.dict.get(name) is not None for name in _of(state.class_).key)


def _moves(state: InstanceState[Any]) -> bool:
    return not state.committed_state.keys().isdisjoint(_of(state.class_).key)


def _in_order(states: Iterable[InstanceState[Any]]) -> Iterator[InstanceState[Any]]:
    """Each table after those its foreign keys refer to; of one table what is changed, which may make room for what is
    added, and then that in the order in which it was."""
    ranked = list(states)
    if len(ranked) > 1:
        ranks = _ranks(len(SQLModel.metadata.tables))
        ranked.sort(key=lambda state: (ranks[_of(state.class_).name], state.key is None, state.key or ()))
    yield from ranked


@cache
def _ranks(_known: int) -> dict[str, int]:
    """`_known`: of how many tables this is the order."""
    return {table.name: rank for rank, table in enumerate(SQLModel.metadata.sorted_tables)}


def _insert(connection: Connection, table: Table, values: dict[str, Any]) -> None:
    connection.execute(table.insert, [_written(table, name, values.get(name)) for name in table.names])


def _update(connection: Connection, table: Table, state: InstanceState[Any]) -> None:
    """Raises StaleDataError: the row is there no more."""
    now = state.dict
    changed = [name for name, before in state.committed_state.items() if name in now and now[name] != before]
    if not changed:
        return
    settings = ", ".join(f"{table.columns[name]} = ?" for name in changed)
    # All else may have expired when one of it was set; who it is is known.
    written = {**dict(zip(table.key, state.identity or (), strict=True)), **{name: now[name] for name in changed}}
    values = [_written(table, name, written[name]) for name in (*changed, *table.key)]
    done = connection.execute(f'UPDATE "{table.name}" SET {settings} WHERE {table.by_key}', values)
    if done.rowcount != 1:
        raise StaleDataError(f"{table.name}: {done.rowcount} rows instead of one")


def _written(table: Table, name: str, value: Any) -> Any:
    kind = table.kinds.get(name)
    return value if kind is None or value is None else kind.write(value)
