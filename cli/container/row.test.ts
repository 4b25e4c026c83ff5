import { strict as assert } from 'node:assert';
import { imageText, portsText } from './row.ts';

describe('the image of a container, in a table', () => {
  const id = `sha256:${'0123456789ab'.repeat(5)}cdef`;
  const digest = `@sha256:${'ef'.repeat(32)}`;
  const cases: [string, string][] = [
    ['web:1', 'web:1'],
    [`host:5000/web:1${digest}`, 'host:5000/web:1'],
    [`host:5000/web${digest}`, 'host:5000/web'],
    [id, '0123456789ab'],
    ['0123456789ab', '0123456789ab'],
  ];
  for (const [given, expected] of cases) {
    it(given, () => assert.equal(imageText({ Image: given, ImageID: id }), expected));
  }
});

describe('the ports of a container, in a table', () => {
  const on = (text: string) => {
    const [, ip, published, port, type] = /^(?:(.*):(\d+)->)?(\d+)\/(\w+)$/.exec(text) ?? [];
    const outside = published === undefined ? {} : { IP: ip!, PublicPort: Number(published) };
    return { ...outside, PrivatePort: Number(port), Type: type! };
  };
  // As docker's CLI prints them.
  const cases: { name: string; ports: string; expect: string }[] = [
    { name: 'none', ports: '', expect: '' },
    {
      name: 'exposed ones that follow each other',
      ports: '5001/tcp 7000/tcp 5000/tcp 5002/tcp 5002/udp',
      expect: '5000-5002/tcp, 7000/tcp, 5002/udp',
    },
    {
      name: 'published as they are',
      ports: '0.0.0.0:81->81/tcp 0.0.0.0:80->80/tcp :::80->80/tcp :::81->81/tcp 80/udp',
      expect: '80/udp, 0.0.0.0:80-81->80-81/tcp, [::]:80-81->80-81/tcp',
    },
    {
      name: 'published elsewhere',
      ports: '0.0.0.0:8001->81/tcp 0.0.0.0:8000->80/tcp 127.0.0.1:9000->9000/udp 5000/tcp',
      expect: '5000/tcp, 127.0.0.1:9000->9000/udp, 0.0.0.0:8000->80/tcp, 0.0.0.0:8001->81/tcp',
    },
  ];
  for (const { name, ports, expect } of cases) {
    it(name, () => assert.equal(portsText(ports.split(' ').filter(Boolean).map(on)), expect));
  }
});
