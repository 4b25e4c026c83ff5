/** Files in and out of containers: cp, diff and export. */
import type { Stats } from 'node:fs';
import { SwarmError } from '../../lib/errors.ts';
import type { PathStat } from '../../worker/container/archive/archives.ts';
import type { Target } from '../../worker/container/manager.ts';
import { timeText } from '../convert/time.ts';
import type { Exchange } from '../exchange.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';

const statHeader = 'X-Docker-Container-Path-Stat';

export function containerArchiveRoutes(modules: RouteModules): Route[] {
  const { containers } = modules.backend;
  const { archives, events } = containers;
  const on = (
    method: Route['method'],
    verb: string,
    handle: (exchange: Exchange, target: Target) => Promise<void>,
  ): Route => ({
    method,
    path: `/containers/{id...}/${verb}`,
    handle: async (exchange) => handle(exchange, await containers.find(exchange.param('id'))),
  });
  return [
    on('HEAD', 'archive', async (exchange, target) => {
      exchange.header(statHeader, encoded(await archives.stat(target, pathOf(exchange))));
      exchange.empty(200);
    }),
    on('GET', 'archive', (exchange, target) =>
      archives.read(target, pathOf(exchange), async (stat, chunks) => {
        exchange.header(statHeader, encoded(stat));
        events.tell('archive-path', target.view.record);
        await send(exchange, chunks);
      }),
    ),
    on('PUT', 'archive', async (exchange, target) => {
      const keepsKinds = exchange.flag('noOverwriteDirNonDir');
      await archives.write(target, pathOf(exchange), bodyOf(exchange), { keepsKinds });
      events.tell('extract-to-dir', target.view.record);
      exchange.empty(200);
    }),
    on('GET', 'changes', async (exchange, target) => {
      const changes = await archives.changes(target);
      exchange.json(
        changes.length === 0 ? null : changes.map(({ path, kind }) => ({ Path: path, Kind: kind })),
      );
    }),
    on('GET', 'export', (exchange, target) =>
      archives.export(target, async (chunks) => {
        events.tell('export', target.view.record);
        await send(exchange, chunks);
      }),
    ),
  ];
}

function pathOf(exchange: Exchange): string {
  const path = exchange.query.get('path') ?? '';
  if (path !== '') return path;
  throw new SwarmError('invalid-argument', "bad parameter: 'path' cannot be empty");
}

async function send(exchange: Exchange, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  exchange.begin('application/x-tar');
  for await (const chunk of chunks) await exchange.write(chunk);
  exchange.end();
}

async function* bodyOf(exchange: Exchange): AsyncIterable<Uint8Array> {
  for await (const chunk of exchange.request) {
    exchange.signal.throwIfAborted();
    yield chunk as Buffer;
  }
}

function encoded({ name, stat, linkTarget }: PathStat): string {
  const document = {
    name,
    size: stat.size,
    mode: goMode(stat),
    mtime: timeText(stat.mtimeMs),
    linkTarget,
  };
  return Buffer.from(JSON.stringify(document)).toString('base64');
}

/** Go has bits of its own for the kinds of files. */
function goMode(stat: Stats): number {
  const bits: readonly [boolean, number][] = [
    [stat.isDirectory(), 31],
    [stat.isSymbolicLink(), 27],
    [stat.isBlockDevice() || stat.isCharacterDevice(), 26],
    [stat.isFIFO(), 25],
    [stat.isSocket(), 24],
    [(stat.mode & 0o4000) !== 0, 23],
    [(stat.mode & 0o2000) !== 0, 22],
    [stat.isCharacterDevice(), 21],
    [(stat.mode & 0o1000) !== 0, 20],
  ];
  const set = bits.filter(([is]) => is).map(([, bit]) => 2 ** bit);
  return set.reduce((sum, bit) => sum + bit, stat.mode & 0o777);
}
