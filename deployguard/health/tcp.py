"""A port that takes connections."""

import socket
import time
from dataclasses import dataclass

from deployguard.health.base import Answer


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """``timeout`` in seconds."""

    host: str
    port: int
    timeout: float

    def ask(self) -> Answer:
        shown, began = f"{self.host}:{self.port}", time.monotonic()
        try:
            with socket.create_connection((self.host, self.port), timeout=self.timeout):
                spent = (time.monotonic() - began) * 1000
                return Answer(True, f"{shown} takes connections, in {spent:.0f} ms")
        except TimeoutError:
            return Answer(False, f"{shown} did not answer within {self.timeout:g} s")
        except OSError as error:
            return Answer(False, f"{shown} cannot be connected to: {error.strerror or error}")
