import { strict as assert } from 'node:assert';
import { SwarmError, type ErrorCode } from '../../lib/errors.ts';
import type { Image, Images, RegistryAuth } from '../image/images.ts';
import { ImagePulls } from './image-pulls.ts';
import { assignedTask } from './testing/fakes.ts';

const encoded = (username: string) =>
  Buffer.from(JSON.stringify({ username, password: 'x' })).toString('base64url');
const signal = new AbortController().signal;

/** A registry that answers each user in its own way. */
function registry(answers: Readonly<Record<string, ErrorCode | 'ok'>>) {
  const asked: string[] = [];
  const images: Pick<Images, 'pull' | 'get'> = {
    async pull(reference: string, { auth }: { auth?: RegistryAuth } = {}) {
      const user = auth?.username ?? 'anonymous';
      asked.push(user);
      const answer = answers[user] ?? 'internal';
      if (answer !== 'ok') throw new SwarmError(answer, `${user}: ${answer}`);
      return { id: `id of ${reference}` } as Image;
    },
    get: async () => undefined,
  };
  return { asked, pulls: new ImagePulls(images as Images) };
}

interface Case {
  readonly name: string;
  /** Whom the task may pull as. */
  readonly given: { readonly registryAuth?: string; readonly registryLogin?: string };
  readonly answers: Readonly<Record<string, ErrorCode | 'ok'>>;
  readonly asks: readonly string[];
  readonly fails?: string;
}

describe('pulls of tasks', () => {
  it('pin mounted images, pulled with the same credentials', async () => {
    const { asked, pulls } = registry({ service: 'ok' });
    const task = { ...assignedTask(1), registryAuth: encoded('service') };
    const [mount] = await pulls.pin(task, [{ type: 'image', source: 'i:1', target: '/i' }], signal);
    assert.equal(mount?.pinned?.imageId, 'id of i:1');
    assert.deepEqual(asked, ['service']);
  });

  const cases: readonly Case[] = [
    { name: 'ask as nobody', given: {}, answers: { anonymous: 'ok' }, asks: ['anonymous'] },
    {
      name: 'use what the service was given',
      given: { registryAuth: 'service', registryLogin: 'swarm' },
      answers: { service: 'ok' },
      asks: ['service'],
    },
    {
      name: 'use the swarm’s login where the service was given nothing',
      given: { registryLogin: 'swarm' },
      answers: { swarm: 'ok' },
      asks: ['swarm'],
    },
    ...(['unauthenticated', 'permission-denied', 'not-found'] as const).map((code) => ({
      name: `go on with the swarm’s login where the service’s own is answered ${code}`,
      given: { registryAuth: 'service', registryLogin: 'swarm' },
      answers: { service: code, swarm: 'ok' as const },
      asks: ['service', 'swarm'],
    })),
    {
      name: 'do not ask as another where the registry cannot be reached',
      given: { registryAuth: 'service', registryLogin: 'swarm' },
      answers: { service: 'unavailable' },
      asks: ['service'],
      fails: 'service: unavailable',
    },
    {
      name: 'say what the last answer was',
      given: { registryAuth: 'service', registryLogin: 'swarm' },
      answers: { service: 'unauthenticated', swarm: 'unauthenticated' },
      asks: ['service', 'swarm'],
      fails: 'swarm: unauthenticated',
    },
  ];
  for (const { name, given, answers, asks, fails } of cases) {
    it(name, async () => {
      const { asked, pulls } = registry(answers);
      const auths = Object.entries(given).map(([key, user]) => [key, encoded(user)]);
      const got = pulls.get({ ...assignedTask(1), ...Object.fromEntries(auths) }, signal);
      if (fails === undefined) assert.match((await got).id, /^id of /);
      else await assert.rejects(got, { message: fails });
      assert.deepEqual(asked, asks);
    });
  }
});
