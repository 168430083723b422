"""Asks AWS: the only file that imports boto3. Calls are tried again while that can help; errors are made readable."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from deployguard.backups.base import Site
from deployguard.backups.rds_wait import Stopwatch, backoff, chance
from deployguard.errors import EnvironmentUnreachable
from deployguard.process import Redactor

if TYPE_CHECKING:
    from types import ModuleType

Answer: TypeAlias = Mapping[str, Any]

PATIENCE: Final = 300.0  # seconds that one call is tried again
FIRST: Final = 20.0  # … before AWS has ever answered: a wrong region is likelier than an outage
_CONNECT: Final = 10  # seconds
_READ: Final = 60
_PASSING: Final = re.compile(
    r"Throttl|TooManyRequests|RequestLimitExceeded|SlowDown|RequestTimeout"
)
_DENIED: Final = ("AccessDenied", "UnauthorizedOperation", "AuthFailure", "NotAuthorized")
_CREDENTIALS: Final = (
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "UnrecognizedClient",
    "InvalidAccessKeyId",
    "MissingAuthenticationToken",
)
_SIGNED: Final = re.compile(
    r"(?i)((?:Signature|Credential|X-Amz-[A-Za-z-]*(?:Token|Signature|Credential))\s*[=:]\s*)[^\s,&'\"]+"
)
_USER: Final = re.compile(r"(?<=://)[^/@\s]+@")


class AwsError(EnvironmentUnreachable):
    """AWS refused a call. ``code`` is its name for the reason, without the "Fault" that only some have."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code.removesuffix("Fault")


class AwsUnreachable(AwsError):
    """AWS did not answer, or was too busy, for as long as a call is tried."""


def passing(code: str, status: int) -> bool:
    """Whether the same call may succeed later; pure."""
    return status == 429 or status >= 500 or _PASSING.search(code) is not None


class Api:
    """A client of one AWS service in one region. ``site`` has the region, the clock to sleep by, and who is told."""

    def __init__(
        self,
        site: Site,
        *,
        region: str = "",
        service: str = "rds",
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        self.site = site
        self._answered = self._hurried = False
        self._errors, self._unreadable, self._client = _client(
            site, service, region, credentials or {}
        )
        self.region: str = self._client.meta.region_name
        self._redact = Redactor(
            (*site.url.secrets(), *self._secrets(), *(credentials or {}).values())
        )

    def __call__(self, operation: str, **arguments: Any) -> Answer:
        """One call, tried again while AWS is busy or out of reach. Raises AwsError."""
        watch = Stopwatch(self.site.sleep)
        attempt = 0
        while True:
            attempt += 1
            try:
                answer: Answer = getattr(self._client, operation)(**arguments)
            except self._errors.ClientError as error:
                self._answered = True
                found = self._refused(operation, error)
            except (self._errors.BotoCoreError, self._unreadable, ValueError) as error:
                found = self._broken(operation, error)
            else:
                self._answered = True
                return answer
            patience = PATIENCE if self._answered else FIRST
            late = self._hurried or watch.seconds >= patience
            if late or not isinstance(found, AwsUnreachable):
                raise found
            pause = backoff(attempt, chance())
            self.site.say(f"{found.message} Asking again in {pause:.0f} seconds.")
            watch.pause(pause)

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """In the block every call is tried once: there is something worse to tell than that it failed."""
        former, self._hurried = self._hurried, True
        try:
            yield
        finally:
            self._hurried = former

    def pages(self, operation: str, key: str, **arguments: Any) -> Iterator[Answer]:
        """The items under ``key`` of all pages of an answer."""
        marker: dict[str, str] = {}
        while True:
            answer = self(operation, **arguments, **marker)
            yield from answer[key]
            if not answer.get("Marker"):
                return
            marker = {"Marker": str(answer["Marker"])}

    def close(self) -> None:
        """Let its connections go."""
        self._client.close()

    def scrub(self, text: str) -> str:
        """A text of botocore's without keys, tokens, signatures and passwords."""
        return _USER.sub("", _SIGNED.sub(r"\1***", self._redact(" ".join(text.split()))))

    def _refused(self, operation: str, error: Exception) -> AwsError:
        response: Answer = getattr(error, "response", {})
        said: Answer = response.get("Error", {})
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = str(said.get("Code", "")) or "an error without a name"
        text = f"AWS answered {_action(operation)} with {code}: {self.scrub(str(said.get('Message', '')))}".rstrip(
            ".: "
        )
        if passing(code, status):
            return AwsUnreachable(f"{text}.", code)
        if code.startswith(_DENIED):
            return AwsError(
                f"{text}. The credentials may not do rds:{_action(operation)}; docs/rds.md lists what is needed.",
                code,
            )
        if code.startswith(_CREDENTIALS):
            return AwsError(f"{text}. The AWS credentials are wrong or have expired.", code)
        return AwsError(f"{text}.", code)

    def _broken(self, operation: str, error: Exception) -> AwsError:
        text = self.scrub(str(error)).rstrip(".")
        e = self._errors
        lost = isinstance(error, e.HTTPClientError | e.ConnectionError)
        if (lost and not isinstance(error, e.SSLError)) or isinstance(error, self._unreadable):
            return AwsUnreachable(f"AWS could not be asked for {_action(operation)}: {text}.")
        if isinstance(error, e.NoCredentialsError | e.PartialCredentialsError):
            text += (
                ". Give them as boto3 takes them: AWS_PROFILE, AWS_ACCESS_KEY_ID and its secret,"
                " or the role of the machine"
            )
        return AwsError(f"AWS could not be asked for {_action(operation)}: {text}.")

    def _secrets(self) -> tuple[str, ...]:
        """The credentials that calls are signed with, as far as they are known now."""
        signer = getattr(self._client, "_request_signer", None)
        held = getattr(signer, "_credentials", None)
        if held is None:
            return ()
        try:
            frozen = held.get_frozen_credentials()
        except self._errors.BotoCoreError:
            return ()
        return tuple(part for part in (frozen.secret_key, frozen.token, frozen.access_key) if part)


def _client(
    site: Site, service: str, region: str, credentials: Mapping[str, str]
) -> "tuple[ModuleType, type[Exception], Any]":
    """The errors of botocore, and a client that tries every call once: when to try again is decided here."""
    try:
        import boto3
        from botocore import exceptions
        from botocore.config import Config
        from botocore.parsers import ResponseParserError
    except ImportError as error:
        raise EnvironmentUnreachable(
            f'[backup] store = "rds" needs boto3 ({error}).',
            next_commands=("pip install 'deployguard[aws]'",),
        ) from None
    settings = Config(
        retries={"total_max_attempts": 1}, connect_timeout=_CONNECT, read_timeout=_READ
    )
    try:
        client = boto3.session.Session().client(
            service,
            region_name=region or site.rds.region or None,
            endpoint_url=(site.rds.endpoint_url or None)
            if service == "rds" and not region
            else None,
            config=settings,
            **credentials,
        )
    except exceptions.NoRegionError:
        raise EnvironmentUnreachable(
            "No AWS region is configured: set [rds] region, or AWS_REGION."
        ) from None
    except (exceptions.BotoCoreError, ValueError) as error:
        raise EnvironmentUnreachable(
            f"boto3 cannot be set up: {_USER.sub('', str(error))}."
        ) from None
    return exceptions, ResponseParserError, client


def _action(operation: str) -> str:
    """``describe_db_instances`` → ``DescribeDBInstances``."""
    words = (
        word.upper() if word in ("db", "s3") else word.capitalize() for word in operation.split("_")
    )
    return "".join(words)
