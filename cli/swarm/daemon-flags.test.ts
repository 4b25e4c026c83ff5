import { strict as assert } from 'node:assert';
import { parseArgv } from '../command/argv.ts';
import { daemonFlags, daemonOptions } from './daemon-flags.ts';

describe('swarm/daemon-flags', () => {
  const options = (line: string) => daemonOptions(parseArgv(line.split(' '), daemonFlags).flags);

  it('hands on what is the daemon’s, once each and in its own words', () => {
    const tls = '--tlscacert=/ca --tlscert=/cert --tlskey=/key';
    const line = `--label a=1 --label b=2 --mtu 1400 ${tls} --log-file=/l --metrics-tls`;
    const { argv, start } = options(line);
    const expected = `--log-file=/l --mtu=1400 ${tls} --label=a=1 --label=b=2 --metrics-tls`;
    assert.deepEqual([argv.join(' '), start], [expected, true]);
  });

  it('keeps to itself whether one is started', () => {
    assert.deepEqual(options('--no-daemon --metrics-tls=false'), {
      runRoot: undefined,
      argv: [],
      start: false,
    });
  });
});
