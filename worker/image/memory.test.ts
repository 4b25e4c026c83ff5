import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { mediaTypes, sha256 } from './oci.ts';
import { startContainerd } from './testing/containerd.ts';
import { tarOf } from './testing/image.ts';
import { startStub } from './testing/stub.ts';

const layerBytes = 256 * 1024 * 1024;
/** Measured: 70 to 85 MB, most of it garbage that waits for its collector. */
const maxGrowthBytes = layerBytes / 2;
/** The zeroes that end a tar. */
const endBytes = 1024;

/** A tar that holds the same file over and over, and is never in memory as a whole. */
function* bigLayer(file: Buffer): Generator<Buffer> {
  for (let sent = 0; sent < layerBytes; sent += file.length) yield file;
  yield Buffer.alloc(endBytes);
}

describe('memory of a pull', () => {
  it('stays flat while a large layer comes in', async () => {
    const whole = await tarOf({ big: randomBytes(512 * 1024).toString('hex') });
    const file = whole.subarray(0, -endBytes);
    const hash = createHash('sha256');
    let size = 0;
    for (const part of bigLayer(file)) {
      hash.update(part);
      size += part.length;
    }
    const digest = `sha256:${hash.digest('hex')}`;
    const rootfs = { type: 'layers', diff_ids: [digest] };
    const config = JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs });
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: sha256(config), size: config.length },
      layers: [{ mediaType: mediaTypes.ociLayer, digest, size }],
    });
    await using containerd = await startContainerd();
    await using stub = await startStub(({ path }, response) => {
      if (path.includes('/manifests/')) response.end(manifest);
      else if (path.includes(sha256(config))) response.end(config);
      else {
        response.writeHead(200, { 'content-length': size });
        Readable.from(bigLayer(file)).pipe(response);
      }
    });
    const script = join(import.meta.dirname, 'testing/measure-pull.ts');
    const args = [script, containerd.socketPath, `${stub.host}/big:1`];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const growth = Number(stdout);
    assert.ok(growth > 0 && growth < maxGrowthBytes, `memory grew by ${stdout.trim()} bytes`);
  }).timeout(600_000);
});
