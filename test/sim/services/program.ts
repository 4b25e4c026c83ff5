/**
 * A random program: lines of a scenario (test/scenario/scenario.ts), drawn from a seed. It is text
 * so that whatever is left of it once it is shortened can be kept as a scenario.
 */
import { Dice } from '../dice.ts';
import {
  creationWords,
  fileNames,
  images,
  imageWord,
  jobPrefix,
  kinds,
  networkNames,
  serviceNames,
  someWords,
  volumeNames,
  volumes,
} from './words.ts';

const nodeIds = ['a', 'b', 'c', 'd', 'e', 'f'];
const waits = ['0s', '0s', '50ms', '400ms', '2s', '8s', '30s', '90s'];
const subnets: Readonly<Record<string, string>> = { small: '10.9.0.0/28', tiny: '10.9.2.0/29' };

export function randomProgram(seed: number): string[] {
  const dice = new Dice(seed ^ 0x51ed270b);
  const steps = 8 + dice.below(40);
  return [
    ...dice.some(nodeIds, 2 + dice.below(5)).map((id) => nodeLine(dice, id)),
    ...networkNames.map(networkLine),
    ...volumeNames.map(volumeLine),
    `allow ${dice.pick(allowed)}`,
    ...fileNames.flatMap((name) => [`secret ${name} one`, `config ${name} one`]),
    'run 0s',
    ...dice.some(serviceNames, 1 + dice.below(5)).map((name) => creation(dice, name)),
    ...Array.from({ length: steps }, () => step(dice)).flat(),
  ];
}

/** What goes before every program: those that the lines name. */
export function imageLines(lines: readonly string[]): string[] {
  const named = new Set(lines.flatMap((line) => /image=(\S+)/.exec(line)?.[1] ?? []));
  return allImageLines().filter((line) => named.has(line.split(' ')[1] ?? ''));
}

function allImageLines(): string[] {
  return Object.entries(images).flatMap(([name, words]) => {
    const ends = words.some((word) => /^(?:exit|hangs|stuck|unhealthy|rejected)/.test(word));
    return [
      `image ${name} ${words.join(' ')}`.trimEnd(),
      `image ${jobPrefix}${name} ${[...words, ...(ends ? [] : ['exit=0', 'after=3s'])].join(' ')}`,
    ];
  });
}

function nodeLine(dice: Dice, id: string): string {
  const words = [
    `zone=${dice.pick(['east', 'west'])}`,
    ...(dice.chance(0.5) ? [`rack=${dice.pick(['r1', 'r2', 'r3'])}`] : []),
    `cpus=${dice.pick([2, 4])}`,
    `memory=${dice.pick([4096, 8192])}`,
    ...(dice.chance(0.3) ? [`gpu=${dice.pick([1, 3])}`] : []),
    ...(dice.chance(0.2) ? ['gpus=g0,g1'] : []),
    ...(dice.chance(0.2) ? ['role=manager'] : []),
    ...(dice.chance(0.2) ? ['arch=aarch64'] : []),
    ...(dice.chance(0.2) ? ['ip=10.0.1.7'] : []),
    ...(dice.chance(0.2) ? ['engine.tier=gold'] : []),
    ...(dice.chance(0.8) ? ['csi=array'] : []),
  ];
  return `nodes ${id} ${words.join(' ')}`;
}

function networkLine(name: string): string {
  return `network ${name} ${subnets[name] ?? ''}`.trimEnd();
}

function volumeLine(name: string): string {
  return `volume ${name} ${volumes[name]}`;
}

function creation(dice: Dice, name: string): string {
  return `create ${name} ${creationWords(dice, name).join(' ')}`;
}

type Op = (dice: Dice) => string;

const service = (dice: Dice) => dice.pick(serviceNames);
const node = (dice: Dice) => dice.pick(nodeIds);
const replicated = serviceNames.filter((name) => kinds[name] === 'replicated');

