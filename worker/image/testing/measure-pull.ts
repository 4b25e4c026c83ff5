/**
 * Pulls one image in a process of its own and prints by how many bytes its memory grew at most:
 * `node measure-pull.ts SOCKET NAME`.
 */
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { connectContainerd } from '../../runtime/containerd/client.ts';
import { createImages } from '../index.ts';
import { testPlatform } from './node.ts';

const [socketPath = '', name = ''] = process.argv.slice(2);
using containerd = connectContainerd({ socketPath, namespace: 'images-test' });
await using node = createImages(
  { platform: testPlatform },
  { containerd, log: silentLogger, clock: realClock },
);
// Loads what every use loads, so that only the pull itself is measured.
await node.images.list();
const before = process.memoryUsage.rss();
let peak = before;
const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5);
await node.images.pull(name);
clearInterval(timer);
console.log(String(peak - before));
