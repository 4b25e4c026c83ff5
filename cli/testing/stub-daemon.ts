/** A daemon that answers as a test tells it, and remembers what it was asked. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Asked {
  readonly method: string;
  /** Without the version of the API. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** JSON for 200, or a status with a body; a function may write the response itself. */
export type Answer =
  | { readonly json: unknown }
  | { readonly status: number; readonly message?: string }
  | ((asked: Asked, response: ServerResponse) => void);

/** Answers `METHOD /path` as told; anything else is 404 with Docker's words for a missing page. */
export class StubDaemon implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly host: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'cli-'));
  readonly #server: Server;
  readonly #apiVersion: string;
  #answers: Record<string, Answer>;

  constructor(answers: Record<string, Answer>, { apiVersion = '1.50' } = {}) {
    this.#answers = answers;
    this.#apiVersion = apiVersion;
    this.host = `unix://${this.#folder}/docker.sock`;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => {
      this.#server.listen(this.host.slice('unix://'.length), resolve);
    });
    return this;
  }

  answer(answers: Record<string, Answer>): void {
    this.#answers = { ...this.#answers, ...answers };
  }

  /** The body of the last request to this path, as JSON. */
  bodyOf(key: string): unknown {
    const asked = this.asked.findLast(({ method, path }) => `${method} ${path}` === key);
    return JSON.parse(asked?.body ?? 'null');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://stub');
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const asked: Asked = {
      method: request.method ?? '',
      path: url.pathname.replace(/^\/v\d+\.\d+/, ''),
      query: url.searchParams,
      headers: request.headers,
      body: Buffer.concat(chunks).toString('utf8'),
    };
    response.setHeader('Api-Version', this.#apiVersion);
    response.setHeader('Ostype', 'linux');
    if (asked.path === '/_ping') {
      response.end('OK');
      return;
    }
    this.asked.push(asked);
    const answer = this.#answers[`${asked.method} ${asked.path}`] ?? {
      status: 404,
      message: 'page not found',
    };
    if (typeof answer === 'function') answer(asked, response);
    else if ('json' in answer) response.end(JSON.stringify(answer.json));
    else {
      response.statusCode = answer.status;
      response.end(answer.message === undefined ? '' : JSON.stringify({ message: answer.message }));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true });
  }
}
