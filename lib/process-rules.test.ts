import { strict as assert } from 'node:assert';
import {
  whyNoHealthTest,
  whyNoHostname,
  whyNoResolverOption,
  whyNoSearchDomain,
  whyNoSysctl,
  whyNoUlimit,
  whyNoUser,
  whyNoVariable,
  whyNoWorkdir,
} from './process-rules.ts';

/** `says`: undefined where nothing is wrong. */
const cases: readonly { name: string; given: string | undefined; says?: RegExp }[] = [
  { name: 'a ulimit', given: whyNoUlimit({ name: 'nofile', soft: 1, hard: 2 }) },
  { name: 'one in capitals', given: whyNoUlimit({ name: 'NPROC', soft: 1, hard: 1 }) },
  { name: 'one without a hard end', given: whyNoUlimit({ name: 'core', soft: 5, hard: -1 }) },
  {
    name: 'a ulimit that there is not',
    given: whyNoUlimit({ name: 'speed', soft: 1, hard: 1 }),
    says: /^invalid ulimit type: speed$/,
  },
  {
    name: 'a soft limit above the hard one',
    given: whyNoUlimit({ name: 'core', soft: -1, hard: 5 }),
    says: /less than or equal to hard limit: -1 > 5$/,
  },
  { name: 'a sysctl of the network', given: whyNoSysctl('net.core.somaxconn') },
  { name: 'one with slashes', given: whyNoSysctl('net/ipv4/conf/eth0.1/forwarding') },
  { name: 'one of queues', given: whyNoSysctl('fs.mqueue.msg_max') },
  { name: 'one of IPC', given: whyNoSysctl('kernel.shm_rmid_forced') },
  { name: 'a domain', given: whyNoSysctl('kernel.domainname') },
  {
    name: 'a sysctl of the host',
    given: whyNoSysctl('vm.swappiness'),
    says: /^the sysctl "vm\.swappiness" is no container's own/,
  },
  { name: 'no sysctl at all', given: whyNoSysctl(''), says: /^the sysctl "" is no/ },
  {
    name: 'a sysctl of the host’s network',
    given: whyNoSysctl('net.core.somaxconn', { network: true }),
    says: /cannot be set on the host's network/,
  },
  {
    name: 'a sysctl of the host’s IPC namespace',
    given: whyNoSysctl('kernel.sem', { ipc: true }),
    says: /cannot be set in the host's IPC namespace/,
  },
  { name: 'a user by number', given: whyNoUser('1000:2147483647') },
  { name: 'a user by name', given: whyNoUser('web:-x') },
  { name: 'a user below zero', given: whyNoUser('-1'), says: /must be in range 0-2147483647$/ },
  { name: 'a group above all', given: whyNoUser('web:2147483648'), says: /must be in range/ },
  { name: 'a variable', given: whyNoVariable('A=') },
  { name: 'a variable to be taken away', given: whyNoVariable('A') },
  { name: 'no variable', given: whyNoVariable(''), says: /^invalid environment variable: $/ },
  { name: 'a value alone', given: whyNoVariable('=x'), says: /variable: =x$/ },
  {
    name: 'a value with an end in it',
    given: whyNoVariable('A=b\0c'),
    says: /^the environment variable A cannot have a NUL/,
  },
  { name: 'a hostname', given: whyNoHostname('a'.repeat(64)) },
  { name: 'a long hostname', given: whyNoHostname('é'.repeat(33)), says: /is too long/ },
  { name: 'a folder', given: whyNoWorkdir('/srv') },
  { name: 'the image’s folder', given: whyNoWorkdir('') },
  { name: 'a relative folder', given: whyNoWorkdir('srv'), says: /'srv' is invalid, it needs/ },
  { name: 'a search domain', given: whyNoSearchDomain('.') },
  { name: 'two search domains', given: whyNoSearchDomain('a b'), says: /"a b" is no search/ },
  { name: 'an option', given: whyNoResolverOption('timeout:3') },
  { name: 'another line', given: whyNoResolverOption('a\nb'), says: /is no option/ },
  { name: 'a health check', given: whyNoHealthTest(['CMD-SHELL', 'true']) },
  { name: 'no health check', given: whyNoHealthTest(['NONE']) },
  { name: 'the image’s health check', given: whyNoHealthTest([]) },
  { name: 'a bare command', given: whyNoHealthTest(['curl', 'x']), says: /begins with "curl"/ },
  { name: 'no command', given: whyNoHealthTest(['CMD']), says: /has no command after CMD$/ },
];

describe('the rules for what a process is given', () => {
  for (const { name, given, says } of cases) {
    it(`${says === undefined ? 'take' : 'refuse'} ${name}`, () => {
      if (says === undefined) assert.equal(given, undefined);
      else assert.match(given ?? '', says);
    });
  }
});
