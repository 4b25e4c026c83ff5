/** Host-mode ports of tasks: what attachments ask for, and the words in which it is refused. */
import { assert } from '../../../lib/assert.ts';
import { SwarmError } from '../../../lib/errors.ts';
import type { PortConfig } from '../../../types/index.ts';
import type { AttachmentRecord } from '../attachments.ts';
import type { PublishedPort } from './hold.ts';
import type { Conflict, PortPublisher, PublisherOptions } from './publisher.ts';

const dynamic = { first: 30_000, last: 32_767 } as const;

export const taskPortOptions: PublisherOptions = { dynamic, rotates: false, refusal };

export class TaskPorts {
  readonly #publisher: PortPublisher;
  readonly #meshOwner: (port: PortConfig) => string | undefined;

  /** `meshOwner`: the service that has the port of every node of the swarm, where one has. */
  constructor(
    publisher: PortPublisher,
    meshOwner: (port: PortConfig) => string | undefined = () => undefined,
  ) {
    this.#publisher = publisher;
    this.#meshOwner = meshOwner;
  }

  adopt(records: Iterable<AttachmentRecord>): Promise<void> {
    return this.#publisher.adopt(
      Iterator.from(records).map(({ containerId: id, address, ports }) => ({
        id,
        ports: ports.flatMap(placesOf),
        addresses: address === undefined ? [] : [address],
      })),
    );
  }

  /**
   * The record with its ports as bound; those left open are chosen. They lead nowhere yet. Throws
   * SwarmError `already-exists`, `resource-exhausted`, and `failed-precondition` for what the kernel
   * cannot translate.
   */
  async take(record: AttachmentRecord): Promise<AttachmentRecord> {
    const { containerId, ports } = record;
    if (ports.length === 0) return record;
    for (const port of ports) this.#refuseMeshs(port);
    const bound = await this.#publisher.publish(
      containerId,
      [],
      ports.map(({ protocol, targetPort: containerPort, publishedPort: first = 0 }) => ({
        protocol,
        containerPort,
        hostIp: '',
        first,
        last: first,
      })),
    );
    // Each on every address of the host, and those of IPv4 are always among them.
    const numbers = bound.filter(({ hostIp }) => hostIp === anywhere);
    return {
      ...record,
      ports: ports.map((port, index) => {
        const publishedPort = numbers[index]?.hostPort;
        assert(publishedPort !== undefined, 'every port is bound');
        return { ...port, publishedPort };
      }),
    };
  }

  /** The container is on the bridge, at this address. */
  lead({ containerId, address }: AttachmentRecord): void {
    if (address !== undefined) this.#publisher.move(containerId, [address]);
  }

  release(containerId: string): Promise<void> {
    return this.#publisher.withdraw(containerId);
  }

  #refuseMeshs(port: PortConfig): void {
    const owner = this.#meshOwner(port);
    if (owner === undefined) return;
    throw new SwarmError(
      'already-exists',
      `port ${port.publishedPort}/${port.protocol} of this host is published by the service ` +
        `${owner} on every node: publish another port`,
    );
  }
}

const anywhere = '0.0.0.0';

/** A record says nothing of the host's addresses: they are all of them, of both families. */
function placesOf({ protocol, targetPort, publishedPort }: PortConfig): readonly PublishedPort[] {
  if (publishedPort === undefined) return [];
  const port = { protocol, containerPort: targetPort, hostPort: publishedPort };
  return [anywhere, '::'].map((hostIp) => ({ ...port, hostIp }));
}

function refusal({ kind, request: { protocol }, hostPort, owner, cause }: Conflict): SwarmError {
  if (kind === 'full') {
    return new SwarmError(
      'resource-exhausted',
      `every port from ${dynamic.first} to ${dynamic.last} of this host is published, or in use ` +
        'by another program',
    );
  }
  const who =
    owner === undefined
      ? 'is in use by another program: stop it or publish another port'
      : `is already published by ${owner}`;
  return new SwarmError('already-exists', `port ${hostPort}/${protocol} of this host ${who}`, {
    cause,
  });
}
