"""The main path of docker-py, driven by library-cases.ts: python3 docker-py.py SOCKET IMAGE."""

import sys
import time

import docker

socket, image = sys.argv[1:]
client = docker.DockerClient(base_url=socket, timeout=120)


def until(probe):
    end = time.monotonic() + 120
    while not probe():
        if time.monotonic() > end:
            raise TimeoutError(probe)
        time.sleep(0.1)


assert client.ping()
assert client.swarm.attrs["JoinTokens"]["Worker"].startswith("SWMTKN-1-")
nodes = client.nodes.list()
assert sorted(node.attrs["Description"]["Hostname"] for node in nodes) == ["h1", "h2", "h3"]
assert len(client.nodes.list(filters={"role": "manager"})) == 1

service = client.services.create(
    image,
    name="snake",
    env=["LINES=3"],
    labels={"a": "b"},
    mode=docker.types.ServiceMode("replicated", replicas=2),
    constraints=["node.platform.os==linux"],
    restart_policy=docker.types.RestartPolicy(condition="any", delay=200_000_000),
)


def running():
    tasks = service.tasks(filters={"desired-state": "running"})
    return [task for task in tasks if task["Status"]["State"] == "running"]


until(lambda: len(running()) == 2)
until(lambda: len(b"".join(service.logs(stdout=True)).splitlines()) == 6)
assert b"line 3 of" in b"".join(service.logs(stdout=True, tail=1))
assert [found.name for found in client.services.list(filters={"label": "a=b"})] == ["snake"]
assert client.services.get("snake").id == service.id

assert service.scale(3)
until(lambda: len(running()) == 3)
service.reload()
service.update(env=["LINES=1"], labels={"a": "c"}, fetch_current_spec=True)
service.reload()
assert service.attrs["Spec"]["Labels"] == {"a": "c"}
assert service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["LINES=1"]

try:
    client.services.create(image, name="snake")
    raise AssertionError("a name was taken twice")
except docker.errors.APIError as error:
    assert error.status_code == 409, error.status_code
    assert "name conflicts with an existing object" in error.explanation

service.remove()
try:
    client.services.get("snake")
    raise AssertionError("a removed service is still there")
except docker.errors.NotFound:
    print("all is well")