/** Ops with their weights. */
const ops: readonly (readonly [number, Op])[] = [
  [6, (dice) => creation(dice, service(dice))],
  [6, (dice) => updated(dice, (name) => [imageWord(dice, name)])],
  [8, (dice) => updated(dice, (name) => someWords(dice, name, 3))],
  [4, (dice) => updated(dice, (name) => [imageWord(dice, name), ...someWords(dice, name, 3)])],
  [5, (dice) => `scale ${dice.pick(replicated)}=${dice.below(9)}`],
  [3, (dice) => updated(dice, () => [`force=${1 + dice.below(1_000)}`])],
  [3, (dice) => `rollback ${service(dice)}`],
  [2, (dice) => `rm ${service(dice)}`],
  [1, (dice) => `rebalance ${dice.pick(replicated)}`],
  [1, (dice) => `policy ${dice.pick(['on-join', 'off'])}`],
  [2, (dice) => `drain ${node(dice)}`],
  [1, (dice) => `pause ${node(dice)}`],
  [3, (dice) => `activate ${node(dice)}`],
  [2, (dice) => `label ${node(dice)} zone=${dice.pick(['east', 'west', 'north'])}`],
  [1, (dice) => `${dice.pick(['promote', 'demote'])} ${node(dice)}`],
  [2, (dice) => `cut ${node(dice)}`],
  [2, (dice) => `kill ${node(dice)}`],
  [4, (dice) => `restore ${node(dice)}`],
  [1, (dice) => `remove ${node(dice)}`],
  [2, (dice) => nodeLine(dice, node(dice))],
  [1, (dice) => `slow ${node(dice)} ${dice.pick([1, 5, 30])}`],
  [2, (dice) => `crash ${service(dice)}.${dice.chance(0.6) ? dice.below(5) : node(dice)}`],
  [2, (dice) => `weather ${dice.pick(weathers)}`],
  [3, (dice) => `leader ${dice.pick(['0s', '0s', '0s', '2s', '-2s'])}`],
  [1, (dice) => `leaderless ${dice.pick(['1s', '10s', '150s'])}`],
  [1, (dice) => `history ${dice.pick([-1, 0, 1, 5])}`],
  [4, (dice) => `load ${dice.pick(replicated)} ${dice.pick(loads)}`],
  [2, (dice) => `requests ${dice.pick(replicated)} ${dice.pick(requests)}`],
  [1, (dice) => `volume-rm ${dice.pick(volumeNames)}`],
  [2, (dice) => volumeLine(dice.pick(volumeNames))],
  [2, (dice) => `array ${dice.pick(['0', '0.3', '0.8'])}`],
  [2, (dice) => `allow ${dice.pick(allowed)}`],
  [1, (dice) => `network-rm ${dice.pick(networkNames)}`],
  [1, (dice) => networkLine(dice.pick(networkNames))],
  [2, (dice) => `revise-${fileKind(dice)} ${dice.pick(fileNames)} ${dice.pick(['two', 'three'])}`],
  [1, (dice) => `rm-${fileKind(dice)} ${dice.pick(fileNames)}`],
  [1, (dice) => `${fileKind(dice)} ${dice.pick(fileNames)} one`],
];
const loads = ['0', '0.4', '1.2 most=1', '3', '4 most=0.8', '9', 'unknown'];
const requests = ['0', '25', '60 most=15', '200', 'broken'];
const allowed = ['privileged', 'privileged', 'devices', 'none'];
const weathers = [
  'late=0s',
  'loss=0.2 late=1s',
  'double=0.3 late=3s',
  'loss=0.1 double=0.1 late=8s',
];
const total = ops.reduce((sum, [weight]) => sum + weight, 0);

function step(dice: Dice): string[] {
  let left = dice.float() * total;
  const [, op] = ops.find(([weight]) => (left -= weight) < 0) ?? ops[0]!;
  return [op(dice), `run ${dice.pick(waits)}`];
}

function updated(dice: Dice, words: (name: string) => readonly string[]): string {
  const name = service(dice);
  return `update ${name} ${words(name).join(' ')}`;
}

function fileKind(dice: Dice): string {
  return dice.pick(['secret', 'config']);
}
