"""The tables. A change here needs a revision in migrations/versions."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Enum,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    # Server defaults are not fetched back: a release must also run on the schema before its own
    # last, purely additive revisions, and RETURNING would name columns that are not there yet.
    __mapper_args__ = {"eager_defaults": False}


class BookingStatus(enum.Enum):
    pending = "pending"
    confirmed = "confirmed"
    cancelled = "cancelled"
    no_show = "no_show"


class Venue(Base):
    __tablename__ = "venues"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    city: Mapped[str] = mapped_column(String(80))


class Room(Base):
    __tablename__ = "rooms"
    __table_args__ = (UniqueConstraint("name", name="uq_rooms_name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    capacity: Mapped[int]
    price_cents: Mapped[int]
    venue_id: Mapped[int | None] = mapped_column(
        ForeignKey("venues.id", name="fk_rooms_venue_id_venues")
    )


class Guest(Base):
    __tablename__ = "guests"

    id: Mapped[int] = mapped_column(primary_key=True)
    full_name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(200), unique=True)
    phone: Mapped[str | None] = mapped_column(String(40))
    # Read only where it is asked for: see Base.
    language: Mapped[str] = mapped_column(String(8), server_default="en", deferred=True)


class Booking(Base):
    __tablename__ = "bookings"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="ck_bookings_ends_after_start"),
        UniqueConstraint("reference", name="uq_bookings_reference"),
        Index("ix_bookings_room_id", "room_id"),
        Index("ix_bookings_starts_at", "starts_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    room_id: Mapped[int] = mapped_column(ForeignKey("rooms.id", name="fk_bookings_room_id_rooms"))
    guest_id: Mapped[int] = mapped_column(
        ForeignKey("guests.id", name="fk_bookings_guest_id_guests")
    )
    reference: Mapped[str] = mapped_column(String(24))
    starts_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ends_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    status: Mapped[BookingStatus] = mapped_column(
        Enum(BookingStatus, name="booking_status", create_constraint=True)
    )
    party_size: Mapped[int] = mapped_column(server_default="1")
    total_cents: Mapped[int] = mapped_column(BigInteger)
    notes: Mapped[str | None] = mapped_column(String(1000))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    room: Mapped[Room] = relationship(lazy="joined", innerjoin=True)
    guest: Mapped[Guest] = relationship(lazy="joined", innerjoin=True)


class Job(Base):
    """Work for the worker, written in the transaction that asks for it (an outbox)."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_done_at", "done_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    booking_id: Mapped[int] = mapped_column(
        ForeignKey("bookings.id", name="fk_jobs_booking_id_bookings")
    )
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    done_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
