"""Tells people by Apprise how deploys and backups end. A receiver that fails is reported, and changes nothing else.

Messages go out in daemon threads, one an address: nothing waits for a receiver but ``wait``, and that not for long.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Final, Self

from deployguard.config import Event, NotifyConfig
from deployguard.process import Redactor

_MOST: Final = 1500  # characters of what happened: a database's error can be pages long
_SECRET: Final = 6  # characters from which a part of an address counts as one
_NO_SECRETS: Final = frozenset({"https", "services", "hooks.slack.com", "localhost"})
# A URL's user:password@, whoever's it is; also without a user.
_USER_INFO: Final = re.compile(r"(?<=://)[^\s/@]*:[^\s@/]+(?=@)")
_CI_LINKS: Final = ("CI_JOB_URL", "BUILD_URL", "CIRCLE_BUILD_URL", "BUILDKITE_BUILD_URL")
# How a message is coloured, by the last word of its event.
_KINDS: Final[Mapping[str, str]] = {
    "failed": "failure",
    "missed": "failure",
    "person": "failure",
    "back": "warning",
    "approval": "warning",
    "done": "success",
    "taken": "success",
}
MISSING: Final = "Apprise is not installed: pip install 'deployguard[notify]'"


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell. ``deploy`` is the run that it is about, ``state`` what production is in."""

    event: Event
    title: str
    happened: str
    state: str = ""
    commands: tuple[str, ...] = ()
    link: str = ""
    deploy: str = ""

    def text(self) -> str:
        """The message without its title, as plain text."""
        happened = self.happened
        if len(happened) > _MOST:
            happened = f"{happened[:_MOST]}… (cut off here)"
        parts = [happened, self.state]
        if self.commands:
            parts.append("\n".join(("Next:", *(f"    {command}" for command in self.commands))))
        parts.append(self.link)
        return "\n\n".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message goes: ``name`` is the variable that holds it, for people; ``url`` is a secret."""

    name: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one message to one address; ``problem`` is "" when the receiver has taken it."""

    message: Message
    address: str
    problem: str = ""
    service: str = ""


def addresses(
    config: NotifyConfig, environ: Mapping[str, str]
) -> tuple[tuple[Address, ...], tuple[str, ...]]:
    """The addresses, and the variables that should hold some and are not set."""
    found, missing = list[Address](), list[str]()
    for variable in config.urls_env:
        urls = environ.get(variable, "").split()
        if not urls:
            missing.append(variable)
        for number, url in enumerate(urls, 1):
            found.append(Address(variable if len(urls) == 1 else f"{variable} ({number})", url))
    return tuple(found), tuple(missing)


def link(config: NotifyConfig, environ: Mapping[str, str]) -> str:
    """The link that was configured, else the CI job's; "" where there is none."""
    if config.link_env:
        return environ.get(config.link_env, "")
    parts = [environ.get(f"GITHUB_{key}", "") for key in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
    if all(parts):
        return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}"
    return next((environ[name] for name in _CI_LINKS if environ.get(name)), "")


def test_message(project: str, environment: str) -> Message:
    """What ``notify test`` sends."""
    return Message(
        "deploy-done",
        f"{project} {environment}: a test",
        "This is a test: whoever reads it will hear of deploys and backups.",
        "Nothing was done.",
        (f"deployguard status --env {environment}",),
    )


