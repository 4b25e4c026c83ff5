/** What a command may use of the process it runs in; a test passes its own. */
import type { Readable } from 'node:stream';
import type { Clock } from '../../lib/clock.ts';
import type { TlsFlags } from '../client/tls.ts';
import type { Output } from '../format/output.ts';

type Input = Readable & { readonly isTTY?: boolean };

export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Input;
  readonly out: Output;
  readonly err: Output;
  readonly clock: Clock;
  /** Calls back at the first Ctrl-C instead of ending the process, until disposed. */
  onInterrupt(callback: () => void): Disposable;
  /** The terminal passes everything on as it comes, in both directions, until disposed. */
  rawTerminal(): Disposable;
  /** Calls back at each of these signals, which then do nothing else, until disposed. */
  onSignals(names: readonly NodeJS.Signals[], callback: (name: string) => void): Disposable;
  /** From `--host`; where absent, the environment or the default decides. */
  readonly host: string | undefined;
  /** From `--context`: the name of one of docker's contexts. */
  readonly dockerContext?: string | undefined;
  /** From `--tls…`; where absent, the environment decides. */
  readonly tls?: TlsFlags;
}
