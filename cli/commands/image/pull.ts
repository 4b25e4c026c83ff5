import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { bool, text } from '../../command/flags.ts';
import { showProgress } from '../../image/progress.ts';
import { fullName, parseReference } from '../../image/reference.ts';
import { registryAuthFor } from '../../service/registry-auth.ts';

const allTags = bool('all-tags', 'Download all tagged images in the repository', { short: 'a' });
const platform = text('platform', 'Set platform if server is multi-platform capable');
const quiet = bool('quiet', 'Suppress verbose output', { short: 'q' });

export const command: Command = {
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  flags: [allTags, platform, quiet],
  args: exactly(1),
  async run(context, [name = ''], flags) {
    const { repository, tag, digest } = parseReference(name);
    if (repository === '') throw commandError('invalid reference format');
    if (flags.get(allTags) && (tag ?? digest) !== undefined) {
      throw commandError("tag can't be used with --all-tags/-a");
    }
    const isQuiet = flags.get(quiet) ?? false;
    const version = flags.get(allTags) ? undefined : (digest ?? tag ?? 'latest');
    if (version === 'latest' && tag === undefined && !isQuiet) {
      context.out.line('Using default tag: latest');
    }
    const response = await connect(context).stream('POST', '/images/create', {
      query: { fromImage: repository, tag: version, platform: flags.get(platform) },
      headers: { 'X-Registry-Auth': await registryAuthFor(repository, context.env) },
    });
    await showProgress(context.out, response, { quiet: isQuiet });
    const separator = digest === undefined ? ':' : '@';
    const suffix = version === undefined ? '' : `${separator}${version}`;
    context.out.line(`${fullName(repository)}${suffix}`);
  },
};
