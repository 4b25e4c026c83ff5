/** Where two documents of the API differ in what they ask for. Pure. */

export interface Difference {
  /** `TaskTemplate.ContainerSpec.Image`. */
  readonly path: string;
  /** Undefined where there is none. */
  readonly before: unknown;
  readonly after: unknown;
}

/** What the API fills in where a client says nothing, by the end of the path. */
const defaults: readonly (readonly [end: RegExp, value: unknown])[] = [
  [/^EndpointSpec\.Mode$/, 'vip'],
  [/^TaskTemplate\.Runtime$/, 'container'],
  [/^TaskTemplate\.ForceUpdate$/, 0],
  [/^TaskTemplate\.ContainerSpec\.Isolation$/, 'default'],
  [/^TaskTemplate\.RestartPolicy\.Condition$/, 'any'],
  [/^TaskTemplate\.RestartPolicy\.MaxAttempts$/, 0],
  [/^(Update|Rollback)Config\.FailureAction$/, 'pause'],
  [/^(Update|Rollback)Config\.Order$/, 'stop-first'],
  [/\.Mounts\.\d+\.Type$/, 'volume'],
  [/\.(ReadOnly|TTY|OpenStdin|NoCopy|NoNewPrivileges)$/, false],
];

/** In the order in which the fields stand. */
export function differences(before: unknown, after: unknown): Difference[] {
  const [old, wanted] = [leaves(before), leaves(after)];
  const paths = [...new Set([...old.keys(), ...wanted.keys()])];
  return paths
    .filter((path) => old.get(path) !== wanted.get(path))
    .map((path) => ({
      path,
      before: parsed(old.get(path)),
      after: parsed(wanted.get(path)),
    }))
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** Every value that stands for itself, as JSON, by its path; what is empty or a default is not. */
function leaves(value: unknown, path = '', found = new Map<string, string>()): Map<string, string> {
  if (value === null || value === undefined || value === '') return found;
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) {
    if (value.length > 0) found.set(path, JSON.stringify(value));
  } else if (typeof value === 'object') {
    for (const [key, item] of Object.entries(value)) {
      leaves(item, path === '' ? key : `${path}.${key}`, found);
    }
    // {"Global": {}} says something by being there.
    if (path.startsWith('Mode.Global')) found.set(path, '{}');
  } else if (!defaults.some(([end, usual]) => value === usual && end.test(path))) {
    found.set(path, JSON.stringify(value));
  }
  return found;
}

function parsed(json: string | undefined): unknown {
  return json === undefined ? undefined : (JSON.parse(json) as unknown);
}

/** `TaskTemplate.ContainerSpec.Image: "web:1" → "web:2"`. */
export function differenceText({ path, before, after }: Difference): string {
  if (Array.isArray(before) && Array.isArray(after)) {
    const gone = before.filter((item) => !after.includes(item));
    const come = after.filter((item) => !before.includes(item));
    if (gone.length + come.length > 0) {
      const words = [...gone.map((item) => `-${show(item)}`), ...come.map((i) => `+${show(i)}`)];
      return `${path}: ${words.join(' ')}`;
    }
  }
  return `${path}: ${show(before)} → ${show(after)}`;
}

function show(value: unknown): string {
  return value === undefined ? '(none)' : JSON.stringify(value);
}
