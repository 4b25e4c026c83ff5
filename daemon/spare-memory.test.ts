import { strict as assert } from 'node:assert';
import { VirtualClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { SpareMemory, type Memory } from './spare-memory.ts';

const mb = 2 ** 20;
const lookMs = 5_000;
const settleMs = 500;

/** A process of which only what is told is known. */
class FakeMemory implements Memory {
  resident = 0;
  heap = 0;
  cpu = 0;
  hostIdle = 0;
  /** What garbage is of the heap. */
  garbage = 0;
  readonly calls: string[] = [];

  residentBytes = () => this.resident;
  heapBytes = () => this.heap;
  cpuMs = () => this.cpu;
  hostIdleMs = () => this.hostIdle;
  collect = () => {
    this.calls.push('collect');
    this.heap -= this.garbage;
  };
  release = () => {
    this.calls.push('release');
    this.resident -= this.garbage;
    this.garbage = 0;
  };
}

describe('spare memory', () => {
  let clock: VirtualClock;
  let memory: FakeMemory;
  let keeper: SpareMemory;

  const look = (usedMs: number, hostIdleMs = 5_000) => {
    memory.cpu += usedMs;
    memory.hostIdle += hostIdleMs;
    clock.advance(lookMs + settleMs);
    return memory.calls.splice(0).join(' ');
  };

  beforeEach(() => {
    clock = new VirtualClock();
    memory = new FakeMemory();
    Object.assign(memory, { resident: 150 * mb, heap: 100 * mb, garbage: 60 * mb });
    keeper = new SpareMemory(memory, { clock, log: silentLogger });
    keeper.start();
  });
  afterEach(() => keeper[Symbol.dispose]());

  it('is given back once there is little to do', () => {
    assert.equal(look(4_000), '', 'there is much to do');
    assert.equal(look(100), 'collect release');
    assert.equal(memory.resident, 90 * mb);
  });

  it('is not looked for while others need the processors', () => {
    assert.equal(look(0, 1_000), '');
    assert.equal(look(0), 'collect release');
  });

  it('is left alone until there is something to be had', () => {
    look(0);
    memory.resident += 7 * mb;
    assert.equal(look(0), '');
    memory.resident += 2 * mb;
    assert.equal(look(0), 'collect release');
  });

  it('is measured by the least that this process had', () => {
    look(0);
    memory.resident = 60 * mb;
    assert.equal(look(0), '');
    memory.resident = 70 * mb;
    assert.equal(look(0), 'collect release');
  });

  it('is not searched for where that would take long', () => {
    memory.heap = 300 * mb;
    assert.equal(look(0), 'release');
  });

  it('is not looked after any more once disposed of', () => {
    keeper[Symbol.dispose]();
    assert.equal(look(0), '');
  });
});
