"""The last step of a deploy: write down what is in service and what was before it, and tag the commit.

The deploy has succeeded by then. Nothing here may take it back: what cannot be found out or made is told.
"""

from collections.abc import Mapping
from typing import Final

from deployguard.deploy import names, slots, source
from deployguard.deploy.run import Run, mapping
from deployguard.deploy.step import Evidence
from deployguard.errors import DeployguardError
from deployguard.model import Json

TAG: Final = "deployguard-{run}"  # in git, on the commit that a deploy put in service


def commit(run: Run) -> Evidence:
    """The deploy counts from here on; a later rollback is a decision of people."""
    slots.drop(run, "the deploy was committed")
    return _images(run) | _tag(run)


def _images(run: Run) -> Evidence:
    """Service → image, its digest and its names; of what is in service, and of what was."""
    now = mapping(run.of(names.UPDATE_APP), "images")
    if not now or run.world.image is None:
        return {}
    before = mapping(run.of(names.ARM), "images")
    return {"images": _described(run, now), "previous": _described(run, before)}


def _described(run: Run, images: Mapping[str, Json]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for service, image in images.items():
        try:
            known = run.world.image(str(image)) if run.world.image else {}
        except (DeployguardError, OSError) as error:
            run.world.reporter.note(f"The image of {service} could not be looked at: {error}")
            known = {}
        found[service] = {"image": image, **known}
    return found


def _tag(run: Run) -> Evidence:
    named = source.named(run.deploy.options)
    if named is None:
        return source.working_copy(run)
    tag = TAG.format(run=run.id)
    evidence: Evidence = {"ref": named.ref, "commit": named.commit}
    try:
        source.commits(run.world).tag(tag, named.commit)
    except (DeployguardError, OSError) as error:
        why = str(error)
        by_hand = f"git tag {tag} {named.commit}"
        run.world.reporter.note(
            f"The deploy stands, but its commit has no tag: {why} Type: {by_hand}"
        )
        return evidence | {"untagged": why}
    return evidence | {"tag": tag}
