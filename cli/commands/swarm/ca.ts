import { readFile } from 'node:fs/promises';
import { messageOf } from '../../../lib/errors.ts';
import { connect, type Client } from '../../client/index.ts';
import type { WireSwarm } from '../../client/wire.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { bool, text, type FlagValues } from '../../command/flags.ts';
import { caFlags, changedSpec } from '../../swarm/cluster-flags.ts';
import { swarmSpec } from '../../../types/index.ts';
import type { Context } from '../../command/context.ts';

const rotate = bool(
  'rotate',
  'Rotate the swarm CA - if no certificate or key are provided, new ones will be generated',
);
const caCert = text(
  'ca-cert',
  'Path to the PEM-formatted root CA certificate to use for the new cluster',
  {
    word: 'pem-file',
  },
);
const caKey = text('ca-key', 'Path to the PEM-formatted root CA key to use for the new cluster', {
  word: 'pem-file',
});
const detach = bool(
  'detach',
  'Exit immediately instead of waiting for the root rotation to converge',
  {
    short: 'd',
  },
);
const quiet = bool('quiet', 'Suppress progress output', { short: 'q' });

const rotationPollMs = 500;
const rotationTimeoutMs = 10 * 60_000;
const namesShown = 5;

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [rotate, caCert, caKey, detach, quiet, ...caFlags],
  args: noArgs,
  async run(context, _args, flags) {
    const client = connect(context);
    const swarm = await client.get<WireSwarm>('/swarm');
    if (flags.get(rotate)) await rotateRoot(context, client, swarm, flags);
    else {
      for (const flag of [caCert, caKey, detach, quiet, ...caFlags]) {
        if (flags.has(flag)) {
          throw commandError(
            `\`--${flag.name}\` flag requires the \`--rotate\` flag to update the CA`,
          );
        }
      }
      printRoot(context, swarm);
    }
  },
};

async function rotateRoot(
  context: Context,
  client: Client,
  swarm: WireSwarm,
  flags: FlagValues,
): Promise<void> {
  const spec = swarmSpec.decode(changedSpec(swarm.Spec, flags), 'Spec');
  const cert = await readPem(flags.get(caCert));
  const key = await readPem(flags.get(caKey));
  if (key !== undefined && cert === undefined) throw commandError('--ca-key needs --ca-cert');
  const ca = {
    ...spec.ca,
    forceRotate: (spec.ca.forceRotate ?? 0) + 1,
    ...(cert === undefined ? {} : { signingCaCert: cert }),
    ...(key === undefined ? {} : { signingCaKey: key }),
  };
  await client.json('POST', '/swarm/update', {
    query: { version: swarm.Version.Index },
    body: swarmSpec.encode({ ...spec, ca }),
  });
  if (flags.get(detach)) return;
  await watchRotation(context, client, flags.get(quiet) ?? false);
}

/** Shows how many nodes have gone over to the new root, until all have. */
async function watchRotation(context: Context, client: Client, isQuiet: boolean): Promise<void> {
  const deadlineMs = context.clock.monotonicMs() + rotationTimeoutMs;
  for (let shown = ''; ;) {
    const [now, nodes] = await Promise.all([
      client.get<WireSwarm>('/swarm'),
      client.get<readonly RotatedNode[]>('/nodes'),
    ]);
    const wanted = now.TLSInfo?.CertIssuerPublicKey;
    const missing = nodes.filter((node) => issuerOf(node) !== wanted);
    const names = missing.map(({ ID, Description }) => Description?.Hostname ?? ID).toSorted();
    const line =
      `rotated TLS certificates: ${nodes.length - missing.length}/${nodes.length} nodes` +
      (missing.length === 0 ? '' : `, waiting for ${listed(names)}`);
    if (line !== shown && !isQuiet) context.out.line(line);
    shown = line;
    if (now.RootRotationInProgress !== true) {
      if (!isQuiet) printRoot(context, now);
      return;
    }
    if (context.clock.monotonicMs() > deadlineMs) {
      throw commandError(
        'the rotation goes on, and was not done after 10 minutes: every node must come up to renew ' +
          `its certificate, or be removed; missing: ${listed(names)}`,
      );
    }
    await context.clock.sleep(rotationPollMs);
  }
}

interface RotatedNode {
  readonly ID: string;
  readonly Description?: {
    readonly Hostname?: string;
    readonly TLSInfo?: { readonly CertIssuerPublicKey?: string };
  };
}

function issuerOf({ Description }: RotatedNode): string | undefined {
  return Description?.TLSInfo?.CertIssuerPublicKey;
}

/** The first few names. */
function listed(names: readonly string[]): string {
  const rest = names.length - namesShown;
  return names.slice(0, namesShown).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

function printRoot(context: Context, swarm: WireSwarm): void {
  const root = swarm.TLSInfo?.TrustRoot;
  if (!root) throw commandError('No CA information available');
  context.out.line(root.trimEnd());
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw commandError(`${path} cannot be read: ${messageOf(error)}`);
  }
}
