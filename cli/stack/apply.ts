/** Does the steps of a plan, and says each as it is done. */
import { networkSpec, serviceSpec, type ServiceSpec } from '../../types/index.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Client } from '../client/index.ts';
import type { WireMeta, WireService } from '../client/wire.ts';
import type { Context } from '../command/context.ts';
import { changeService } from '../service/change.ts';
import { draftOf } from '../service/draft.ts';
import { resolveReferences } from '../service/references.ts';
import { registryAuthFor } from '../service/registry-auth.ts';
import type { Step } from './plan.ts';
import { stepText } from './show.ts';

interface ApplyOptions {
  readonly withRegistryAuth: boolean;
}

/** A service that the plan made or changed, to be waited for. */
export interface Deployed {
  readonly id: string;
  readonly name: string;
  /** Its version before the change; 0 where it is new. */
  readonly sinceVersion: number;
}

export async function applySteps(
  context: Context,
  client: Client,
  steps: readonly Step[],
  options: ApplyOptions,
): Promise<readonly Deployed[]> {
  const deployed: Deployed[] = [];
  for (const step of steps) {
    if (step.do !== 'keep-service') context.out.line(stepText(step));
    const done = await applyStep(context, client, step, options);
    if (done !== undefined) deployed.push(done);
  }
  return deployed;
}

async function applyStep(
  context: Context,
  client: Client,
  step: Step,
  options: ApplyOptions,
): Promise<Deployed | undefined> {
  switch (step.do) {
    case 'create-network':
      await client.json('POST', '/networks/create', {
        body: { ...(networkSpec.encode(step.network.spec!) as object), CheckDuplicate: true },
      });
      return undefined;
    case 'create-file':
    case 'update-file':
      await sendFile(client, step);
      return undefined;
    case 'remove-file':
      await removeFile(context, client, step);
      return undefined;
    case 'remove-service':
      await client.json('DELETE', `/services/${step.current.ID}`);
      return undefined;
    case 'create-service':
      return createService(context, client, step.spec, options);
    case 'update-service':
      return updateService(context, client, step.spec, step.current, options);
    default:
      return undefined;
  }
}

async function sendFile(
  client: Client,
  step: Extract<Step, { do: 'create-file' | 'update-file' }>,
): Promise<void> {
  const { name } = step.file;
  const { data, labels, templateDriver } = step.file.content!;
  const body = {
    Name: name,
    Labels: labels,
    Data: data,
    ...(templateDriver === undefined ? {} : { Templating: { Name: templateDriver } }),
  };
  if (step.do === 'create-file') {
    await client.json('POST', `/${step.kind}s/create`, { body });
    return;
  }
  const path = `/${step.kind}s/${encodeURIComponent(name)}`;
  if (!step.file.content!.versioned) {
    // Another content is the name's next revision, which rolls the services that use it.
    await client.json('POST', `${path}/revisions`, { body: { Data: data } });
  }
  const { ID, Version } = await client.get<WireMeta>(path);
  const query = { version: Version.Index };
  await client.json('POST', `/${step.kind}s/${ID}/update`, { query, body });
}

/** An old version that somebody else still uses stays, and is not what the deployment is about. */
async function removeFile(
  context: Context,
  client: Client,
  { kind, current }: Extract<Step, { do: 'remove-file' }>,
): Promise<void> {
  try {
    await client.json('DELETE', `/${kind}s/${current.ID}`);
  } catch (error) {
    const failure = SwarmError.from(error);
    if (failure.details['status'] === undefined) throw error;
    context.err.line(`${kind} ${current.Spec.Name} stays: ${failure.message}`);
  }
}

async function createService(
  context: Context,
  client: Client,
  spec: ServiceSpec,
  options: ApplyOptions,
): Promise<Deployed> {
  const draft = draftOf(spec);
  await resolveReferences(draft, client);
  const auth = await authFor(context, spec, options);
  const created = await client.json<{ ID: string; Warnings?: string[] | null }>(
    'POST',
    '/services/create',
    {
      body: serviceSpec.encode(draft),
      headers: auth === undefined ? {} : { 'X-Registry-Auth': auth },
    },
  );
  for (const warning of created.Warnings ?? []) context.err.line(warning);
  return { id: created.ID, name: spec.name, sinceVersion: 0 };
}

async function updateService(
  context: Context,
  client: Client,
  spec: ServiceSpec,
  current: WireService,
  options: ApplyOptions,
): Promise<Deployed> {
  const auth = await authFor(context, spec, options);
  const { warnings, sinceVersion } = await changeService(
    context,
    client,
    current,
    async (draft) => {
      const { forceUpdate } = draft.task;
      const wanted = draftOf(spec);
      await resolveReferences(wanted, client);
      for (const key of Object.keys(draft)) delete draft[key as keyof typeof draft];
      Object.assign(draft, wanted, { task: { ...wanted.task, forceUpdate } });
    },
    auth === undefined ? { registryAuthFrom: 'spec' } : { registryAuth: auth },
  );
  for (const warning of warnings) context.err.line(warning);
  return { id: current.ID, name: spec.name, sinceVersion };
}

async function authFor(
  context: Context,
  spec: ServiceSpec,
  options: ApplyOptions,
): Promise<string | undefined> {
  if (!options.withRegistryAuth) return undefined;
  return registryAuthFor(spec.task.container?.image ?? '', context.env);
}
