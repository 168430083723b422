"""What the application runs, as the journal keeps it."""

from deployguard.deploy.run import mapping
from deployguard.deploy.step import Evidence
from deployguard.model import Release


def release_document(release: Release) -> Evidence:
    """The evidence of a step that looked at, or changed, what the application runs."""
    document: Evidence = {
        "images": dict(release.images),
        "references": dict(release.references),
    }
    if release.containers:
        document["containers"] = {key: list(ids) for key, ids in release.containers.items()}
    if release.digests:
        document["digests"] = dict(release.digests)
    if release.details:
        document["services"] = dict(release.details)
    return document


def release_in(evidence: Evidence) -> Release:
    """The release that a step has recorded."""
    return Release(
        {key: str(value) for key, value in mapping(evidence, "images").items()},
        {key: str(value) for key, value in mapping(evidence, "references").items()},
        {
            key: tuple(str(one) for one in ids)
            for key, ids in mapping(evidence, "containers").items()
            if isinstance(ids, list)
        },
        {key: str(value) for key, value in mapping(evidence, "digests").items()},
    )
