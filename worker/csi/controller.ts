/** What managers ask of a driver's controller on this node. */
import { Controller } from '../../gen/csi/csi_pb.js';
import { unreachable } from '../../lib/assert.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { CsiReply, CsiRequest, VolumeInfo } from '../../types/index.ts';
import { capabilityOf, requirementOf } from './capability.ts';
import type { CsiDriver } from './driver.ts';
import type { CsiDrivers } from './drivers.ts';

/** Throws what the driver says, or `unavailable` where it is not here. */
export async function callController(
  drivers: Pick<CsiDrivers, 'get'>,
  request: CsiRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<CsiReply> {
  const driver = await drivers.get(request.driver);
  switch (request.method) {
    case 'create':
      return { info: await create(driver, request, signal) };
    case 'delete': {
      const { volumeId, secrets } = request;
      const asked = { volumeId, secrets: { ...secrets } };
      await driver.ask(Controller, (client, options) => client.deleteVolume(asked, options), {
        signal,
      });
      return {};
    }
    case 'publish':
      return publish(driver, request, signal);
    case 'unpublish': {
      // Such a driver lets every node mount what it likes: it can take nothing from one.
      if (!driver.capabilities.publishes) return { isFenced: false };
      const { volumeId, csiNodeId: nodeId, secrets } = request;
      const asked = { volumeId, nodeId, secrets: { ...secrets } };
      await driver.ask(
        Controller,
        (client, options) => client.controllerUnpublishVolume(asked, options),
        { signal },
      );
      return { isFenced: true };
    }
    default:
      return unreachable(request);
  }
}

async function create(
  driver: CsiDriver,
  request: CsiRequest & { readonly method: 'create' },
  signal: AbortSignal,
): Promise<VolumeInfo> {
  const { name, spec, parameters, secrets } = request;
  const { makes, hasTopology } = driver.capabilities;
  if (!makes) {
    throw new SwarmError('failed-precondition', `${driver.name}: the driver makes no volumes`);
  }
  const requirement = requirementOf(spec);
  if (requirement !== undefined && !hasTopology) {
    throw new SwarmError(
      'failed-precondition',
      `${driver.name}: the driver knows of no topologies: leave --topology-required and ` +
        '--topology-preferred out',
    );
  }
  const { requiredBytes = 0, limitBytes = 0 } = spec.capacityRange ?? {};
  const access = spec.accessMode ?? { scope: 'single', sharing: 'none' };
  const asked = {
    name,
    parameters: { ...parameters },
    secrets: { ...secrets },
    volumeCapabilities: [capabilityOf(access)],
    ...(requirement === undefined ? {} : { accessibilityRequirements: requirement }),
    ...(requiredBytes + limitBytes === 0
      ? {}
      : {
          capacityRange: {
            requiredBytes: BigInt(requiredBytes),
            limitBytes: BigInt(limitBytes),
          },
        }),
  };
  const { volume } = await driver.ask(
    Controller,
    (client, options) => client.createVolume(asked, options),
    { signal },
  );
  if (volume === undefined || volume.volumeId === '') {
    throw new SwarmError('internal', `${driver.name}: the driver does not tell what it has made`);
  }
  const { volumeId, capacityBytes, volumeContext, accessibleTopology } = volume;
  return {
    volumeId,
    capacityBytes: Number(capacityBytes),
    ...(Object.keys(volumeContext).length === 0 ? {} : { volumeContext }),
    ...(accessibleTopology.length === 0
      ? {}
      : { accessibleTopology: accessibleTopology.map(({ segments }) => ({ segments })) }),
  };
}

/** A driver that publishes nothing lets every node mount its volumes as they are. */
async function publish(
  driver: CsiDriver,
  request: CsiRequest & { readonly method: 'publish' },
  signal: AbortSignal,
): Promise<CsiReply> {
  if (!driver.capabilities.publishes) return { publishContext: {} };
  const { volumeId, csiNodeId: nodeId, accessMode, volumeContext, secrets } = request;
  const asked = {
    volumeId,
    nodeId,
    volumeCapability: capabilityOf(accessMode),
    // Readers and writers may share it: each mount tells whether it writes.
    readonly: false,
    secrets: { ...secrets },
    volumeContext: { ...volumeContext },
  };
  const { publishContext } = await driver.ask(
    Controller,
    (client, options) => client.controllerPublishVolume(asked, options),
    { signal },
  );
  return { publishContext };
}
