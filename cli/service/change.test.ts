import { strict as assert } from 'node:assert';
import type { ServerResponse } from 'node:http';
import { runCli } from '../testing/run-cli.ts';
import { StubDaemon, type Answer, type Asked } from '../testing/stub-daemon.ts';

const serviceAt = (version: number, env: readonly string[]) => ({
  ID: 'web1',
  Version: { Index: version },
  CreatedAt: '2026-01-01T00:00:00Z',
  UpdatedAt: '2026-01-01T00:00:00Z',
  Spec: {
    Name: 'web',
    Labels: {},
    TaskTemplate: { ContainerSpec: { Image: 'web:1', Env: env }, ForceUpdate: 0 },
    Mode: { Replicated: { Replicas: 2 } },
  },
});

/** Answers in turn; the last one again and again. */
function inTurn(...answers: readonly Answer[]): Answer {
  let asked = 0;
  return (request: Asked, response: ServerResponse) => {
    const answer = answers[Math.min(asked++, answers.length - 1)]!;
    if (typeof answer === 'function') {
      answer(request, response);
      return;
    }
    response.statusCode = 'json' in answer ? 200 : answer.status;
    const message = 'json' in answer ? answer.json : { message: answer.message };
    response.end(JSON.stringify(message));
  };
}

const outOfSequence = { status: 409, message: 'update out of sequence' };
const noLeader = { status: 503, message: 'The swarm does not have a leader.' };
/** The connection ends with the leader, before there is an answer. */
const hangUp: Answer = (_asked, response) => void response.destroy();

describe('a change of a service', () => {
  let daemon: StubDaemon;

  beforeEach(async () => {
    daemon = await new StubDaemon({}).listen();
  });
  afterEach(() => daemon[Symbol.asyncDispose]());

  const addEnv = () =>
    runCli(daemon.host, ['service', 'update', '--detach', '--env-add', 'B=2', 'web']);
  const sent = () =>
    daemon.asked
      .filter(({ method }) => method === 'POST')
      .map(({ query, body }) => {
        const { TaskTemplate } = JSON.parse(body) as ReturnType<typeof serviceAt>['Spec'];
        return [query.get('version'), TaskTemplate.ContainerSpec.Env];
      });

  it('keeps what others have changed meanwhile', async () => {
    daemon.answer({
      'GET /services/web': { json: serviceAt(1, ['A=1']) },
      'GET /services/web1': { json: serviceAt(5, ['A=9']) },
      'POST /services/web1/update': inTurn(outOfSequence, { json: {} }),
    });
    assert.equal((await addEnv()).code, 0);
    assert.deepEqual(sent(), [
      ['1', ['A=1', 'B=2']],
      ['5', ['A=9', 'B=2']],
    ]);
  });

  for (const [name, lost] of [
    ['that nobody answered', noLeader],
    ['whose connection broke', hangUp],
  ] as const) {
    it(`is sent again ${name}, where it has not been made`, async () => {
      daemon.answer({
        'GET /services/web': { json: serviceAt(1, ['A=1']) },
        'GET /services/web1': inTurn(noLeader, { json: serviceAt(1, ['A=1']) }),
        'POST /services/web1/update': inTurn(lost, { json: {} }),
      });
      assert.equal((await addEnv()).code, 0);
      assert.equal(sent().length, 2);
    });
  }

  it('waits for a leader before it begins', async () => {
    daemon.answer({
      'GET /services/web': inTurn(noLeader, noLeader, { json: serviceAt(1, ['A=1']) }),
      'POST /services/web1/update': { json: {} },
    });
    assert.equal((await addEnv()).code, 0);
    assert.equal(sent().length, 1);
  });

  it('is told at once that the daemon is no manager', async () => {
    const message = 'This node is not a swarm manager.';
    daemon.answer({ 'GET /services/web': { status: 503, message } });
    assert.match((await addEnv()).err, /This node is not a swarm manager/);
    assert.equal(daemon.asked.length, 1);
  });

  it('is not sent again where it has been made', async () => {
    daemon.answer({
      'GET /services/web': { json: serviceAt(1, ['A=1']) },
      'GET /services/web1': { json: serviceAt(4, ['A=1', 'B=2']) },
      'POST /services/web1/update': hangUp,
    });
    assert.equal((await addEnv()).code, 0);
    assert.equal(sent().length, 1);
  });

  it('gives up in the end', async () => {
    daemon.answer({
      'GET /services/web': { json: serviceAt(1, []) },
      'GET /services/web1': { json: serviceAt(1, []) },
      'POST /services/web1/update': outOfSequence,
    });
    const { code, err } = await addEnv();
    assert.equal(code, 1);
    assert.match(err, /update out of sequence/);
    assert.equal(sent().length, 10);
  });

  it('goes back only from what was looked at', async () => {
    const other = serviceAt(8, ['C=3']);
    daemon.answer({
      'GET /services/web': { json: { ...serviceAt(1, ['A=1']), PreviousSpec: other.Spec } },
      'GET /services/web1': { json: other },
      'POST /services/web1/update': outOfSequence,
    });
    const { code, err } = await runCli(daemon.host, ['service', 'rollback', '-d', 'web']);
    assert.equal(code, 1);
    assert.match(err, /changed by others: look at it again/);
  });
});

describe('a new service', () => {
  let daemon: StubDaemon;

  beforeEach(async () => {
    daemon = await new StubDaemon({}).listen();
  });
  afterEach(() => daemon[Symbol.asyncDispose]());

  const create = (image: string) =>
    runCli(
      daemon.host,
      `service create -d --no-resolve-image --replicas 2 --name web -e A=1 ${image}`.split(' '),
    );
  const taken = { status: 409, message: 'name conflicts with an existing object: service web' };

  it('is found again where its making was not answered', async () => {
    daemon.answer({
      'GET /services/web': { json: serviceAt(3, ['A=1']) },
      'POST /services/create': inTurn(hangUp, taken),
    });
    assert.deepEqual(await create('web:1'), { code: 0, out: 'web1\n', err: '' });
  });

  it('is not taken for another one of its name', async () => {
    daemon.answer({
      'GET /services/web': { json: serviceAt(3, ['A=1']) },
      'POST /services/create': inTurn(hangUp, taken),
    });
    const { code, err } = await create('other:1');
    assert.equal(code, 1);
    assert.match(err, /name conflicts with an existing object/);
  });
});
