/**
 * What the verbs of containers answer, request by request and byte by byte, beside Docker's daemon:
 * status, type of content, and body, but for what is of one run alone.
 */
import { strict as assert } from 'node:assert';
import { http, type HttpResult } from '../lab/http.ts';
import { until, type Host } from '../lab/index.ts';
import { verbDifferences } from './answer-differences.ts';
import type { Field } from './field.ts';
import { compare } from './json-cases.ts';

const version = '/v1.41';

interface Call {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** Below the version; `{exec}` is the exec that was made last. */
  readonly path: string;
  readonly body?: unknown;
  /** Numbers are of one run alone: only fields and their types are compared. */
  readonly typesOnly?: true;
  /** Before the call: the container's state. */
  readonly when?: { readonly of: string; readonly status: string };
}

const on = (name: string, ...verbs: readonly string[]): readonly Call[] =>
  verbs.map((verb) => ({ path: `/containers/${name}/${verb}` }));
const made = (name: string, body: object): Call => ({
  path: `/containers/create?name=${name}`,
  body: { Image: 'busybox', ...body },
});
const sleeper = { Cmd: ['sleep', '1000'] };

/** One after the other, on containers that are there for these calls alone. */
const calls: readonly Call[] = [
  made('one', { ...sleeper, Labels: { answers: 'yes' } }),
  made('one', sleeper),
  ...on('one', 'stop', 'kill', 'pause', 'unpause', 'resize?h=5&w=5'),
  { path: '/containers/one/exec', body: { Cmd: ['true'] } },
  { method: 'GET', path: '/containers/one/top' },
  { method: 'GET', path: '/containers/one/changes' },
  { method: 'GET', path: '/containers/one/stats?stream=0', typesOnly: true },
  ...on('one', 'start', 'start', 'unpause', 'pause', 'pause'),
  { path: '/containers/one/exec', body: { Cmd: ['true'] } },
  { method: 'DELETE', path: '/containers/one' },
  { method: 'GET', path: '/containers/one/top?ps_args=-o%20pid,args', typesOnly: true },
  ...on('one', 'unpause', 'unpause', 'rename?name=one', 'rename?name=', 'rename?name=two'),
  { method: 'GET', path: '/containers/one/json' },
  made('one', sleeper),
  ...on('two', 'rename?name=one', 'rename?name=/bad/', 'resize?h=5&w=x', 'resize?h=5&w=5'),
  { path: '/containers/two/update', body: { Memory: 1 } },
  { path: '/containers/two/update', body: { Memory: 64e6 } },
  { path: '/containers/two/update', body: { Memory: 64e6, MemorySwap: -1 } },
  { path: '/containers/two/update', body: { Memory: 1 } },
  { path: '/containers/two/update', body: { RestartPolicy: { Name: 'sometimes' } } },
  { path: '/containers/two/update', body: { CpusetCpus: '77' } },
  { path: '/containers/two/update', body: { CpusetCpus: 'x' } },
  { path: '/containers/two/update', body: {} },
  ...on('two', 'kill?signal=NOSUCH', 'kill?signal=0', 'kill?signal=CONT'),
  { method: 'GET', path: '/containers/two/top?ps_args=-nosuch' },
  { method: 'GET', path: '/containers/two/top', typesOnly: true },
  { path: '/containers/two/exec', body: { Cmd: ['sh', '-c', 'exit 7'] } },
  { method: 'GET', path: '/exec/{exec}/json' },
  { path: '/exec/{exec}/start', body: { Detach: true } },
  { path: '/containers/two/exec', body: {} },
  { path: '/containers/two/exec', body: { Cmd: ['sleep', '100'], Tty: true } },
  { path: '/exec/{exec}/start', body: { Detach: true, Tty: true } },
  { path: '/exec/{exec}/resize?h=9&w=9' },
  { path: '/exec/{exec}/resize?h=9' },
  { path: '/exec/{exec}/start', body: { Detach: true, Tty: true } },
  { method: 'GET', path: '/exec/{exec}/json', typesOnly: true },
  { path: '/containers/two/exec', body: { Cmd: ['nosuch'] } },
  { path: '/containers/two/exec', body: { Cmd: ['true'], User: 'nobody-knows' } },
  { method: 'GET', path: '/containers/two/changes' },
  { method: 'GET', path: '/containers/two/stats?stream=0&one-shot=1', typesOnly: true },
  { method: 'GET', path: '/containers/two/json', typesOnly: true },
  { method: 'HEAD', path: '/containers/two/archive?path=/nosuch' },
  { method: 'GET', path: '/containers/two/archive?path=/nosuch' },
  { method: 'GET', path: '/containers/two/archive?path=' },
  { method: 'PUT', path: '/containers/two/archive?path=/nosuch' },
  { method: 'PUT', path: '/containers/two/archive?path=/bin/busybox' },
  ...on('two', 'attach?stream=0', 'restart?t=x', 'stop?t=x'),
  { method: 'GET', path: '/containers/two/logs' },
  { method: 'GET', path: '/containers/two/logs?stdout=1&since=x' },
  { method: 'GET', path: '/containers/two/logs?stdout=1&tail=x' },
  { method: 'DELETE', path: '/containers/two' },
  ...on('two', 'restart?t=0', 'stop?t=0', 'stop', 'kill', 'wait', 'wait?condition=not-running'),
  { path: '/containers/two/exec', body: { Cmd: ['true'] } },
  { method: 'DELETE', path: '/containers/two?link=1' },
  { path: '/containers/prune?filters={"label":["answers=yes"]}', typesOnly: true },
  { path: '/containers/prune?filters={"label":["answers=yes"]}' },
  ...on('one', 'start', 'kill'),
  { path: '/containers/one/wait', when: { of: 'one', status: 'exited' } },
  { method: 'DELETE', path: '/containers/one?v=1&force=1' },
  { method: 'DELETE', path: '/containers/one' },
  made('bad', { Cmd: ['nosuch'] }),
  ...on('bad', 'start'),
  { method: 'DELETE', path: '/containers/bad' },
  made('bad', { Cmd: [], Entrypoint: [''] }),
  made('bad', { ...sleeper, HostConfig: { NetworkMode: 'nosuch' } }),
  ...on('bad', 'start'),
  { method: 'DELETE', path: '/containers/bad' },
  made('bad', { ...sleeper, HostConfig: { Binds: ['/nowhere/at/all'] } }),
  made('bad2', { ...sleeper, HostConfig: { Binds: ['a:b:c:d'] } }),
  made('bad3', { ...sleeper, HostConfig: { Memory: 1 } }),
  made('bad4', { ...sleeper, HostConfig: { RestartPolicy: { Name: 'sometimes' } } }),
  made('bad5', { ...sleeper, HostConfig: { PortBindings: { '80/tcp': [{ HostPort: 'x' }] } } }),
  made('bad6', { ...sleeper, Healthcheck: { Test: ['CMD', 'true'], Interval: 1 } }),
  made('bad6', { Image: 'nosuch:1', Healthcheck: { Test: ['CMD', 'true'], Interval: 1 } }),
  made('bad6', { ...sleeper, HostConfig: { VolumesFrom: ['nosuch'] } }),
  made('bad7', { ...sleeper, StopSignal: 'NOSUCH' }),
  made('bad8', { ...sleeper, WorkingDir: 'relative' }),
  made('bad10', { ...sleeper, HostConfig: { NanoCpus: 1e12 } }),
  made('bad11', {
    ...sleeper,
    HostConfig: { AutoRemove: true, RestartPolicy: { Name: 'always' } },
  }),
];

