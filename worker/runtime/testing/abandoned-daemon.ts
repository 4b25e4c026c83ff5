/** Starts a container that counts, says so, and waits to be killed: `node … DATA_ROOT RUN_ROOT`. */
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { systemRandom } from '../../../lib/random.ts';
import { openContainerd } from '../containerd/open.ts';
import { firstLine } from './first-line.ts';
import { containerConfig } from './container-config.ts';

const [, , dataRoot = '', runRoot = ''] = process.argv;
const { runtime } = await openContainerd(
  { dataRoot, runRoot },
  { clock: realClock, random: systemRandom, log: silentLogger },
);
const image = { name: 'busybox', chainId: 'busybox' };
const script = 'n=0; while :; do n=$((n+1)); echo $n; sleep 0.01; done';
await runtime.create(containerConfig({ id: 'counts', image, argv: ['sh', '-c', script] }));
await runtime.start('counts');
await firstLine(runtime, 'counts');
process.stdout.write('ready\n');
setInterval(() => {}, 1000);
