"""The gist of a step's evidence: the few words that people want beside it; all of it is in the journal."""

from collections.abc import Mapping
from types import MappingProxyType

from deployguard.formats.words import size
from deployguard.model import Json

# What is shown of which step, in which words; a step that is not here needs none.
_SHOWN: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "checkout": {"ref": "{}", "commit": "{}"},
        "plan": {"risk": "{}"},
        "approve": {"because": "{}"},
        "backup": {"bytes": "{}", "id": "{}"},
        "offsite": {"url": "{}", "skipped": "not copied: {}"},
        "migrate": {"to": "now at {}"},
        "update-app": {"services": "{}"},
        "app-back": {"services": "{}"},
        "schema-ok": {"revision": "at {}"},
        "health": {"detail": "{}"},
        "bake": {"detail": "{}"},
        "commit": {"tag": "tagged {}", "untagged": "no tag: {}"},
        "decide": {"way": "{}"},
        "safety-net": {"bytes": "{}", "id": "{}", "missing": "none: {}"},
        "checkout-ref": {"ref": "{}", "commit": "{}"},
        "emergency-tag": {"tag": "tagged {}", "untagged": "no tag: {}"},
        "stop-app": {"skipped": "not stopped: {}"},
        "downgrade": {"to": "now at {}"},
        "restore": {"backup": "from {}", "kept_as": "the former one is kept as {}"},
        "schema-back": {"revision": "at {}"},
        "health-back": {"detail": "{}"},
    }
)


def gist(step: str, evidence: Mapping[str, Json]) -> str:
    """A few words; an error always."""
    if isinstance(evidence.get("error"), str):
        return str(evidence["error"])
    shown = _SHOWN.get(step, {})
    words = [
        form.format(_word(key, evidence[key])) for key, form in shown.items() if key in evidence
    ]
    return ", ".join(word for word in words if word)


def everything(evidence: Mapping[str, Json]) -> list[str]:
    """All of the evidence, a text for each key."""
    return [
        f"{key.replace('_', ' ')} {_word(key, value)}"
        for key, value in evidence.items()
        if value not in ("", None, [], {})
    ]


def _word(key: str, value: Json) -> str:
    if key == "bytes" and isinstance(value, int):
        return size(value)
    if key == "risk" and value == "none":
        return "nothing pending"
    if key == "services" and isinstance(value, dict):
        return ", ".join(_service(name, done) for name, done in value.items())
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "base"
    return str(value)


def _service(name: str, done: Json) -> str:
    """How a service was updated, and for how many seconds nobody served."""
    said = done if isinstance(done, dict) else {}
    gap = said.get("gap")
    if said.get("way") == "beside":
        return f"{name} beside the old"
    return f"{name} recreated, {f'{gap} s gap' if isinstance(gap, int | float) else 'gap unknown'}"
