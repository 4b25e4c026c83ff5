import { strict as assert } from 'node:assert';
import { fromBinary } from '@bufbuild/protobuf';
import { StatusResponseSchema, type StatusResponse } from '../../../gen/buildkit/control_pb.js';
import { SwarmError } from '../../../lib/errors.ts';
import { TraceBuffer } from './trace-buffer.ts';
import { traceReport } from './trace.ts';

function traced() {
  const updates: StatusResponse[] = [];
  let nowMs = 0;
  const report = traceReport({
    id: 'b',
    nowMs: () => (nowMs += 1000),
    emit: (one) => updates.push(one),
  });
  /** Each vertex as it was last told of, with its output. */
  const shown = () => {
    const all = new Map(
      updates.flatMap(({ vertexes }) => vertexes).map((one) => [one.digest, one]),
    );
    return [...all.values()].map(({ name, cached, error, digest, completed }) => {
      const logs = updates.flatMap((one) => one.logs).filter(({ vertex }) => vertex === digest);
      const output = logs.map(({ msg }) => Buffer.from(msg).toString('utf8')).join('');
      const how = completed === undefined ? 'runs' : cached ? 'CACHED' : error === '' ? '' : error;
      return [name, how, output].filter((text) => text !== '').join(' | ');
    });
  };
  return { report, shown, updates };
}

const stages = [
  { name: 'first', base: 'a', isOnStage: false, makers: 1 },
  { base: 'first', isOnStage: true, makers: 1 },
];

describe('the trace of a build', () => {
  it('has a vertex for each step that makes files', () => {
    const { report, shown } = traced();
    const steps = report.steps({ stages, marked: false });
    const id = '0123456789abcdef'.repeat(4);
    for (const line of [
      '[1/2] STEP 1/3: FROM a AS first',
      '[1/2] STEP 2/3: ENV A=b',
      '--> Using cache 770322ebad867dcc345821a41dbaff1afdf2521e3b9b40d0e6fb62fc79025757',
      '--> 770322ebad8',
      '[1/2] STEP 3/3: RUN make it',
      `--> Using cache ${id}`,
      '[2/2] STEP 1/2: FROM first',
      '[2/2] STEP 2/2: RUN echo --> a',
      '--> a',
      '[2/2] COMMIT',
      id,
    ]) {
      steps.line(line, 'stdout');
    }
    assert.equal(shown().at(-1), '[stage-1 1/1] RUN echo --> a | runs | --> a\n');
    steps.done();
    assert.deepEqual(shown(), [
      '[first 1/2] FROM a',
      '[first 2/2] RUN make it | CACHED',
      '[stage-1 1/1] RUN echo --> a | --> a\n',
    ]);
  });

  it('names steps of a single stage by their numbers alone, and hides marks', () => {
    const { report, shown } = traced();
    const stage = { base: 'a', isOnStage: false, makers: 1 };
    const steps = report.steps({ stages: [stage], marked: true });
    for (const line of [
      'STEP 1/3: FROM a',
      'STEP 2/3: ARG TS_SWARM_BUILD_ARGS=x1',
      '--> Using cache 770322ebad867dcc345821a41dbaff1afdf2521e3b9b40d0e6fb62fc79025757',
      'STEP 3/3: COPY nope /',
    ]) {
      steps.line(line, 'stdout');
    }
    const { message } = steps.failed(
      'Error: building at STEP "COPY nope /": checking on sources under "/c": copier: stat: "/nope": no such file or directory',
    );
    assert.equal(message, 'failed to compute cache key: "/nope" not found: not found');
    assert.deepEqual(shown(), ['[1/2] FROM a', '[2/2] COPY nope / | "/nope" not found: not found']);
  });

  it('tells how a command failed, in the words of BuildKit', () => {
    const { report, shown } = traced();
    const steps = report.steps({ stages: stages.slice(0, 1), marked: false });
    steps.line('STEP 1/2: FROM a', 'stdout');
    steps.line('STEP 2/2: RUN exit 7', 'stdout');
    const last = 'Error: building at STEP "RUN exit 7": while running runtime: exit status 7';
    const words = 'executor failed running [/bin/sh -c exit 7]: exit code: 7';
    assert.deepEqual(steps.failed(last), { message: words });
    assert.equal(shown().at(-1), `[first 2/2] RUN exit 7 | ${words}`);
  });

  it('ends what was under way when the build is cancelled', async () => {
    const { report, shown } = traced();
    const steps = report.steps({ stages, marked: false });
    steps.line('STEP 2/2: RUN sleep', 'stdout');
    steps.line('STEP 1/1: FROM a', 'stdout');
    const reason = new SwarmError('cancelled', 'stop');
    steps.broken(reason);
    const work = () => Promise.reject(reason);
    await assert.rejects(report.during({ kind: 'context' }, work), reason);
    assert.deepEqual(shown(), [
      '[first 1/2] FROM a | context canceled',
      '[internal] load build context | context canceled',
    ]);
  });

  it('tells of transfers now and then, and of their end', async () => {
    const { report, updates } = traced();
    await report.during({ kind: 'definition', name: 'Dockerfile' }, async ({ received }) => {
      received(0);
      received(70);
    });
    const statuses = updates.flatMap((one) => one.statuses);
    assert.ok(statuses.every(({ ID }) => ID === 'transferring dockerfile:'));
    const last = statuses.at(-1);
    assert.deepEqual([last?.current, last?.completed === undefined], [70n, false]);
  });

  it('says what is wrong with a Dockerfile as BuildKit does', () => {
    const { report } = traced();
    assert.match(
      report.refusal('failed to reach build target zz in Dockerfile'),
      /^failed to solve .*: target stage zz could not be found$/,
    );
  });
});

describe('what waits of a trace', () => {
  it('is taken as one message, and forgets the oldest output first', () => {
    const { report, updates } = traced();
    const steps = report.steps({ stages, marked: false });
    steps.line('STEP 1/2: FROM a', 'stdout');
    for (const line of ['one', 'two', 'three']) steps.line(line, 'stderr');
    const buffer = new TraceBuffer();
    assert.equal(buffer.take(), undefined);
    for (const update of updates) buffer.add(update);
    buffer.forget('two\nthree\n'.length);
    const { logs, vertexes } = fromBinary(StatusResponseSchema, buffer.take() ?? Buffer.of());
    assert.deepEqual(
      logs.map(({ msg }) => Buffer.from(msg).toString('utf8')),
      ['[output clipped: it came faster than it was read]\n', 'two\n', 'three\n'],
    );
    assert.equal(vertexes.length, 1);
    assert.equal(buffer.take(), undefined);
  });
});
