"""The declarative base of every table, in the store and in capabilities."""

from datetime import datetime

from sqlalchemy import (
    DateTime,
    MetaData,
    Text,
)
from sqlalchemy.orm import DeclarativeBase

# Constraint names by rule, so that a migration can drop what an earlier one created.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(DeclarativeBase):
    """The declarative base: text columns, time stamps with a zone, named constraints."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: DateTime(timezone=True), str: Text}  # noqa: RUF012  SQLAlchemy's contract
