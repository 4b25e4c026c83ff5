/** Examinations of nodes: every node looks at itself, and the manager gathers what they say. */
import type { Doctor as DoctorDesc } from '../../gen/doctor_pb.js';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { CallContext, ClientOf, HandlersOf } from '../../lib/grpc/index.ts';
import type { Random } from '../../lib/random.ts';
import { finding, list, nodeFindings, type Finding, type NodeFindings } from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';

interface ExaminationsParts {
  readonly store: Pick<StoreView, 'nodes'>;
  readonly nodes: {
    /** Sends the request to the node; false where it has no session, or too many requests wait. */
    examine(nodeId: string, id: string): boolean;
  };
  readonly clock: Clock;
  readonly random: Random;
}

/** A node looks for some seconds where others do not answer it. */
const waitMs = 15_000;
const findingsBytesMax = 64 * 1024;
const runningMax = 16;
const findingList = list(finding);
const nodeList = list(nodeFindings);

export class Examinations {
  readonly #parts: ExaminationsParts;
  /** By the number of the request and the node. */
  readonly #waiting = new Map<string, (findings: Uint8Array) => void>();
  #running = 0;

  constructor(parts: ExaminationsParts) {
    this.#parts = parts;
  }

  /** A node has looked at itself, as it was asked. */
  answered(nodeId: string, id: string, findings: Uint8Array): void {
    this.#waiting.get(`${id} ${nodeId}`)?.(findings);
  }

  /** Of every node, by name. One that does not answer has the reason in place of findings. */
  async all(): Promise<readonly NodeFindings[]> {
    const { store, random } = this.#parts;
    if (this.#running >= runningMax) {
      throw new SwarmError(
        'resource-exhausted',
        `${runningMax} examinations of this swarm are under way; try again later`,
      );
    }
    this.#running++;
    try {
      const nodes = [...store.nodes()].map(({ id, description }) => ({
        id,
        hostname: description?.hostname ?? id,
      }));
      const request = random.id();
      const all = await Promise.all(
        nodes.map(async (node) => ({ ...node, ...(await this.#one(node.id, request)) })),
      );
      const named = all.map((node) => ({
        ...node,
        findings: node.findings.map((one) => ({ ...one, text: withNames(one.text, nodes) })),
      }));
      return named.toSorted((a, b) => (a.hostname < b.hostname ? -1 : 1));
    } finally {
      this.#running--;
    }
  }

  async #one(
    nodeId: string,
    request: string,
  ): Promise<{ readonly findings: readonly Finding[]; readonly error?: string }> {
    const { nodes, clock } = this.#parts;
    const key = `${request} ${nodeId}`;
    const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
    this.#waiting.set(key, resolve);
    const late = clock.after(waitMs, () => resolve(undefined));
    try {
      if (!nodes.examine(nodeId, request)) {
        return { findings: [], error: 'the node has no session with the leader' };
      }
      const answer = await promise;
      return answer === undefined
        ? { findings: [], error: `the node has not answered within ${waitMs / 1000} s` }
        : { findings: readFindings(answer) };
    } catch (error) {
      return { findings: [], error: SwarmError.from(error).message };
    } finally {
      late.cancel();
      this.#waiting.delete(key);
    }
  }
}

/** What the leader answers to other managers; to be registered with `allow: 'managers'`. */
export function serveDoctor(
  examinations: Examinations,
): HandlersOf<typeof DoctorDesc, CallContext> {
  return {
    examineAll: async () => ({
      nodes: Buffer.from(JSON.stringify(nodeList.encode([...(await examinations.all())]))),
    }),
  };
}

/** The leader's findings, as Examinations gives its own. */
export async function forwardedExaminations(
  leader: ClientOf<typeof DoctorDesc>,
): Promise<readonly NodeFindings[]> {
  const { nodes } = await leader.examineAll({}, { timeoutMs: 2 * waitMs });
  return nodeList.decode(JSON.parse(Buffer.from(nodes).toString('utf8')), 'nodes');
}

/** A node's word is shown on terminals: it is kept short and without control characters. */
function readFindings(bytes: Uint8Array): readonly Finding[] {
  if (bytes.length > findingsBytesMax) {
    throw new SwarmError('invalid-argument', 'the node says more than there can be to say');
  }
  const findings = findingList.decode(JSON.parse(Buffer.from(bytes).toString('utf8')), 'findings');
  return findings.map(({ check, level, text }) => ({
    check: printable(check),
    level,
    text: printable(text),
  }));
}

function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}

/** A worker knows others by their ids alone. */
function withNames(
  text: string,
  nodes: readonly { readonly id: string; readonly hostname: string }[],
): string {
  return nodes.reduce((done, { id, hostname }) => done.replaceAll(id, hostname), text);
}
