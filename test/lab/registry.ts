/** A real registry, private to one lab: it listens on the lab's bridge only. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { http } from './http.ts';
import { pushImage, type ImageSpec } from './image.ts';
import { Service } from './service.ts';
import { pathsOf } from './state.ts';

export class Registry {
  /** Its host:port, as it stands in image references. */
  readonly address: string;
  readonly #labId: number;
  #service: Service | undefined;

  constructor(labId: number) {
    this.#labId = labId;
    this.address = `${pathsOf(labId).subnet}254:5000`;
  }

  get isRunning(): boolean {
    return this.#service?.isRunning ?? false;
  }

  /** Starts it, also again after `stop`: what was pushed is still there. */
  async start(): Promise<void> {
    const { run, data } = pathsOf(this.#labId);
    const storage = join(data, 'registry');
    const config = join(run, 'registry.json');
    mkdirSync(storage, { recursive: true });
    // JSON is YAML, which is what the registry reads.
    const settings = {
      version: 0.1,
      log: { level: 'warn', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
      http: { addr: this.address },
    };
    writeFileSync(config, JSON.stringify(settings));
    this.#service = await Service.start({
      labId: this.#labId,
      name: 'the registry',
      argv: ['docker-registry', 'serve', config],
      logFile: join(data, 'registry.log'),
      env: { OTEL_TRACES_EXPORTER: 'none' },
      depth: 0,
    });
    await this.#service.ready(async () => (await this.#get('/v2/')).status === 200);
  }

  /** Connections to it are refused from now on. */
  async stop(): Promise<void> {
    await this.#service?.kill();
    this.#service = undefined;
  }

  /** Builds and pushes an image; returns the full reference that services are created with. */
  async push(reference: string, spec: ImageSpec): Promise<string> {
    await pushImage(this.address, reference, spec);
    return `${this.address}/${reference}`;
  }

  /** The tags of a repository; empty when it does not exist. */
  async tags(name: string): Promise<readonly string[]> {
    const { status, body } = await this.#get(`/v2/${name}/tags/list`);
    return status === 200 ? (JSON.parse(body) as { tags: string[] }).tags : [];
  }

  #get(path: string) {
    return http({ origin: `http://${this.address}` }, path);
  }
}