export function answerCases(get: () => Field): void {
  it('verbs of containers answer as Docker’s own do', async () => {
    const hosts = [get().manager, get().dockerd];
    const [ours = [], theirs = []] = await Promise.all(hosts.map(answersOf));
    const used = new Set<unknown>();
    const unexpected = calls.flatMap((call, at) => {
      const title = `${call.method ?? 'POST'} ${call.path}`;
      const found = differencesOf(call, ours[at], theirs[at]);
      return found.flatMap((line) => {
        const listed = verbDifferences.find(({ of, what }) => of.test(title) && what.test(line));
        used.add(listed);
        return listed === undefined ? [`${title} ${JSON.stringify(call.body ?? '')}: ${line}`] : [];
      });
    });
    assert.deepEqual(unexpected, []);
    assert.deepEqual(
      verbDifferences.filter((one) => !used.has(one)),
      [],
    );
  });
}

async function answersOf(host: Host): Promise<readonly HttpResult[]> {
  const answers: HttpResult[] = [];
  let exec = '';
  for (const { method = 'POST', path, body, when } of calls) {
    if (when !== undefined) {
      const ask = () =>
        host.api<{ State: { Status: string } }>('GET', `/containers/${when.of}/json`);
      await until(`${when.of} is ${when.status}`, ask, {
        accept: ({ State }) => State.Status === when.status,
      });
    }
    const answer = await http(
      { socketPath: host.socketPath },
      encodeURI(version + path.replace('{exec}', exec)).replaceAll('%25', '%'),
      {
        method,
        ...(body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      },
    );
    answers.push(answer);
    if (path.endsWith('/exec') && answer.status === 201) {
      exec = (JSON.parse(answer.body) as { Id: string }).Id;
    }
  }
  return answers;
}

function differencesOf(call: Call, ours?: HttpResult, theirs?: HttpResult): readonly string[] {
  assert.ok(ours !== undefined && theirs !== undefined);
  const heads = [ours, theirs].map(({ status, headers }) => `${status} ${headers['content-type']}`);
  if (heads[0] !== heads[1] || !call.typesOnly) {
    const [mine, other] = [ours, theirs].map(({ body }, at) => `${heads[at]} ${anonymous(body)}`);
    return mine === other ? [] : [`${mine} | ${other}`];
  }
  return compare(JSON.parse(ours.body), JSON.parse(theirs.body), '');
}

function anonymous(body: string): string {
  return body
    .trim()
    .replaceAll(/\b[0-9a-f]{64}\b/g, 'ID')
    .replaceAll(/"Pid":\d+/g, '"Pid":N');
}
