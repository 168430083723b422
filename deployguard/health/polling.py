"""Ask again and again: until the application is healthy or the deadline says not, and while it bakes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deployguard.config import HealthConfig
from deployguard.health.base import Check
from deployguard.model import Health, HealthSample, Vital


@dataclass(frozen=True, slots=True)
class Poller:
    """One sample is one round over all checks, until the first that is not good. Times in seconds."""

    config: HealthConfig
    checks: Sequence[Check]
    on_sample: Callable[[HealthSample], None] = lambda _: None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    samples: list[HealthSample] = field(default_factory=list)

    def poll(self) -> Health:
        """Until ``successes`` of the latest ``out_of`` samples were good, the last of them too, or ``deadline``.

        Where none of the latest samples was bad, and too few could be taken, the answer is INCONCLUSIVE.
        """
        config, began = self.config, self.monotonic()
        while True:
            latest = self._sample()
            window = self.samples[-config.window :]
            good = sum(sample.ok is True for sample in window)
            spent = self.monotonic() - began
            if latest.ok and good >= config.successes:
                many = "in a row" if config.window == config.successes else f"out of {len(window)}"
                said = f"{latest.detail}; {good} {many} after {spent:.0f} s"
                return Health(Vital.HEALTHY, said, tuple(self.samples))
            if spent + config.interval > config.deadline:
                return Health(self._failed(window), self._verdict(good), tuple(self.samples))
            self.sleep(config.interval)

    def bake(self) -> Health:
        """For ``bake`` seconds: healthy while the share of bad samples is at most ``bake_errors``.

        It is over at once when no further sample could make it good. Where fewer than half of the samples could be
        taken, the answer is INCONCLUSIVE.
        """
        config, began = self.config, self.monotonic()
        expected = int(config.bake / config.interval) + 1
        while True:
            self._sample()
            bad = sum(sample.ok is False for sample in self.samples)
            over = self.monotonic() - began + config.interval > config.bake
            if bad > config.bake_errors * max(expected, len(self.samples)) or over:
                return self._baked(bad)
            self.sleep(config.interval)

    def _baked(self, bad: int) -> Health:
        config, taken = self.config, len(self.samples)
        known = sum(sample.ok is not None for sample in self.samples)
        last = next((s.detail for s in reversed(self.samples) if not s.ok), "")
        because = f"; {last}" if last else ""
        said = f"{bad} of {known} samples were bad, {config.bake_errors:.1%} may be{because}"
        if bad and bad > config.bake_errors * known:
            return Health(Vital.UNHEALTHY, said, tuple(self.samples))
        if known * 2 < taken or not known:
            said = f"only {known} of {taken} samples could be taken{because}"
            return Health(Vital.INCONCLUSIVE, said, tuple(self.samples))
        return Health(Vital.HEALTHY, said, tuple(self.samples))

    def _sample(self) -> HealthSample:
        """One round: what was seen, and whether it was as expected everywhere."""
        said, ok = "", None
        unknown = ""
        for check in self.checks:
            answer = check.ask()
            said, ok = answer.detail, answer.ok
            if ok is False:
                break
            if ok is None:
                unknown = unknown or said
        if ok is not False and unknown:
            said, ok = unknown, None
        if ok and len(self.checks) > 1:
            said = f"{len(self.checks)} checks were good"
        sample = HealthSample(self.clock(), ok, said)
        self.samples.append(sample)
        self.on_sample(sample)
        return sample

    @staticmethod
    def _failed(window: Sequence[HealthSample]) -> Vital:
        """What too few good samples mean: nobody knows, where not one of the others was bad."""
        known = any(sample.ok is not None for sample in window)
        bad = any(sample.ok is False for sample in window)
        unknown = any(sample.ok is None for sample in window)
        return Vital.INCONCLUSIVE if (unknown and not bad) or not known else Vital.UNHEALTHY

    def _verdict(self, good: int) -> str:
        config, samples = self.config, self.samples
        total = sum(sample.ok is True for sample in samples)
        unknown = sum(sample.ok is None for sample in samples)
        last = next((s.detail for s in reversed(samples) if not s.ok), "")
        if config.window > config.successes:
            now = f"{good} of the last {min(config.window, len(samples))}, {config.successes} are needed"
        elif samples[-1].ok:
            now = f"the last {self._row()} of them in a row, {config.successes} are needed"
        else:
            now = f"never {config.successes} in a row"
        untaken = f", {unknown} could not be taken" if unknown else ""
        because = f"; {last}" if last else ""
        return f"{total} of {len(samples)} samples were good within {config.deadline:g} s{untaken}, {now}{because}"

    def _row(self) -> int:
        row = 0
        for sample in reversed(self.samples):
            if not sample.ok:
                break
            row += 1
        return row