class Notifier:
    """The receivers of one environment. Without any, it does nothing."""

    def __init__(
        self,
        config: NotifyConfig | None = None,
        environ: Mapping[str, str] | None = None,
        redact: Callable[[str], str] = str,
    ) -> None:
        config, environ = config or NotifyConfig(), environ or {}
        self.timeout = config.timeout
        self.addresses, self.missing = addresses(config, environ)
        self._on = frozenset(config.on)
        self._link = link(config, environ)
        self._hidden = Redactor(_secrets(self.addresses))
        self._redact = redact
        self._lines = dict[Address, SimpleQueue[Message]]()
        self._waiting = dict[tuple[Address, Message], None]()
        self._settled = list[Delivery]()
        self._told = set[tuple[Event, str]]()
        self._changed = threading.Condition()

    def wants(self, event: Event) -> bool:
        """Whether anybody is to be told of this."""
        return event in self._on and bool(self.addresses or self.missing)

    def told(self, event: Event, deploy: str) -> bool:
        """Whether this was told of a run already, by this process."""
        return (event, deploy) in self._told

    def tell(self, message: Message, *, always: bool = False, skip: Collection[str] = ()) -> None:
        """Send a message to all addresses but those in ``skip``; returns at once, and never raises.

        ``always``: also what nobody has asked for.
        """
        if not (always or self.wants(message.event)):
            return
        try:
            self._send_off(self._clean(message), skip)
        except Exception as error:  # noqa: BLE001 - no thread, no memory: a deploy goes on without
            self._settled.append(Delivery(message, "anybody", type(error).__name__))

    def _send_off(self, message: Message, skip: Collection[str]) -> None:
        self._told.add((message.event, message.deploy))
        for variable in self.missing:
            said = f"the environment variable {variable} is not set"
            self._settled.append(Delivery(message, variable, said))
        for address in self.addresses:
            if address.name in skip:
                continue
            with self._changed:
                self._waiting[address, message] = None
            if address not in self._lines:
                self._lines[address] = SimpleQueue()
                name = f"notify {address.name}"
                threading.Thread(target=self._work, args=(address,), name=name, daemon=True).start()
            self._lines[address].put(message)

    def wait(self) -> tuple[Delivery, ...]:
        """What became of the messages since the last call; who has not answered within the time-out has failed."""
        until = time.monotonic() + self.timeout
        said = f"no answer within {self.timeout} s"
        try:
            with self._changed:
                self._changed.wait_for(
                    lambda: not self._waiting, timeout=max(0.0, until - time.monotonic())
                )
        except KeyboardInterrupt:  # what there was to do is done; only the messages are given up
            said = "it was not waited for"
        with self._changed:
            late = [Delivery(message, address.name, said) for address, message in self._waiting]
            found = (*self._settled, *late)
            self._waiting.clear()
            self._settled.clear()
        return found

    def _work(self, address: Address) -> None:
        while True:
            message = self._lines[address].get()
            try:
                service, problem = _send(address.url, message, self.timeout)
            except Exception as error:  # noqa: BLE001 - whatever a service's plugin raises
                service, problem = "", f"{type(error).__name__}: {error}"
            problem = " ".join(self._hidden(self._redact(problem)).split()).rstrip(".")
            with self._changed:
                if (address, message) in self._waiting:
                    del self._waiting[address, message]
                    self._settled.append(Delivery(message, address.name, problem, service))
                    self._changed.notify_all()

    def _clean(self, message: Message) -> Message:
        def clean(text: str) -> str:
            return _USER_INFO.sub("***", self._hidden(self._redact(text)))

        return replace(
            message,
            title=clean(message.title),
            happened=clean(message.happened),
            state=clean(message.state),
            commands=tuple(map(clean, message.commands)),
            link=clean(message.link or self._link),
        )


def _secrets(known: Collection[Address]) -> tuple[str, ...]:
    """Every part of an address that may be a secret: its host is one where it is a token, as in slack://."""
    pieces = {piece for one in known for piece in re.split(r"[/:@?&=#,]+", one.url)}
    secret = {piece for piece in pieces if len(piece) >= _SECRET} - _NO_SECRETS
    return tuple(secret | {one.url for one in known})


def _send(url: str, message: Message, timeout: float) -> tuple[str, str]:
    """(the service's name, why it did not take the message); waits for each answer no longer than asked."""
    with _Heard() as heard:
        try:
            from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType
        except ImportError:
            return "", MISSING
        # Nothing is written to the disk, no picture is linked, no redirect takes the message elsewhere.
        asset = AppriseAsset(
            app_id="deployguard",
            app_desc="deployguard",
            app_url="",
            image_url_mask="",
            image_url_logo="",
            storage_mode="memory",
            http_redirects=False,
        )
        server = Apprise.instantiate(url, asset=asset)
        if server is None:
            return "", heard.said or "Apprise knows no such address"
        server.socket_connect_timeout = server.socket_read_timeout = timeout
        end = message.event.rpartition("-")[2]
        took = server.notify(
            title=message.title,
            body=message.text(),
            notify_type=NotifyType(_KINDS.get(end, "info")),
            body_format=NotifyFormat.TEXT,
        )
        name = str(server.service_name)
        return name, "" if took else heard.said or "it was not taken"


class _Heard(logging.Handler):
    """What Apprise logs of its failures in this thread, instead of letting it write to stderr."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said = ""
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.said = record.getMessage()

    def __enter__(self) -> Self:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)
