"""The web application. Serve it with `uvicorn bookings.app:app`."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import AsyncIterator
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bookings.database import make_engine
from bookings.models import Booking, BookingStatus, Guest, Job, Room
from bookings.settings import Settings

log = logging.getLogger("bookings")


class BadRequest(Exception):
    pass


async def health(request: Request) -> JSONResponse:
    """200 when a booking with all that belongs to it can be read, otherwise 503."""
    settings: Settings = request.app.state.settings
    answer = {"status": "ok", "version": settings.version}
    if settings.broken:
        return JSONResponse(answer | {"status": "broken"}, status_code=503)
    try:
        async with request.app.state.sessions() as session:
            await session.scalars(select(Booking).limit(1))
            count = await session.scalar(select(func.count()).select_from(Booking))
    except (SQLAlchemyError, OSError) as error:
        log.warning("health: %s", type(error).__name__)
        reason = {"status": "unavailable", "reason": type(error).__name__}
        return JSONResponse(answer | reason, status_code=503)
    return JSONResponse(answer | {"bookings": count})


async def list_bookings(request: Request) -> JSONResponse:
    try:
        limit = min(int(request.query_params.get("limit", "50")), 500)
    except ValueError:
        raise BadRequest("limit must be a number") from None
    async with request.app.state.sessions() as session:
        rows = await session.scalars(select(Booking).order_by(Booking.id.desc()).limit(limit))
        return JSONResponse([as_json(booking) for booking in rows])


async def show_booking(request: Request) -> JSONResponse:
    async with request.app.state.sessions() as session:
        booking = await session.get(Booking, request.path_params["id"])
        if booking is None:
            return JSONResponse({"error": "no such booking"}, status_code=404)
        return JSONResponse(as_json(booking))


async def create_booking(request: Request) -> JSONResponse:
    try:
        wish = await request.json()
        starts_at, ends_at = parse_time(wish["starts_at"]), parse_time(wish["ends_at"])
        room_name, email, full_name = str(wish["room"]), str(wish["email"]), str(wish["full_name"])
        party_size = int(wish.get("party_size", 1))
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"{type(error).__name__}: {error}") from error
    if ends_at <= starts_at:
        raise BadRequest("a booking ends after it starts")
    async with request.app.state.sessions.begin() as session:
        room = await session.scalar(select(Room).where(Room.name == room_name))
        if room is None:
            return JSONResponse({"error": f"no room {room_name!r}"}, status_code=404)
        if await is_taken(session, room, starts_at, ends_at):
            return JSONResponse({"error": "the room is taken then"}, status_code=409)
        guest = await session.scalar(select(Guest).where(Guest.email == email))
        booking = Booking(
            room=room,
            guest=guest or Guest(email=email, full_name=full_name, phone=wish.get("phone")),
            reference=f"BK-{secrets.token_hex(6).upper()}",
            starts_at=starts_at,
            ends_at=ends_at,
            status=BookingStatus.pending,
            party_size=party_size,
            total_cents=room.price_cents * max(1, (ends_at - starts_at).days),
            notes=wish.get("notes"),
        )
        session.add(booking)
        await session.flush()
        session.add(Job(kind="confirm", booking_id=booking.id))
        return JSONResponse(as_json(booking), status_code=201)


async def is_taken(session: AsyncSession, room: Room, start: datetime, end: datetime) -> bool:
    overlapping = select(Booking.id).where(
        Booking.room_id == room.id,
        Booking.status != BookingStatus.cancelled,
        Booking.starts_at < end,
        Booking.ends_at > start,
    )
    return await session.scalar(overlapping.limit(1)) is not None


def parse_time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return time


def as_json(booking: Booking) -> dict[str, object]:
    return {
        "id": booking.id,
        "reference": booking.reference,
        "room": booking.room.name,
        "guest": booking.guest.full_name,
        "starts_at": booking.starts_at.isoformat(),
        "ends_at": booking.ends_at.isoformat(),
        "status": booking.status.value,
        "party_size": booking.party_size,
        "total_cents": booking.total_cents,
    }


async def on_bad_request(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=400)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    settings = Settings.load()
    engine = make_engine(settings)
    app.state.settings = settings
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    yield
    await engine.dispose()


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/bookings", list_bookings, methods=["GET"]),
        Route("/bookings", create_booking, methods=["POST"]),
        Route("/bookings/{id:int}", show_booking),
    ],
    exception_handlers={BadRequest: on_bad_request},
    lifespan=lifespan,
)
