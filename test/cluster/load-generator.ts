/**
 * Run by node within a network namespace: `load-generator.ts ADDRESS PORT RATE EXPECT TIMEOUT`. Opens RATE
 * connections a second, one for each request and each tried once, and counts every way in which one
 * may fail. Prints a line once it goes, and the outcome as JSON after SIGTERM.
 */
import { connect } from 'node:net';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { nowMs, type LoadOutcome } from './load.ts';

const tickMs = 4;
/** Beyond them requests are not sent, and counted: a failure as well. */
const inFlightMax = 4000;

const [address = '', port = '', rate = '', expect = '', limit = ''] = process.argv.slice(2);
const timeoutMs = Number(limit);
const expected = new RegExp(expect);
const latencies: number[] = [];
const failures: LoadOutcome['failures'][number][] = [];
const answers = new Map<string, number>();
let sent = 0;
let inFlight = 0;

function request(): void {
  const startMs = nowMs();
  sent++;
  inFlight++;
  let text = '';
  let isOver = false;
  const end = (failure?: string) => {
    if (isOver) return;
    isOver = true;
    inFlight--;
    socket.destroy();
    const endMs = nowMs();
    if (failure === undefined) latencies.push(endMs - startMs);
    else failures.push({ kind: failure, startMs, endMs });
    if (inFlight === 0 && stopping) finish();
  };
  const socket = connect({ host: address, port: Number(port) });
  socket.setTimeout(timeoutMs, () => end(socket.connecting ? 'connect timed out' : 'timed out'));
  socket.on('connect', () => socket.write(`GET / HTTP/1.1\r\nHost: ${address}\r\n\r\n`));
  socket.on('data', (chunk) => (text += chunk.toString()));
  socket.on('error', (error) => end(errnoOf(error) ?? messageOf(error)));
  socket.on('end', () => {
    const [head = '', body = ''] = text.split('\r\n\r\n');
    if (!head.startsWith('HTTP/1.1 200') && !head.startsWith('HTTP/1.0 200')) {
      end(`bad head '${head.slice(0, 40)}'`);
    } else if (expected.test(body)) {
      answers.set(body.trim(), (answers.get(body.trim()) ?? 0) + 1);
      end();
    } else {
      end(`bad body '${body.slice(0, 40)}'`);
    }
  });
}

function finish(): void {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
  const outcome: LoadOutcome = {
    sent,
    seconds: (stoppedMs - beganMs) / 1000,
    failures,
    answers: Object.fromEntries(answers),
    latencyMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
  };
  console.log(JSON.stringify(outcome));
  process.exit(0);
}

const beganMs = nowMs();
let stoppedMs = 0;
let due = 0;
let stopping = false;
const timer = setInterval(() => {
  // What a pause of this process has missed is made up for within a second.
  due = Math.min(due + Number(rate), ((nowMs() - beganMs) / 1000) * Number(rate));
  while (sent < Math.floor(due)) {
    if (inFlight < inFlightMax) {
      request();
      continue;
    }
    sent++;
    failures.push({ kind: 'too many in flight', startMs: nowMs(), endMs: nowMs() });
  }
}, tickMs);
process.on('SIGTERM', () => {
  clearInterval(timer);
  stopping = true;
  stoppedMs = nowMs();
  if (inFlight === 0) finish();
});
console.log('begun');
