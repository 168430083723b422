"""How the child is started is a plain list of words, and no secret is among them."""

from __future__ import annotations

from deployguard.revisions.launcher import Compose, Local

WANTED = {"DATABASE_URL": "postgresql://dummy", "TOKEN": "hunter2"}
OUTER = {
    "PATH": "/bin",
    "HOME": "/root",
    "LC_ALL": "C",
    "SECRET": "hunter2",
    "DATABASE_URL": "real",
}


def test_the_local_child_is_the_interpreter_with_a_bare_environment() -> None:
    local = Local(("uv", "run", "python"))
    assert local.argv("CODE", WANTED) == ["uv", "run", "python", "-c", "CODE"]
    assert local.environment(WANTED, OUTER) == {
        "PATH": "/bin",
        "HOME": "/root",
        "LC_ALL": "C",
        **WANTED,
    }


def test_the_compose_child_is_a_container_that_names_its_variables() -> None:
    compose = Compose(("docker", "compose", "-f", "prod.yml"), "migration")
    assert compose.argv("CODE", WANTED) == [
        *("docker", "compose", "-f", "prod.yml", "--profile", "migration"),
        *("run", "--rm", "-T", "--no-deps", "-e", "DATABASE_URL", "-e", "TOKEN"),
        *("--entrypoint", "python", "migration", "-c", "CODE"),
    ]
    assert compose.environment(WANTED, OUTER) == {**OUTER, **WANTED}
