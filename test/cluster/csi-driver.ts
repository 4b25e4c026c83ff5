/**
 * A CSI driver as vendors write them: volumes are folders below DIRECTORY, which all hosts share,
 * and nodes mount them by a bind. `csi-driver.ts SOCKET DIRECTORY NODE [ZONE [NAME]]`; one of
 * another
 * name than shared.test lets every node mount what it likes. Who has what published is
 * kept in DIRECTORY, as an array of disks would know it: what must never be is noted in
 * DIRECTORY/violations, and refused. A volume with the option `fail` is made only once
 * DIRECTORY/repaired is there; one with the option `zone` is reached from that zone alone; one with
 * the option `token` asks for it as a secret of that name.
 */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import { Server, ServerCredentials, status, type ServiceDefinition } from '@grpc/grpc-js';
import {
  Controller,
  ControllerServiceCapability_RPC_Type as ControllerRpc,
  Identity,
  Node,
  NodeServiceCapability_RPC_Type as NodeRpc,
  PluginCapability_Service_Type as Service,
  VolumeCapability_AccessMode_Mode as Mode,
  type CreateVolumeRequest,
  type ControllerPublishVolumeRequest,
  type ControllerUnpublishVolumeRequest,
  type NodePublishVolumeRequest,
  type NodeStageVolumeRequest,
  type NodeUnpublishVolumeRequest,
  type NodeUnstageVolumeRequest,
  type VolumeCapability,
} from '../../gen/csi/csi_pb.js';
import { definitionOf } from '../../lib/grpc/service.ts';
import { isMounted } from '../../lib/mount-table.ts';

const fencing = 'shared.test';
const [, , socket = '', directory = '', nodeId = '', zone = '', name = fencing] = process.argv;
const publishes = name === fencing;
const inDirectory = (...parts: string[]) => join(directory, ...parts);
for (const part of ['volumes', 'published']) mkdirSync(inDirectory(part), { recursive: true });

