/** Builds the images of a stack, and pushes them to where the nodes take them from. */
import type { Stack, StackBuild } from '../../compose/index.ts';
import type { Client } from '../client/index.ts';
import type { Context } from '../command/context.ts';
import { folderContext } from '../image/context.ts';
import { showProgress } from '../image/progress.ts';
import { parseReference } from '../image/reference.ts';
import { registryAuthFor, registryConfigFor } from '../service/registry-auth.ts';
import { buildText } from './show.ts';

interface BuildOptions {
  readonly quiet: boolean;
}

/** What several services share is built once. */
export function buildsOf(stack: Stack): readonly StackBuild[] {
  const builds = new Map<string, StackBuild>();
  for (const { build } of stack.services) {
    if (build !== undefined) builds.set(JSON.stringify(build), build);
  }
  return [...builds.values()];
}

export async function buildImages(
  context: Context,
  client: Client,
  stack: Stack,
  options: BuildOptions,
): Promise<void> {
  for (const build of buildsOf(stack)) {
    context.out.line(buildText(build));
    await buildImage(context, client, build, options);
    for (const tag of build.tags) await pushImage(context, client, tag, options);
  }
}

async function buildImage(
  context: Context,
  client: Client,
  build: StackBuild,
  { quiet }: BuildOptions,
): Promise<void> {
  const inline = build.inline === undefined ? undefined : Buffer.from(build.inline);
  const file = build.dockerfile === undefined ? undefined : `${build.context}/${build.dockerfile}`;
  const dockerfile = build.dockerfile?.startsWith('/') ? build.dockerfile : file;
  const sent = await folderContext(build.context, dockerfile, inline);
  const args = Object.entries(build.args).map(([name, value]) => [
    name,
    value ?? context.env[name],
  ]);
  const response = await client.stream('POST', '/build', {
    query: {
      t: build.tags,
      dockerfile: sent.dockerfile,
      rm: 1,
      buildargs: JSON.stringify(
        Object.fromEntries(args.filter(([, value]) => value !== undefined)),
      ),
      labels: JSON.stringify(build.labels),
      extrahosts: build.extraHosts.join(','),
      target: build.target,
      networkmode: build.network,
      platform: build.platform,
      nocache: build.noCache,
      pull: build.pull,
      shmsize: build.shmBytes,
      ulimits: JSON.stringify(
        (build.ulimits ?? []).map(({ name, soft, hard }) => ({
          Name: name,
          Soft: soft,
          Hard: hard,
        })),
      ),
    },
    headers: { 'X-Registry-Config': await registryConfigFor(context.env) },
    upload: sent.archive,
  });
  await showProgress(context.out, response, { quiet });
}

async function pushImage(
  context: Context,
  client: Client,
  image: string,
  { quiet }: BuildOptions,
): Promise<void> {
  const { repository, tag } = parseReference(image);
  const response = await client.stream('POST', `/images/${encodeURI(repository)}/push`, {
    query: { tag: tag ?? 'latest' },
    headers: { 'X-Registry-Auth': await registryAuthFor(repository, context.env) },
  });
  await showProgress(context.out, response, { quiet });
}
