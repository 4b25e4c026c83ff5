/** Builds small images out of the machine's static busybox, and pushes them to a registry. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { http, type HttpResult } from './http.ts';
import { run } from './run.ts';

export interface ImageSpec {
  /** Absolute path → content. Scripts (first bytes `#!`) and programs (ELF) are made executable. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** How many layers more there are; each has /layers/<number>, from 1, and writes /layers/last. */
  readonly layersMore?: number;
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Like "80/tcp". */
  readonly exposed?: readonly string[];
  readonly volumes?: readonly string[];
  readonly stopSignal?: string;
  /** Docker's form; durations in nanoseconds. */
  readonly healthcheck?: {
    readonly Test: readonly string[];
    readonly Interval?: number;
    readonly Timeout?: number;
    readonly Retries?: number;
    readonly StartPeriod?: number;
    /** Within the start period, until the first success. */
    readonly StartInterval?: number;
  };
}

interface Blob {
  readonly bytes: Uint8Array;
  readonly digest: string;
}

interface Layer extends Blob {
  /** Digest of the uncompressed tar. */
  readonly diffId: string;
}

const manifestType = 'application/vnd.docker.distribution.manifest.v2+json';
const configType = 'application/vnd.docker.container.image.v1+json';
const layerType = 'application/vnd.docker.image.rootfs.diff.tar.gzip';

/** One per process: the layer with busybox is the same for every image. */
let base: Promise<Layer> | undefined;

/** Builds the image and pushes it to http://<registry> as `<name>:<tag>`. Returns its digest. */
export async function pushImage(
  registry: string,
  reference: string,
  spec: ImageSpec,
): Promise<string> {
  const [name = '', tag = 'latest'] = reference.split(':');
  base ??= busyboxLayer();
  const layers = [await base];
  if (spec.files !== undefined) layers.push(await layerOf(spec.files));
  for (let at = 1; at <= (spec.layersMore ?? 0); at++) {
    layers.push(await layerOf({ [`/layers/${at}`]: `${at}\n`, '/layers/last': `${at}\n` }));
  }
  const config = blobOf(Buffer.from(JSON.stringify(configOf(spec, layers))));
  for (const blob of [...layers, config]) await pushBlob(registry, name, blob);
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: configType, size: config.bytes.length, digest: config.digest },
    layers: layers.map(({ bytes, digest }) => ({
      mediaType: layerType,
      size: bytes.length,
      digest,
    })),
  });
  const answer = await http({ origin: `http://${registry}` }, `/v2/${name}/manifests/${tag}`, {
    method: 'PUT',
    body: manifest,
    headers: { 'content-type': manifestType },
  });
  expect(answer, 201, `the manifest of ${reference}`);
  return blobOf(Buffer.from(manifest)).digest;
}

async function pushBlob(registry: string, name: string, { bytes, digest }: Blob): Promise<void> {
  const target = { origin: `http://${registry}` };
  const there = await http(target, `/v2/${name}/blobs/${digest}`, { method: 'HEAD' });
  if (there.status === 200) return;
  const begun = await http(target, `/v2/${name}/blobs/uploads/`, { method: 'POST' });
  expect(begun, 202, `the start of an upload to ${name}`);
  const location = new URL(begun.headers.location ?? '', target.origin);
  location.searchParams.set('digest', digest);
  const done = await http(target, `${location.pathname}${location.search}`, {
    method: 'PUT',
    body: bytes,
    headers: { 'content-type': 'application/octet-stream' },
  });
  expect(done, 201, `a blob of ${name}`);
}

function expect(answer: HttpResult, status: number, what: string): void {
  if (answer.status === status) return;
  throw new Error(
    `the registry answered ${answer.status} to ${what}: ${answer.body.slice(0, 500)}`,
  );
}

function configOf(spec: ImageSpec, layers: readonly Layer[]): unknown {
  const keys = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, {}]));
  return {
    // Always the same, so that the same content has the same digest.
    created: '2026-01-01T00:00:00Z',
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {
      Env: [
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        ...(spec.env ?? []),
      ],
      Cmd: spec.cmd ?? (spec.entrypoint === undefined ? ['sh'] : null),
      ...(spec.entrypoint === undefined ? {} : { Entrypoint: spec.entrypoint }),
      ...(spec.workdir === undefined ? {} : { WorkingDir: spec.workdir }),
      ...(spec.user === undefined ? {} : { User: spec.user }),
      ...(spec.labels === undefined ? {} : { Labels: spec.labels }),
      ...(spec.exposed === undefined ? {} : { ExposedPorts: keys(spec.exposed) }),
      ...(spec.volumes === undefined ? {} : { Volumes: keys(spec.volumes) }),
      ...(spec.stopSignal === undefined ? {} : { StopSignal: spec.stopSignal }),
      ...(spec.healthcheck === undefined ? {} : { Healthcheck: spec.healthcheck }),
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created: '2026-01-01T00:00:00Z', created_by: 'ts-swarm lab' })),
  };
}

const epoch = new Date(0);

async function busyboxLayer(): Promise<Layer> {
  const tar = pack();
  const layer = buffer(tar);
  for (const folder of ['bin', 'etc', 'home', 'root', 'tmp', 'usr', 'usr/bin', 'var', 'var/tmp']) {
    const mode = folder.endsWith('tmp') ? 0o1777 : 0o755;
    tar.entry({ name: `${folder}/`, type: 'directory', mode, mtime: epoch });
  }
  const busybox = { name: 'bin/busybox', mode: 0o755, mtime: epoch };
  tar.entry(busybox, await readFile('/bin/busybox'));
  const applets = (await run(['/bin/busybox', '--list'])).split('\n');
  for (const applet of applets.filter((name) => name !== '' && name !== 'busybox')) {
    tar.entry({ name: `bin/${applet}`, type: 'symlink', linkname: 'busybox', mtime: epoch });
  }
  const passwd = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n';
  tar.entry({ name: 'etc/passwd', mtime: epoch }, passwd);
  tar.entry({ name: 'etc/group', mtime: epoch }, 'root:x:0:\nnogroup:x:65534:\n');
  tar.finalize();
  return compressed(await layer);
}

async function layerOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<Layer> {
  const tar = pack();
  const layer = buffer(tar);
  for (const [path, content] of Object.entries(files)) {
    const bytes = Buffer.from(content);
    const mode = /^(#!|\x7fELF)/.test(bytes.toString('latin1', 0, 4)) ? 0o755 : 0o644;
    tar.entry({ name: path.replace(/^\//, ''), mode, mtime: epoch }, bytes);
  }
  tar.finalize();
  return compressed(await layer);
}

function compressed(tar: Buffer): Layer {
  return { ...blobOf(gzipSync(tar, { level: 1 })), diffId: sha256(tar) };
}

function blobOf(bytes: Uint8Array): Blob {
  return { bytes, digest: sha256(bytes) };
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
