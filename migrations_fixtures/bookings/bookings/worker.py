"""The worker: `python -m bookings.worker` does waiting jobs, one at a time, until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from bookings import heartbeat
from bookings.database import make_engine
from bookings.models import Booking, BookingStatus, Job
from bookings.settings import Settings

log = logging.getLogger("bookings.worker")


async def confirm(session: AsyncSession, job: Job) -> None:
    booking = await session.get_one(Booking, job.booking_id)
    if booking.status is BookingStatus.pending:
        booking.status = BookingStatus.confirmed


KINDS = {"confirm": confirm}


async def do_one(sessions: async_sessionmaker[AsyncSession]) -> bool:
    """Do the oldest waiting job in one transaction; False when nothing waits."""
    async with sessions.begin() as session:
        waiting = select(Job).where(Job.done_at.is_(None), Job.kind.in_(KINDS)).order_by(Job.id)
        # Several workers may run; each takes another row. (SQLite has one writer, and no locks.)
        job = await session.scalar(waiting.limit(1).with_for_update(skip_locked=True))
        if job is None:
            return False
        await KINDS[job.kind](session, job)
        job.done_at = datetime.now(UTC)
        log.info("did job %s: %s booking %s", job.id, job.kind, job.booking_id)
        return True


async def work(settings: Settings, stop: asyncio.Event) -> None:
    engine = make_engine(settings)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    log.info("worker %s is waiting for jobs", settings.version)
    while not stop.is_set():
        try:
            busy = await do_one(sessions)
        except (SQLAlchemyError, OSError) as error:
            # Expected during a migration or a restart of the database: the job is still there.
            log.warning("could not work: %s; trying again", type(error).__name__)
            busy = False
        heartbeat.FILE.touch()
        if not busy:
            await pause(stop, settings.poll_seconds)
    await engine.dispose()
    log.info("worker stopped")


async def pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), timeout=seconds)
    except TimeoutError:
        return


async def run() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await work(Settings.load(), stop)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(run())
