import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { inspectFormatFlag } from '../../command/common-flags.ts';
import { printInspected } from '../../format/inspect.ts';
import { platformFlag, platformJson } from '../../image/platform.ts';

const optional = new Set(
  (
    'Architecture Author Cmd Comment Config Created Digest DockerVersion Entrypoint Env ExposedPorts ' +
    'GraphDriver Healthcheck Labels Metadata Os OnBuild Parent RepoDigests RepoTags RootFS Shell Size ' +
    'StopSignal User Variant VirtualSize Volumes WorkingDir'
  ).split(' '),
);

const platform = platformFlag('Inspect a specific platform of the multi-platform image');

export const command: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  flags: [inspectFormatFlag, platform],
  args: atLeast(1),
  async run(context, references, flags) {
    const client = connect(context);
    const query = { platform: platformJson(flags.get(platform)) };
    const get = (reference: string) => client.get(`/images/${encodeURI(reference)}/json`, query);
    await printInspected(context.out, references, get, {
      format: flags.get(inspectFormatFlag),
      optional,
    });
  },
};
