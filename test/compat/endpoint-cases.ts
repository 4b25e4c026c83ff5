/** Every endpoint with both daemons: the usual mistakes, and that none of the API is forgotten. */
import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { allRoutes } from '../../api/routes/index.ts';
import { FakeBackend } from '../../api/testing.ts';
import { silentLogger } from '../../lib/log.ts';
import { http } from '../lab/http.ts';
import type { Host } from '../lab/index.ts';
import { answerDifferences } from './answer-differences.ts';
import { endpoints, type Mistake } from './endpoints.ts';
import type { Field } from './field.ts';
import { compare } from './json-cases.ts';

const version = '/v1.41';

export function endpointCases(get: () => Field): void {
  const early = askEarly(get);
  describe('mistakes with every endpoint, as with Docker’s daemon', () => {
    const used = new Set<unknown>();
    for (const { name, mistakes } of endpoints) {
      for (const mistake of mistakes) {
        const title = `${name.split(' ')[0]} ${mistake.path} ${mistake.body ?? ''}`.trim();
        it(title, async () => {
          const [ours, theirs] = await Promise.all([
            make(get().manager, name, mistake),
            early.get(mistake) ?? make(get().dockerd, name, mistake),
          ]);
          const listed = answerDifferences.find(({ of }) => of.test(title));
          if (listed === undefined) {
            assert.equal(ours, theirs);
            return;
          }
          used.add(listed);
          assert.notEqual(ours, theirs, 'the difference is there no more: take it off the list');
          assert.match(ours ?? '', listed.ours);
          assert.match(theirs ?? '', listed.theirs);
        });
      }
    }

    it('has no difference listed that no mistake shows', () => {
      assert.deepEqual(
        answerDifferences.filter((one) => !used.has(one)),
        [],
      );
    });
  });

  it('plugins that are not there are told of as Docker does', async () => {
    const field = get();
    for (const path of ['/plugins', '/plugins/nosuch/json']) {
      const [ours, theirs] = await Promise.all(
        [field.manager, field.dockerd].map((host) => host.apiResult('GET', version + path)),
      );
      assert.equal(ours?.status, theirs?.status, path);
      assert.deepEqual(
        compare(JSON.parse(ours?.body ?? ''), JSON.parse(theirs?.body ?? ''), ''),
        [],
      );
    }
  });
}

/** Without daemons: every route is listed, and what is listed is there. */
export function endpointListCases(): void {
  it('lists every endpoint, with what compares it or a reason', () => {
    const backend = new FakeBackend();
    const modules = { backend, log: silentLogger, clock: backend.clock, events: {} as never };
    const routes = allRoutes(modules).map(({ method, path }) => ({
      name: `${method} ${path.replaceAll('...}', '}')}`,
      pattern: new RegExp(
        `^${path.replaceAll(/\{\w+\.\.\.\}/g, '.+').replaceAll(/\{\w+\}/g, '[^/]+')}$`,
      ),
      method,
    }));
    const listed = new Set(endpoints.map(({ name }) => name));
    assert.equal(listed.size, endpoints.length, 'an endpoint is listed twice');
    const isFamily = (name: string) => name.endsWith('/{rest}');
    const unlisted = routes.map(({ name }) => name).filter((name) => !listed.has(name));
    assert.deepEqual(
      unlisted.filter((name) => !isFamily(name)),
      [],
      'not in endpoints.ts',
    );
    const missing = [...listed].filter((name) => {
      const [wanted = '', path = ''] = name.split(' ');
      return !routes.some(({ method, pattern }) => method === wanted && pattern.test(path));
    });
    assert.deepEqual(missing, [], 'the API does not have these');
    const files = new Set(endpoints.flatMap(({ compared }) => compared));
    const gone = [...files].filter((file) => !existsSync(join(import.meta.dirname, file)));
    assert.deepEqual(gone, [], 'files that are not there');
    const silent = endpoints.filter(({ compared, reason }) => compared.length === 0 && !reason);
    assert.deepEqual(silent, []);
  });
}

/** What Docker's daemon takes long to answer, asked before the first test of all. */
function askEarly(get: () => Field): ReadonlyMap<Mistake, Promise<string>> {
  const asked = new Map<Mistake, Promise<string>>();
  before(() => {
    for (const { name, mistakes } of endpoints) {
      for (const mistake of mistakes.filter(({ isSlow }) => isSlow)) {
        const answer = make(get().dockerd, name, mistake);
        // Told by the test that waits for it.
        answer.catch(() => undefined);
        asked.set(mistake, answer);
      }
    }
  });
  return asked;
}

/** Status and message, without what is of one daemon alone. */
async function make(host: Host, name: string, { path, body }: Mistake): Promise<string> {
  const [method = 'GET'] = name.split(' ');
  const { status, body: answer } = await http(
    { socketPath: host.socketPath },
    encodeURI(version + path),
    {
      method,
      ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
    },
  );
  return `${status} ${messageIn(answer).trim()}`;
}

function messageIn(answer: string): string {
  try {
    const { message } = JSON.parse(answer) as { message?: string };
    return message ?? answer;
  } catch {
    // Not everything is JSON: what is said in plain text is compared as it is.
    return answer;
  }
}
