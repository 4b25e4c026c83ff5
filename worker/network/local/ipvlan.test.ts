import { strict as assert } from 'node:assert';
import { networkSpec } from '../../../types/index.ts';
import { SyscallError, errno } from '../syscalls.ts';
import { sharedKind } from './describe.ts';
import { addIpvlan, askForIpvlan } from './links.ts';
import { planNetwork } from './plan.ts';
import { assertIpvlan } from './shared-device.ts';

const spec = (Options: object = {}) =>
  networkSpec.decode({ Name: 'net', Driver: 'ipvlan', Options }, 'body');

describe('ipvlan', () => {
  /** A kernel that refuses with this. */
  const kernel = (number: number) => ({
    run: (): never => {
      throw new SyscallError('add the link', number);
    },
  });

  it('is a driver of networks of one node', () => {
    const given = { id: 'abcdefghijklmnopqrstuvwxy', createdAtMs: 0, spec: spec() };
    const { subnets } = planNetwork(given, { networks: [], routes: [] });
    assert.equal(subnets.length, 1);
  });

  it('has Docker’s modes and flags, and says which where it is given another', () => {
    assert.deepEqual(sharedKind(spec()), { name: 'ipvlan', mode: 'l2', flag: 'bridge' });
    const chosen = { ipvlan_mode: 'l3s', ipvlan_flag: 'private' };
    assert.deepEqual(sharedKind(spec(chosen)), { name: 'ipvlan', mode: 'l3s', flag: 'private' });
    assert.throws(() => sharedKind(spec({ ipvlan_mode: 'l4' })), {
      code: 'invalid-argument',
      message: 'ipvlan_mode "l4" is not one of l2, l3, l3s',
    });
    assert.throws(() => sharedKind(spec({ ipvlan_flag: 'x' })), /one of bridge, private, vepa/);
  });

  it('is refused with the kernel’s feature where the kernel has it not', () => {
    assert.throws(() => assertIpvlan(kernel(errno.notSupported)), {
      code: 'failed-precondition',
      message: /kind ipvlan \(CONFIG_IPVLAN\): load the module ipvlan, or use another driver$/,
    });
    assertIpvlan(kernel(errno.invalid));
    assert.throws(() => assertIpvlan(kernel(errno.busy)), SyscallError);
  });

  it('is asked for with the numbers of if_link.h', () => {
    const kind = { mode: 'l3', flag: 'vepa' } as const;
    const { body } = addIpvlan({ name: 'eth0', parent: 7, mtu: 1400 }, kind, 5);
    const data = Buffer.from([6, 0, 1, 0, 1, 0, 0, 0, 6, 0, 2, 0, 2, 0, 0, 0]);
    assert.ok(body.includes(data), body.toString('hex'));
    assert.ok(askForIpvlan().body.includes('ipvlan\0'));
  });
});