class Refusal extends Error {
  readonly code: status;
  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

function note(what: string): void {
  appendFileSync(inDirectory('calls'), `${nodeId} ${what}\n`);
}

function violation(what: string): Refusal {
  appendFileSync(inDirectory('violations'), `${what}\n`);
  return new Refusal(status.FAILED_PRECONDITION, what);
}

/** The nodes that the array lets at the volume. */
function publishedTo(volumeId: string): readonly string[] {
  const folder = inDirectory('published', volumeId);
  return existsSync(folder) ? readdirSync(folder) : [];
}

function modeOf(capability: VolumeCapability | undefined): Mode {
  return capability?.accessMode?.mode ?? Mode.UNKNOWN;
}

const isSingle = (mode: Mode) =>
  mode === Mode.SINGLE_NODE_WRITER || mode === Mode.SINGLE_NODE_READER_ONLY;

function createVolume(request: CreateVolumeRequest) {
  const { parameters, secrets, capacityRange, name: id } = request;
  note(`CreateVolume ${id}`);
  if (parameters['fail'] !== undefined && !existsSync(inDirectory('repaired'))) {
    throw new Refusal(status.INTERNAL, `told to fail: ${parameters['fail']}`);
  }
  const { token } = parameters;
  if (token !== undefined && secrets['token'] !== token) {
    throw new Refusal(status.UNAUTHENTICATED, 'the token is wrong');
  }
  mkdirSync(inDirectory('volumes', id), { recursive: true });
  const topologies = request.accessibilityRequirements?.requisite ?? [];
  const zones = parameters['zone'] === undefined ? topologies : [zoned(parameters['zone'])];
  return {
    volume: {
      volumeId: id,
      capacityBytes: capacityRange?.requiredBytes ?? 0n,
      volumeContext: { made: nodeId },
      accessibleTopology: zones,
    },
  };
}

function zoned(value: string) {
  return { segments: { zone: value } };
}

function controllerPublish(request: ControllerPublishVolumeRequest) {
  const { volumeId, nodeId: to, volumeCapability } = request;
  const mode = modeOf(volumeCapability);
  note(`ControllerPublishVolume ${volumeId} ${to}`);
  const others = publishedTo(volumeId).filter((node) => node !== to);
  if (isSingle(mode) && others.length > 0) {
    throw violation(`${volumeId} is to be published to ${to}, and is to ${others.join()}`);
  }
  mkdirSync(inDirectory('published', volumeId), { recursive: true });
  writeFileSync(inDirectory('published', volumeId, to), String(mode));
  return { publishContext: { lun: `${volumeId}-${to}` } };
}

function controllerUnpublish({ volumeId, nodeId: from }: ControllerUnpublishVolumeRequest) {
  note(`ControllerUnpublishVolume ${volumeId} ${from}`);
  rmSync(inDirectory('published', volumeId, from), { force: true });
  return {};
}

function deleteVolume({ volumeId }: { volumeId: string }) {
  note(`DeleteVolume ${volumeId}`);
  if (publishedTo(volumeId).length > 0) throw violation(`${volumeId} is deleted while published`);
  rmSync(inDirectory('volumes', volumeId), { recursive: true, force: true });
  return {};
}

function stage(request: NodeStageVolumeRequest) {
  const { volumeId, publishContext, volumeContext, stagingTargetPath } = request;
  note(`NodeStageVolume ${volumeId}`);
  const isLun = !publishes || publishContext['lun'] === `${volumeId}-${nodeId}`;
  if (!isLun || volumeContext['made'] === undefined) {
    throw violation(`${volumeId} is staged on ${nodeId} with the wrong contexts`);
  }
  if (publishes && !publishedTo(volumeId).includes(nodeId)) {
    throw violation(`${volumeId} is staged on ${nodeId}, which it is not published to`);
  }
  if (!isBlock(request)) bind(inDirectory('volumes', volumeId), stagingTargetPath);
  return {};
}

function publish(request: NodePublishVolumeRequest) {
  const { volumeId, stagingTargetPath, targetPath, readonly } = request;
  note(`NodePublishVolume ${volumeId}${readonly ? ' readonly' : ''}`);
  if (isBlock(request)) {
    if (!existsSync(targetPath)) execFileSync('mknod', [targetPath, 'b', '7', '200']);
    return {};
  }
  if (!isMounted(stagingTargetPath)) throw violation(`${volumeId} is published unstaged`);
  mkdirSync(targetPath, { recursive: true });
  bind(stagingTargetPath, targetPath);
  return {};
}

function unpublish({ volumeId, targetPath }: NodeUnpublishVolumeRequest) {
  note(`NodeUnpublishVolume ${volumeId}`);
  unbind(targetPath);
  if (existsSync(targetPath)) {
    if (statSync(targetPath).isDirectory()) rmdirSync(targetPath);
    else rmSync(targetPath);
  }
  return {};
}

function unstage({ volumeId, stagingTargetPath }: NodeUnstageVolumeRequest) {
  note(`NodeUnstageVolume ${volumeId}`);
  unbind(stagingTargetPath);
  return {};
}

/** A disk: its node stands for it, and has no content here. */
function isBlock({
  volumeCapability,
}: {
  volumeCapability?: VolumeCapability | undefined;
}): boolean {
  return volumeCapability?.accessType.case === 'block';
}

function bind(from: string, to: string): void {
  if (!isMounted(to)) execFileSync('mount', ['--bind', from, to]);
}

function unbind(path: string): void {
  if (isMounted(path)) execFileSync('umount', [path]);
}

type Answers = Record<string, (request: never) => object>;

const rpc = (type: number) => ({ type: { case: 'rpc' as const, value: { type } } });
const service = (type: Service) => ({ type: { case: 'service' as const, value: { type } } });

const identity: Answers = {
  getPluginInfo: () => ({ name, vendorVersion: '1' }),
  getPluginCapabilities: () => ({
    capabilities: [
      service(Service.CONTROLLER_SERVICE),
      service(Service.VOLUME_ACCESSIBILITY_CONSTRAINTS),
    ],
  }),
  probe: () => ({}),
};
const controller: Answers = {
  createVolume,
  deleteVolume,
  controllerPublishVolume: controllerPublish,
  controllerUnpublishVolume: controllerUnpublish,
  controllerGetCapabilities: () => ({
    capabilities: [
      rpc(ControllerRpc.CREATE_DELETE_VOLUME),
      ...(publishes ? [rpc(ControllerRpc.PUBLISH_UNPUBLISH_VOLUME)] : []),
    ],
  }),
};
const node: Answers = {
  nodeStageVolume: stage,
  nodeUnstageVolume: unstage,
  nodePublishVolume: publish,
  nodeUnpublishVolume: unpublish,
  nodeGetCapabilities: () => ({ capabilities: [rpc(NodeRpc.STAGE_UNSTAGE_VOLUME)] }),
  nodeGetInfo: () => ({
    nodeId,
    maxVolumesPerNode: 4n,
    ...(zone === '' ? {} : { accessibleTopology: zoned(zone) }),
  }),
};

function serve(server: Server, desc: DescService, answers: Answers): void {
  const methods = desc.methods.map((method) => [method.localName, definitionOf(method)]);
  const handlers = desc.methods.map(({ localName }) => [
    localName,
    (call: { request: never }, callback: (error: unknown, reply?: object) => void) => {
      try {
        callback(null, answers[localName]?.(call.request) ?? {});
      } catch (error) {
        const code = error instanceof Refusal ? error.code : status.INTERNAL;
        callback({ code, details: error instanceof Error ? error.message : String(error) });
      }
    },
  ]);
  server.addService(
    Object.fromEntries(methods) as ServiceDefinition,
    Object.fromEntries(handlers) as never,
  );
}

const server = new Server();
serve(server, Identity, identity);
serve(server, Controller, controller);
serve(server, Node, node);
mkdirSync(dirname(socket), { recursive: true });
rmSync(socket, { force: true });
server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  note('listens');
});
process.on('SIGTERM', () => process.exit(0));
