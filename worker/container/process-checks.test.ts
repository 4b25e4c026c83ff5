import { strict as assert } from 'node:assert';
import { containerDocument, hostDocument } from '../../types/index.ts';
import { checkProcess } from './process-checks.ts';

/** `config` and `host` as a client sends them; without `says`, the container may have it. */
const cases: readonly { name: string; config?: object; host?: object; says?: RegExp }[] = [
  { name: 'nothing' },
  { name: 'a ulimit', host: { Ulimits: [{ Name: 'x' }] }, says: /^invalid ulimit type: x$/ },
  { name: 'a sysctl', host: { Sysctls: { foo: '1' } }, says: /"foo" is no container's own/ },
  {
    name: 'a sysctl of the host’s network',
    host: { NetworkMode: 'host', Sysctls: { 'net.a': '1' } },
    says: /cannot be set on the host's network/,
  },
  { name: 'a group', host: { GroupAdd: ['-1'] }, says: /^uids and gids must be in range/ },
  { name: 'a hostname', config: { Hostname: 'a'.repeat(65) }, says: /is too long/ },
  { name: 'a variable', config: { Env: ['=x'] }, says: /^invalid environment variable: =x$/ },
  { name: 'an argument', config: { Cmd: ['a\0b'] }, says: /NUL/ },
  { name: 'a health check', config: { Healthcheck: { Test: ['x'] } }, says: /begins with "x"/ },
  {
    name: 'a port',
    config: { ExposedPorts: { 'x/tcp': {} } },
    says: /port specification: "x\/tcp"/,
  },
  {
    name: 'permissions of a device',
    host: { Devices: [{ PathOnHost: '/dev/null', CgroupPermissions: 'rx' }] },
    says: /^the permissions "rx" of the device \/dev\/null are not made of r, w and m$/,
  },
  { name: 'a DNS server', host: { Dns: ['dns'] }, says: /"dns" is no address of a DNS server/ },
  { name: 'hosts', host: { ExtraHosts: ['a:::1', 'b=10.0.0.9', 'c:[::1]', 'd:host-gateway'] } },
  { name: 'a host', host: { ExtraHosts: ['a'] }, says: /^bad format for add-host: "a"$/ },
  { name: 'no host', host: { ExtraHosts: [':1.2.3.4'] }, says: /^bad format for add-host/ },
  { name: 'an address', host: { ExtraHosts: ['a:b'] }, says: /^invalid IP address in .*: "b"$/ },
];

describe('what a container’s process cannot have', () => {
  for (const { name, config = {}, host = {}, says } of cases) {
    it(`${says === undefined ? 'takes' : 'refuses'} ${name}`, () => {
      const check = () =>
        checkProcess(containerDocument.decode(config, ''), hostDocument.decode(host, ''));
      if (says === undefined) check();
      else assert.throws(check, { message: says });
    });
  }
});
