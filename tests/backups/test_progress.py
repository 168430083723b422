"""Where a dump stands: said at once on a terminal, about once a minute in a log."""

from pathlib import Path

from deployguard.backups.progress import Pace, Progress, duration, telling


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_table_bytes_rate_and_time_left_are_told(tmp_path: Path) -> None:
    told: list[str] = []
    clock = Clock()
    progress = Progress(told.append, tmp_path, tables=4, expected=5_000_000, every=0.0, clock=clock)
    assert progress.moving() == (0, 0)
    progress.line('pg_dump: dumping contents of table "public.rooms"')
    assert told[-1] == 'dumping contents of table "public.rooms" (1 of 4)'
    (tmp_path / "1.dat").write_bytes(b"x" * 600_000)
    (tmp_path / "2.dat").write_bytes(b"x" * 400_000)
    clock.now += 2
    assert progress.moving() == (1_000_000, 1)
    assert told[-1] == (
        'dumping contents of table "public.rooms" (1 of 4), 1.0 MB written, 500.0 kB/s,'
        " about 8 s left by the last backup"
    )
    progress.line("pg_dump: reading triggers")
    assert progress.moving() == (1_000_000, 2)


def test_without_a_last_backup_no_time_is_guessed(tmp_path: Path) -> None:
    clock = Clock()
    progress = Progress(lambda _: None, tmp_path, tables=1, expected=0, every=0.0, clock=clock)
    (tmp_path / "1.dat").write_bytes(b"x" * 1000)
    clock.now += 5
    progress.moving()
    assert progress.words() == "dumping, 1.0 kB written, 200 bytes/s"


def test_a_log_gets_a_line_a_minute_however_many_tables_there_are() -> None:
    told: list[str] = []
    clock = Clock()
    pace = Pace(told.append, 60.0, clock)
    for second in range(301):
        clock.now = 100.0 + second
        pace(f"{second}")
    assert told == ["60", "120", "180", "240", "300"]


def test_only_what_shows_progress_is_told_of_a_restore() -> None:
    told: list[str] = []
    say = telling(told.append)
    say("pg_restore: connecting to database for restore")
    say('pg_restore: processing data for table "public.rooms"')
    assert told == ['processing data for table "public.rooms"']


def test_times_are_for_people() -> None:
    assert (duration(40), duration(150), duration(7200)) == ("40 s", "2 min", "2.0 h")
