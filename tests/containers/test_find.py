"""A host name of a compose network leads to an address that answers here, and never to a wrong one."""

import pytest

from deployguard.containers import Container, Engine, find_address, find_container
from deployguard.containers.find import addresses, candidates
from deployguard.errors import EnvironmentUnreachable
from tests.support.projects import Project


def container(name: str, project: str, networks: dict[str, tuple[str, ...]]) -> Container:
    return Container(
        id=name,
        name=name,
        image="sha256:1",
        reference="postgres:15",
        status="running",
        code=None,
        started="",
        health="",
        labels={"com.docker.compose.project": project} if project else {},
        addresses=dict.fromkeys(networks, "172.18.0.2"),
        names=networks,
        published={},
    )


SHOP = container("shop-db-1", "shop", {"shop_back": ("shop-db-1", "db")})
SHOP_WEB = container("shop-web-1", "shop", {"shop_back": ("web",), "shared": ("web",)})
BLOG = container("blog-db-1", "blog", {"blog_back": ("blog-db-1", "db")})
COMMON = container("pg", "infra", {"shared": ("pg", "postgres"), "private": ("hidden",)})
ALL = (SHOP, SHOP_WEB, BLOG, COMMON)


def test_the_name_is_looked_up_in_the_project_only() -> None:
    assert candidates(ALL, "db", "shop") == (SHOP,)
    assert candidates(ALL, "db", "blog") == (BLOG,)


def test_a_shared_network_leads_to_another_projects_database() -> None:
    assert candidates(ALL, "postgres", "shop") == (COMMON,)


def test_a_network_that_the_project_is_not_on_does_not_count() -> None:
    assert candidates(ALL, "hidden", "shop") == ()
    assert candidates(ALL, "postgres", "blog") == ()


def test_without_a_project_an_ambiguous_name_is_an_error_that_names_both() -> None:
    with pytest.raises(EnvironmentUnreachable, match=r"blog, shop.*project_name"):
        candidates(ALL, "db", None)
    assert candidates(ALL, "postgres", None) == (COMMON,)


def test_a_published_port_is_tried_first() -> None:
    import dataclasses

    published = dataclasses.replace(SHOP, published={"5432/tcp": ("127.0.0.1", 6000)})
    assert addresses(published, 5432) == (("127.0.0.1", 6000), ("172.18.0.2", 5432))
    assert addresses(published, 5433) == (("172.18.0.2", 5433),)


@pytest.mark.docker
def test_a_port_that_is_not_published_is_reached(compose_project: Project, engine: Engine) -> None:
    compose_project.write("""
services:
  api:
    image: "@BASE"
    command: [python3, -m, http.server, "8000"]
    networks: {back: {aliases: [inner-api]}}
networks: {back: {}}
""")
    compose_project.call("up", "-d")
    name = compose_project.name

    def reach(host: str, port: int = 8000) -> tuple[str, int] | None:
        for _ in range(50):
            if found := find_address(engine, host, port, name):
                return found
        return None

    import http.client

    for host in ("api", "inner-api", f"{name}-api-1"):
        address = reach(host)
        assert address is not None, host
        connection = http.client.HTTPConnection(*address, timeout=5)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
    assert find_address(engine, "api", 8001, name) is None
    assert find_address(engine, "elsewhere", 8000, name) is None
    found = find_container(engine, "api", name)
    assert found is not None
    assert (found.service, found.project) == ("api", name)
