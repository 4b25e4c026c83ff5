import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { bool } from '../../command/flags.ts';
import { platformFlag, platformJson } from '../../image/platform.ts';
import { showProgress } from '../../image/progress.ts';
import { fullName, parseReference } from '../../image/reference.ts';
import { registryAuthFor } from '../../service/registry-auth.ts';

const allTags = bool('all-tags', 'Push all tags of an image to the repository', { short: 'a' });
const quiet = bool('quiet', 'Suppress verbose output', { short: 'q' });

const platform = platformFlag('Push just the image of this platform of a multi-platform image');

export const command: Command = {
  usage: '[OPTIONS] NAME[:TAG]',
  flags: [allTags, platform, quiet],
  args: exactly(1),
  async run(context, [name = ''], flags) {
    const { repository, tag, digest } = parseReference(name);
    if (repository === '') throw commandError('invalid reference format');
    if (digest !== undefined) throw commandError('cannot push a digest reference');
    const isAll = flags.get(allTags) ?? false;
    if (isAll && tag !== undefined) throw commandError("tag can't be used with --all-tags/-a");
    const isQuiet = flags.get(quiet) ?? false;
    const version = isAll ? undefined : (tag ?? 'latest');
    if (!isAll && tag === undefined && !isQuiet) context.out.line('Using default tag: latest');
    const response = await connect(context).stream(
      'POST',
      `/images/${encodeURI(repository)}/push`,
      {
        query: { tag: version, platform: platformJson(flags.get(platform)) },
        headers: { 'X-Registry-Auth': await registryAuthFor(repository, context.env) },
      },
    );
    await showProgress(context.out, response, { quiet: isQuiet });
    if (isQuiet) context.out.line(`${fullName(repository)}${isAll ? '' : `:${version}`}`);
  },
};
