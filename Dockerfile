# A node of a swarm as a container: the daemon, its containerd, and what they need of Debian.
# It runs containers of its own, and so needs --privileged and a volume at /var/lib/ts-swarm.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS package
WORKDIR /src
COPY package.json package-lock.json ./
COPY raft/package.json raft/
# The lock file names the packages of the platforms that were there when it was written, which
# 'npm ci' takes for a fault; this takes the same versions from it.
RUN npm install --no-save --no-audit --no-fund
COPY . .
RUN npm pack --pack-destination /tmp

FROM ${BASE}
COPY scripts/setup /usr/local/share/ts-swarm/scripts/setup
RUN sh /usr/local/share/ts-swarm/scripts/setup --node && rm -rf /var/lib/apt/lists/*
COPY --from=package /tmp/ts-swarm-*.tgz /tmp/
RUN npm install --global --no-audit --no-fund /tmp/ts-swarm-*.tgz && rm /tmp/ts-swarm-*.tgz
COPY packaging/container/node /usr/local/bin/ts-swarm-node
VOLUME /var/lib/ts-swarm
EXPOSE 2377/tcp 2377/udp 4789/udp
ENTRYPOINT ["tini-static", "--", "ts-swarm-node"]
