import { strict as assert } from 'node:assert';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, type Logger } from '../../../lib/log.ts';
import { delegateControllers } from './cgroup-root.ts';

describe('the root of cgroup v2', () => {
  let folder: string;
  const file = (name: string) => join(folder, name);
  const write = (files: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(file(name), text);
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-cgroup-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const cases = [
    { name: 'hands down what it has and does not', given: 'cpu', expect: '+memory +pids' },
    { name: 'is left alone where all is there', given: 'cpu memory pids', expect: undefined },
  ];
  for (const { name, given, expect } of cases) {
    it(name, async () => {
      write({ 'cgroup.controllers': 'cpu memory pids rdma\n', 'cgroup.subtree_control': given });
      await delegateControllers(folder, silentLogger);
      assert.equal(readFileSync(file('cgroup.subtree_control'), 'utf8'), expect ?? given);
      assert.equal(existsSync(file('init')), false, 'nothing has to move');
    });
  }

  it('says so where it cannot be written, and lets the daemon go on', async () => {
    write({ 'cgroup.controllers': 'cpu\n', 'cgroup.subtree_control': '' });
    const said: string[] = [];
    const log: Logger = { ...silentLogger, warn: (message) => said.push(message) };
    // Stands for a file system that is mounted read-only: root cannot write it either.
    rmSync(file('cgroup.subtree_control'));
    symlinkSync('/proc/version', file('cgroup.subtree_control'));
    await delegateControllers(folder, log);
    assert.equal(said.length, 1);
  });
});

/** The kernel itself, with a cgroup that stands for the root of a namespace. */
describe('a cgroup v2 with processes in it', () => {
  const root = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((path) =>
    existsSync(join(path, 'cgroup.controllers')),
  );
  const read = (path: string) => readFileSync(path, 'utf8').split(/\s+/).filter(Boolean);
  let cgroup: string;
  let child: ChildProcess;
  let controller: string;
  let wasEnabled: boolean;

  before(async function () {
    if (root === undefined || process.getuid?.() !== 0) this.skip();
    const offered = read(join(root, 'cgroup.controllers'));
    controller = ['hugetlb', 'pids'].find((name) => offered.includes(name)) ?? '';
    if (controller === '') this.skip();
    wasEnabled = read(join(root, 'cgroup.subtree_control')).includes(controller);
    writeFileSync(join(root, 'cgroup.subtree_control'), `+${controller}`);
    cgroup = join(root, `ts-swarm-test-${process.pid}`);
    mkdirSync(cgroup);
    child = spawn('sleep', ['100']);
    await once(child, 'spawn');
    writeFileSync(join(cgroup, 'cgroup.procs'), String(child.pid));
  });

  after(async () => {
    if (child === undefined) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
    rmdirSync(join(cgroup, 'init'));
    rmdirSync(cgroup);
    if (!wasEnabled) writeFileSync(join(root ?? '', 'cgroup.subtree_control'), `-${controller}`);
  });

  it('moves them to a leaf and hands its controllers down', async () => {
    await delegateControllers(cgroup, silentLogger);
    assert.ok(read(join(cgroup, 'cgroup.subtree_control')).includes(controller));
    assert.deepEqual(read(join(cgroup, 'cgroup.procs')), []);
    assert.deepEqual(read(join(cgroup, 'init', 'cgroup.procs')), [String(child.pid)]);
    await delegateControllers(cgroup, silentLogger);
  });
});
