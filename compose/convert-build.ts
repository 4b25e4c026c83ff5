/** `build`: what the builder is asked for. */
import { present } from './convert-deploy.ts';
import { convertUlimits } from './convert-container.ts';
import type { Field, Reader } from './read.ts';
import type { StackBuild } from './stack.ts';

const place = 'services.*.build';

/** Undefined where nothing is to be built. What is built has to be pushed, and so to be named. */
export function convertBuild(read: Reader, service: Field): StackBuild | undefined {
  const build = read.at(service, 'build');
  const image = read.text(read.at(service, 'image'));
  if (build.node === undefined) {
    if (image === undefined) read.problems.add(service.node!.at, `${service.name} needs an image`);
    return undefined;
  }
  if (!read.keys(build, place)) return undefined;
  if (image === undefined) {
    read.problems.add(
      build.node.at,
      `${build.name}: name the image with "image", in a registry that all nodes reach: it is ` +
        'pushed there',
    );
    return undefined;
  }
  const context = read.text(read.at(build, 'context'));
  if (context === undefined || !context.startsWith('/')) {
    const at = read.at(build, 'context').node?.at ?? build.node.at;
    read.problems.add(at, `${build.name}.context must be a folder`);
    return undefined;
  }
  checkIsolation(read, read.at(build, 'isolation'));
  return {
    context,
    tags: [...new Set([image, ...read.texts(read.at(build, 'tags'))])],
    args: read.pairs(read.at(build, 'args')),
    labels: read.record(read.at(build, 'labels')),
    extraHosts: read.texts(read.at(build, 'extra_hosts')).map((host) => host.replace('=', ':')),
    ...present({
      dockerfile: read.text(read.at(build, 'dockerfile')),
      inline: inlineOf(read, build),
      target: read.text(read.at(build, 'target')),
      network: read.text(read.at(build, 'network')),
      platform: platformOf(read, build, service),
      noCache: read.boolean(read.at(build, 'no_cache')),
      pull: read.boolean(read.at(build, 'pull')),
      shmBytes: read.bytes(read.at(build, 'shm_size')),
      ulimits: convertUlimits(read, read.at(build, 'ulimits')),
    }),
  };
}

function inlineOf(read: Reader, build: Field): string | undefined {
  const inline = read.at(build, 'dockerfile_inline');
  if (inline.node !== undefined && read.at(build, 'dockerfile').node !== undefined) {
    read.problems.add(
      inline.node.at,
      `${inline.name}: give either dockerfile or dockerfile_inline`,
    );
  }
  return read.text(inline);
}

function platformOf(read: Reader, build: Field, service: Field): string | undefined {
  const platforms = read.at(build, 'platforms');
  const [first, ...others] = read.texts(platforms);
  if (others.length > 0) {
    read.problems.add(
      platforms.node!.at,
      `${platforms.name}: an image is built for one platform, that of the node that builds it`,
    );
  }
  return first ?? read.text(read.at(service, 'platform'));
}

function checkIsolation(read: Reader, field: Field): void {
  const text = read.text(field);
  if (text === undefined || text === 'default') return;
  read.problems.add(field.node!.at, `${field.name}: there is no isolation to choose here`);
}
