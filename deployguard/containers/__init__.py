"""Docker: what containers and images there are, and compose commands; the only room that imports docker."""

from deployguard.containers.compose import Compose, ComposeProject, Service, compose_argv
from deployguard.containers.container import Container, Reference
from deployguard.containers.engine import Engine
from deployguard.containers.find import find_address, find_container
from deployguard.containers.logs import Log

__all__ = [
    "Compose",
    "ComposeProject",
    "Container",
    "Engine",
    "Log",
    "Reference",
    "Service",
    "compose_argv",
    "find_address",
    "find_container",
]
