"""A small application behind nginx, in containers: a web service, a worker, and one that cannot be doubled."""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field

from deployguard.config import RollingConfig
from deployguard.containers import Engine
from deployguard.targets import ComposeTarget
from tests.support.docker import ROOT
from tests.support.load import Load
from tests.support.postgres import free_port
from tests.support.projects import Project

SERVER = """
import http.server, os, signal, sys, threading, time

said = open("/said").read().strip()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(0.05)  # so that something is always under way
        self.send_response(503 if "bad" in said else 200)
        self.end_headers()
        self.wfile.write(said.encode())

    do_POST = do_GET

    def log_message(self, *_):
        pass

time.sleep(1)  # an application needs a moment
server = http.server.ThreadingHTTPServer(("", 8000), Handler)
server.daemon_threads = False  # they are waited for

def end(*_):
    threading.Thread(target=server.shutdown).start()

signal.signal(signal.SIGTERM, end)
print("serving", said, flush=True)
server.serve_forever()
server.server_close()
"""
WORKER = """
import signal, sys, time

def end(*_):
    print("finishing", flush=True)
    time.sleep(2)
    print("finished", flush=True)
    open("/done/finished", "a").write(open("/said").read())
    sys.exit()

signal.signal(signal.SIGTERM, end)
while True:
    time.sleep(1)
"""
FILE = """
services:
  nginx:
    image: nginx:1.22
    volumes:
      - ./nginx.conf:/etc/nginx/conf.d/default.conf:ro
      - ./upstream:/etc/nginx/upstream:ro
    ports: ["127.0.0.1:@PORT:80"]
    depends_on: [web]
  web:
    image: "@PROJECT:latest"
    command: [python, /server.py]
    environment: {CHANGED: "${CHANGED:-}"}
    volumes: ["./server.py:/server.py:ro"]
    init: true
    stop_grace_period: 20s
    deploy: {replicas: 2}
    healthcheck:
      test: [CMD, python, -c, "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/')"]
      interval: 1s
      timeout: 10s
      retries: 4
      start_period: 1s
  worker:
    image: "@PROJECT:latest"
    command: [python, /worker.py]
    volumes: ["./worker.py:/worker.py:ro", "./done:/done"]
    init: true
    stop_grace_period: 30s
  alone:
    image: "@PROJECT:latest"
    container_name: "@PROJECT-alone"
    command: [sleep, "600"]
    init: true
    stop_grace_period: 3s
"""


@dataclass
class Served:
    """The project, what its target is, and the clients of it."""

    project: Project
    engine: Engine
    port: int = field(default_factory=free_port)
    told: list[str] = field(default_factory=list)

    def set_up(self) -> None:
        folder = self.project.folder
        (folder / "server.py").write_text(SERVER)
        (folder / "worker.py").write_text(WORKER)
        for name in ("upstream", "done"):
            (folder / name).mkdir()
        shutil.copy(ROOT / "migrations_fixtures/bookings/deploy/nginx.conf", folder)
        self.project.write(FILE.replace("@PORT", str(self.port)))

    @property
    def reload(self) -> tuple[str, ...]:
        file = str(self.project.folder / "docker-compose.prod.yml")
        compose = ("docker", "compose", "-p", self.project.name, "-f", file)
        return (*compose, "exec", "-T", "nginx", "nginx", "-s", "reload")

    def web(self, **changes: object) -> RollingConfig:
        given: dict[str, object] = {
            "upstream_file": "upstream/web.conf",
            "upstream_line": "~{share} {name}:8000;",
            "switch": (self.reload,),
            "drain": 3,
        }
        return RollingConfig("web", **(given | changes))  # type: ignore[arg-type]

    def target(
        self,
        *services: str,
        rolling: tuple[RollingConfig, ...] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> ComposeTarget:
        named = services or ("web",)
        both = (self.web(), RollingConfig("worker", shares_volumes=True))
        given = tuple(one for one in both if one.service in named) if rolling is None else rolling
        compose = self.project.compose(*named, rolling=given)
        state = self.project.folder / "state"
        return ComposeTarget(compose, self.engine, state, None, on_line or self.told.append)

    def load(self) -> Load:
        """Two clients that read and one that writes."""
        url = f"http://127.0.0.1:{self.port}/"
        reads = lambda _: urllib.request.Request(url)  # noqa: E731
        writes = lambda n: urllib.request.Request(url, data=str(n).encode())  # noqa: E731
        return Load((reads, reads, writes), keep_bodies=True)

    def names(self, service: str = "web") -> list[str]:
        """All containers of a service, also those that do not run, by number."""
        found = self.engine.service_containers(self.project.name, service, stopped=True)
        return [one.name.removeprefix(f"{self.project.name}-") for one in found]

    def upstream(self) -> list[str]:
        """Whom the proxy's file names."""
        text = (self.project.folder / "upstream/web.conf").read_text()
        ends = [line.split()[1].removesuffix(":8000;") for line in text.splitlines()]
        return [end.removeprefix(f"{self.project.name}-") for end in ends]

    def images(self, service: str = "web") -> set[str]:
        found = self.engine.service_containers(self.project.name, service, stopped=True)
        return {one.image for one in found}
