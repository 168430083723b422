"""Messages arrive as they should be read; a receiver that fails is told of, leaks nothing, and holds nobody up."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.config import EVENTS, NotifyConfig
from deployguard.notify import MISSING, Delivery, Message, Notifier
from tests.support.receivers import TOKENS, WEBHOOK, Receiver, Slack

MESSAGE = Message(
    "deploy-rolled-back",
    "bookings production: deploy 1 failed and taken back",
    "The migration failed: postgres://app:hunter2canary@db/app <!channel> & co",
    "The backup was restored.",
    ("deployguard show 1",),
    deploy="1",
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    with Slack(tmp_path / "slack") as made:
        for name, value in made.environ.items():
            monkeypatch.setenv(name, value)
        yield made


def notifier(*urls: str, timeout: int = 30, **environ: str) -> Notifier:
    names = {f"PLACE_{number}": url for number, url in enumerate(urls)}
    config = NotifyConfig(tuple(names), EVENTS, timeout)
    return Notifier(config, {**names, **environ}, lambda text: text.replace("hunter2canary", "***"))


def sent(*urls: str, timeout: int = 30, message: Message = MESSAGE) -> dict[str, Delivery]:
    asked = notifier(*urls, timeout=timeout)
    asked.tell(message)
    return {one.address: one for one in asked.wait()}


@pytest.mark.parametrize(
    "url",
    [WEBHOOK, f"slack://{'/'.join(TOKENS)}"],
    ids=["as Slack shows it", "as Apprise writes it"],
)
def test_a_webhook_of_slack_takes_it(slack: Slack, url: str) -> None:
    [delivery] = sent(url).values()
    assert delivery.problem == ""
    assert delivery.service == "Slack"
    assert slack.asked == ["hooks.slack.com:443"]
    [post] = slack.posts
    assert post.path == "/services/" + "/".join(TOKENS)
    [said] = post.document["attachments"]  # type: ignore[misc]
    assert said["title"] == MESSAGE.title
    # nobody is called by what a database says, and no password is in it
    assert said["text"] == (
        "The migration failed: postgres://***@db/app &lt;!channel&gt; &amp; co\n\n"
        "The backup was restored.\n\nNext:\n    deployguard show 1"
    )
    assert "icon_url" not in post.document


def test_slack_refuses_another_token_and_that_is_told(slack: Slack) -> None:
    [delivery] = sent(WEBHOOK.replace("canary3", "another")).values()
    assert "403" in delivery.problem


def test_whoever_cannot_prove_to_be_slack_gets_nothing(
    slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.delenv("CURL_CA_BUNDLE")
    [delivery] = sent(WEBHOOK).values()
    assert delivery.problem
    assert slack.posts == []


@pytest.mark.parametrize("how", ["500", "404", "hangs", "drips"])
def test_a_receiver_that_fails_is_told_of_and_holds_up_nobody(receiver: Receiver, how: str) -> None:
    with Receiver(how) as failing:
        # the one that hangs has not answered when this returns
        found = sent(failing.url, receiver.url, timeout=3 if how in ("hangs", "drips") else 30)
        assert found["PLACE_0"].problem
        assert found["PLACE_1"].problem == ""
        assert not failing.closed.is_set()
    assert receiver.titles == [MESSAGE.title]


def test_a_receiver_that_is_not_there_is_told_of() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        [delivery] = sent(f"json://127.0.0.1:{taken.getsockname()[1]}/").values()
    assert "JSON" in delivery.problem


def test_a_message_is_not_led_elsewhere(receiver: Receiver) -> None:
    with Receiver("302", elsewhere=f"http://127.0.0.1:{receiver.port}/") as away:
        [delivery] = sent(away.url).values()
    assert delivery.problem
    assert receiver.posts == []


@pytest.mark.parametrize(
    "address",
    [
        "json://user:canarypass@127.0.0.1:1/canarypath?+x=canaryheader",
        WEBHOOK,
        "slack://canarybroken",
        "canary",
        "mailto://user:canarypass@127.0.0.1:1",
    ],
)
def test_no_part_of_an_address_is_ever_said(
    address: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    repeated = Message("backup-failed", "t", f"it was {address}", commands=(f"curl {address}",))
    with Receiver() as heard:
        found = sent(address, heard.url, timeout=10, message=repeated)
        [text] = heard.texts
    assert found["PLACE_0"].problem
    printed = "".join(capfd.readouterr())
    for said in (str(found["PLACE_0"]), text, printed, repr(notifier(address).addresses)):
        assert "canary" not in said.lower()
    assert printed == ""


def test_without_apprise_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    [delivery] = sent("json://127.0.0.1:1/").values()
    assert delivery.problem == MISSING


def test_a_variable_that_is_not_set_is_told_of(receiver: Receiver) -> None:
    asked = Notifier(NotifyConfig(("HERE", "GONE")), {"HERE": receiver.url})
    asked.tell(MESSAGE)
    found = {one.address: one.problem for one in asked.wait()}
    assert found == {"HERE": "", "GONE": "the environment variable GONE is not set"}


def test_one_variable_may_hold_several_addresses(receiver: Receiver) -> None:
    asked = Notifier(NotifyConfig(("ALL",)), {"ALL": f"{receiver.url}\n{receiver.url}?x=1\n"})
    asked.tell(MESSAGE)
    assert {one.address for one in asked.wait()} == {"ALL (1)", "ALL (2)"}
    assert len(receiver.posts) == 2


def test_what_nobody_asked_for_is_not_sent(receiver: Receiver) -> None:
    asked = Notifier(NotifyConfig(("HERE",), ("backup-failed",)), {"HERE": receiver.url})
    asked.tell(MESSAGE)
    assert asked.wait() == ()
    assert receiver.posts == []


def test_messages_arrive_in_their_order(receiver: Receiver) -> None:
    asked = notifier(receiver.url)
    for number in range(5):
        asked.tell(Message("deploy-started", str(number), "x"))
    assert len(asked.wait()) == 5
    assert receiver.titles == ["0", "1", "2", "3", "4"]


def test_a_long_error_is_cut_and_says_so() -> None:
    said = Message("backup-failed", "t", "x" * 5000, "The state.").text()
    assert "cut off here" in said
    assert said.endswith("The state.")
    assert len(said) < 2000


CI = {"GITHUB_SERVER_URL": "https://code", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "7"}


@pytest.mark.parametrize(
    ("environ", "name", "link"),
    [
        (CI, "", "https://code/a/b/actions/runs/7"),
        ({"CI_JOB_URL": "https://ci/9"}, "", "https://ci/9"),
        (
            {"CI_JOB_URL": "https://ci/9", "MINE": "https://u:canary@mine/1"},
            "MINE",
            "https://***@mine/1",
        ),
        ({}, "", ""),
    ],
)
def test_a_message_leads_to_the_job(
    receiver: Receiver, environ: dict[str, str], name: str, link: str
) -> None:
    config = NotifyConfig(("HERE",), EVENTS, 30, name)
    asked = Notifier(config, {"HERE": receiver.url, **environ})
    asked.tell(Message("deploy-started", "t", "It began."))
    asked.wait()
    assert receiver.texts == [f"It began.\n\n{link}".strip()]


def test_ctrl_c_while_a_receiver_hangs_gives_up_the_message_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Receiver("hangs") as failing:
        asked = notifier(failing.url)
        asked.tell(MESSAGE)

        def interrupted(*_: object, **__: object) -> bool:
            raise KeyboardInterrupt

        monkeypatch.setattr(asked._changed, "wait_for", interrupted)
        [delivery] = asked.wait()
    assert delivery.problem == "it was not waited for"


def test_a_machine_without_room_for_a_thread_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", start)
    asked = notifier("json://127.0.0.1:1/")
    asked.tell(MESSAGE)
    monkeypatch.undo()
    asked.timeout = 1
    assert all(one.problem for one in asked.wait())


@pytest.mark.parametrize(
    ("how", "timeout", "said"), [("drips", 1, "no answer within 1 s"), ("500", 60, "error=500")]
)
def test_a_process_ends_while_a_receiver_still_hangs_and_writes_nothing_of_its_own(
    how: str, timeout: int, said: str
) -> None:
    code = (
        "import sys; from deployguard.config import NotifyConfig; from deployguard.notify import *\n"
        f"asked = Notifier(NotifyConfig(('X',), timeout={timeout}), {{'X': sys.argv[1]}})\n"
        "asked.tell(Message('backup-failed', 't', 'x')); print(asked.wait()[0].problem)"
    )
    with Receiver(how) as failing:
        done = subprocess.run(
            [sys.executable, "-c", code, failing.url],
            env=os.environ,
            capture_output=True,
            text=True,
            check=True,
        )
    assert said in done.stdout
    assert done.stderr == ""
