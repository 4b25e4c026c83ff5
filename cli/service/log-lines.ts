/** Lines of `service logs`: each frame tells its task in details before the text. */
import type { Client } from '../client/index.ts';
import type { WireNode, WireTask } from '../client/wire.ts';

const nodeKey = 'com.docker.swarm.node.id';
const serviceKey = 'com.docker.swarm.service.id';
const taskKey = 'com.docker.swarm.task.id';

interface LogLine {
  readonly timestamp: string | undefined;
  readonly details: ReadonlyMap<string, string>;
  readonly text: string;
}

/** Reads `[TIMESTAMP ]KEY=VALUE,… TEXT`; undefined for what the daemon did not mark so. */
export function parseLogLine(line: string, timestamps: boolean): LogLine | undefined {
  const pattern = timestamps ? /^(\S+) (\S+) ([\s\S]*)$/ : /^()(\S+) ([\s\S]*)$/;
  const match = pattern.exec(line);
  if (match === null) return undefined;
  const [, timestamp = '', attributes = '', text = ''] = match;
  const details = new Map(
    attributes.split(',').map((pair): [string, string] => {
      const [key = '', value = ''] = pair.split('=', 2);
      return [unescaped(key), unescaped(value)];
    }),
  );
  if (!details.has(taskKey)) return undefined;
  return { timestamp: timestamps ? timestamp : undefined, details, text };
}

function unescaped(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}

interface PrefixOptions {
  readonly noResolve: boolean;
  readonly noTrunc: boolean;
  readonly noTaskIds: boolean;
  /** Digits of the highest slot. */
  readonly slotWidth: number;
}

/** Writes `web.1.abcdef@node` before lines, asking for each task once. */
export class LogPrefixes {
  readonly #client: Client;
  readonly #options: PrefixOptions;
  readonly #known = new Map<string, Promise<string>>();
  readonly #nodes = new Map<string, Promise<string>>();
  readonly #services = new Map<string, Promise<string>>();

  constructor(client: Client, options: PrefixOptions) {
    this.#client = client;
    this.#options = options;
  }

  async format(line: LogLine, showDetails: boolean): Promise<string> {
    const id = line.details.get(taskKey) ?? '';
    let prefix = this.#known.get(id);
    if (prefix === undefined) {
      prefix = this.#prefix(id, line.details);
      this.#known.set(id, prefix);
    }
    const extra = [...line.details]
      .filter(([key]) => key !== nodeKey && key !== serviceKey && key !== taskKey)
      .map(([key, value]) => `${key}=${value}`);
    const details = showDetails && extra.length > 0 ? `${extra.join(',')} ` : '';
    const time = line.timestamp === undefined ? '' : `${line.timestamp} `;
    return `${time}${await prefix}    | ${details}${line.text}`;
  }

  async #prefix(taskId: string, details: ReadonlyMap<string, string>): Promise<string> {
    const nodeId = details.get(nodeKey) ?? '';
    const serviceId = details.get(serviceKey) ?? '';
    const task = await this.#client.get<WireTask>(`/tasks/${taskId}`);
    const node = await this.#name(this.#nodes, nodeId, async () => {
      const found = await this.#client.get<WireNode>(`/nodes/${nodeId}`);
      return found.Spec.Name || found.Description.Hostname || nodeId;
    });
    const service = await this.#name(this.#services, serviceId, async () => {
      const found = await this.#client.get<{ Spec: { Name?: string } }>(`/services/${serviceId}`);
      return found.Spec.Name ?? serviceId;
    });
    const slot = task.Slot ?? 0;
    const { noTaskIds, noTrunc, slotWidth } = this.#options;
    const shownId = noTaskIds ? '' : `.${noTrunc ? taskId : taskId.slice(0, 12)}`;
    const padding = ' '.repeat(Math.max(0, slotWidth - String(slot).length));
    return `${service}.${slot}${shownId}@${node}${padding}`;
  }

  #name(
    known: Map<string, Promise<string>>,
    id: string,
    ask: () => Promise<string>,
  ): Promise<string> {
    if (this.#options.noResolve || id === '') return Promise.resolve(id);
    let name = known.get(id);
    if (name === undefined) {
      name = ask();
      known.set(id, name);
    }
    return name;
  }
}
