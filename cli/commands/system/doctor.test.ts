import { strict as assert } from 'node:assert';
import { runCli } from '../../testing/run-cli.ts';
import { StubDaemon } from '../../testing/stub-daemon.ts';

describe('ts-swarm doctor', () => {
  let daemon: StubDaemon;

  beforeEach(async () => {
    daemon = await new StubDaemon({}).listen();
  });
  afterEach(() => daemon[Symbol.asyncDispose]());

  const cli = (...argv: string[]) => runCli(daemon.host, ['doctor', ...argv]);
  const node = (...Findings: { Check: string; Level: string; Text: string }[]) => ({
    'GET /doctor': { json: { Nodes: [{ ID: 'node1', Hostname: 'h1', Findings }] } },
  });
  const well = { Check: 'kernel', Level: 'ok', Text: 'the kernel offers all' };
  const odd = { Check: 'repairs', Level: 'warning', Text: '3 things were put right' };
  const bad = { Check: 'data-path', Level: 'error', Text: 'open UDP port 4789' };

  it('says of everything how it is, and ends well where nothing is wrong', async () => {
    daemon.answer(node(odd, well));
    assert.deepEqual(await cli(), {
      code: 0,
      out:
        'h1 (node1)\n' +
        '  WARNING  repairs  3 things were put right\n' +
        '  ok       kernel   the kernel offers all\n',
      err: '',
    });
  });

  it('ends with 1 where something is wrong', async () => {
    daemon.answer(node(bad, well));
    const { code, out } = await cli();
    assert.equal(code, 1);
    assert.match(out, /ERROR  data-path  open UDP port 4789/);
  });

  it('gives programs JSON', async () => {
    daemon.answer(node(well));
    const { out } = await cli('--format', 'json');
    assert.deepEqual(JSON.parse(out), {
      Nodes: [{ ID: 'node1', Hostname: 'h1', Findings: [well] }],
    });
  });
});
