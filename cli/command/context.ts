/** What a command may use of the process it runs in; a test passes its own. */
import type { Readable } from 'node:stream';
import type { Clock } from '../../lib/clock.ts';
import type { TlsFlags } from '../client/tls.ts';
import type { Output } from '../format/output.ts';

export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable;
  readonly out: Output;
  readonly err: Output;
  readonly clock: Clock;
  /** Calls back at the first Ctrl-C instead of ending the process, until disposed. */
  onInterrupt(callback: () => void): Disposable;
  /** From `--host`; where absent, the environment or the default decides. */
  readonly host: string | undefined;
  /** From `--tls…`; where absent, the environment decides. */
  readonly tls?: TlsFlags;
}
