"""docker-py on one node, driven by library-cases.ts: python3 docker-py-node.py SOCKET IMAGE."""

import io
import sys
import tarfile
import time

import docker

socket, image = sys.argv[1:]
client = docker.DockerClient(base_url=socket, timeout=120)
began = int(time.time()) - 1


def until(probe):
    end = time.monotonic() + 120
    while not probe():
        if time.monotonic() > end:
            raise TimeoutError(probe)
        time.sleep(0.1)


def tar_of(name, content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        about = tarfile.TarInfo(name)
        about.size = len(content)
        tar.addfile(about, io.BytesIO(content))
    return out.getvalue()


# Images: pulled, looked at, tagged, saved, loaded, built and removed.
repository, tag = image.rsplit(":", 1)
pulled = client.images.pull(repository, tag=tag)
assert image in pulled.tags and client.images.get(image).id == pulled.id
assert pulled.history()[0]["Id"] == pulled.id
assert pulled.tag("py-named", tag="2")
assert client.images.get("py-named:2").id == pulled.id
pulled.reload()
saved = b"".join(pulled.save(named="py-named:2"))
client.images.remove("py-named:2")
assert client.images.load(saved)[0].tags.count("py-named:2") == 1
dockerfile = f"FROM {image}\nARG WORD\nRUN echo $WORD >/made\nLABEL by=py\n".encode()
built, lines = client.images.build(
    fileobj=io.BytesIO(dockerfile), tag="py-built:1", buildargs={"WORD": "hello"}, rm=True
)
assert built.labels["by"] == "py"
assert any("Successfully built" in line.get("stream", "") for line in lines)
try:
    client.images.build(fileobj=io.BytesIO(f"FROM {image}\nRUN exit 3\n".encode()), rm=True)
    raise AssertionError("a build went well that could not")
except docker.errors.BuildError as error:
    assert "non-zero code: 3" in str(error), error
assert client.containers.run("py-built:1", ["cat", "/made"], remove=True) == b"hello\n"
try:
    client.images.get("py-nothing:1")
    raise AssertionError("an image is there that is not")
except docker.errors.ImageNotFound:
    pass

# Networks and volumes.
network = client.networks.create("py-net", driver="bridge", labels={"by": "py"})
assert [one.name for one in client.networks.list(filters={"label": "by=py"})] == ["py-net"]
volume = client.volumes.create("py-vol", labels={"by": "py"})
assert client.volumes.get("py-vol").attrs["Driver"] == "local"

# Containers: streams, files, processes, limits and states.
container = client.containers.run(
    image,
    ["sh", "-c", "echo out; echo err >&2; while :; do sleep 1; done"],
    detach=True,
    name="py-box",
    environment={"A": "1"},
    volumes={"py-vol": {"bind": "/data", "mode": "rw"}},
    network="py-net",
    labels={"by": "py"},
    mem_limit="64m",
)
assert container.status == "created"
container.reload()
assert container.status == "running"
assert [one.name for one in client.containers.list(filters={"label": "by=py"})] == ["py-box"]
for line in container.logs(stream=True, follow=True, stdout=True, stderr=False):
    assert line == b"out\n", line
    break
until(lambda: container.logs(stdout=False, stderr=True) == b"err\n")
code, output = container.exec_run(["sh", "-c", "echo $A; echo no >&2; exit 5"], demux=True)
assert (code, output) == (5, (b"1\n", b"no\n")), (code, output)
_, chunks = container.exec_run(["sh", "-c", "for i in 1 2 3; do echo $i; done"], stream=True)
assert b"".join(chunks) == b"1\n2\n3\n"
assert container.put_archive("/data", tar_of("file", b"a word"))
stream, about = container.get_archive("/data/file")
assert about["name"] == "file" and about["size"] == 6
with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
    assert tar.extractfile("file").read() == b"a word"
assert container.exec_run(["cat", "/data/file"]).output == b"a word"
assert container.exec_run(["sh", "-c", "echo x >/new"]).exit_code == 0
assert {"Path": "/new", "Kind": 1} in container.diff()
assert container.top()["Titles"][-1] in ("CMD", "COMMAND")
assert container.stats(stream=False)["memory_stats"]["limit"] == 64 * 2**20
container.update(mem_limit="96m", memswap_limit="96m")
container.reload()
assert container.attrs["HostConfig"]["Memory"] == 96 * 2**20
container.pause()
container.reload()
assert container.status == "paused"
container.unpause()
container.rename("py-case")
assert client.containers.get("py-case").id == container.id
made = container.commit(repository="py-commit", tag="1")
assert client.images.get("py-commit:1").id == made.id
container.kill(signal="KILL")
assert container.wait()["StatusCode"] == 137
container.start()
container.restart(timeout=0)
network.disconnect(container)
network.reload()
assert network.containers == []
container.stop(timeout=0)
container.remove(v=True)
try:
    client.containers.get("py-case")
    raise AssertionError("a removed container is still there")
except docker.errors.NotFound:
    pass
network.remove()
volume.remove()
for name in ("py-named:2", "py-built:1", "py-commit:1"):
    client.images.remove(name, force=True)

# Secrets, configs, and what was told of all this.
secret = client.secrets.create(name="py-secret", data=b"s3cret", labels={"by": "py"})
assert client.secrets.get(secret.id).name == "py-secret"
config = client.configs.create(name="py-config", data=b"setting", labels={"by": "py"})
assert [one.name for one in client.configs.list(filters={"label": "by=py"})] == ["py-config"]
secret.remove()
config.remove()
wanted = {
    ("container", "create"),
    ("container", "start"),
    ("container", "pause"),
    ("container", "rename"),
    ("container", "die"),
    ("container", "destroy"),
    ("network", "connect"),
    ("network", "create"),
    ("volume", "create"),
    ("image", "tag"),
    ("image", "save"),
    ("secret", "create"),
    ("config", "remove"),
}


def actions():
    told = client.events(since=began, until=int(time.time()) + 1, decode=True)
    return {(one["Type"], one["Action"]) for one in told}


until(lambda: wanted <= actions())
assert client.info()["Swarm"]["LocalNodeState"] == "active"
assert client.version()["Os"] == "linux"
assert client.df()["Images"]
print("all is well")
