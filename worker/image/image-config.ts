/** The part of a configuration that containers inherit; what has the wrong type is left out. */
import type { ImageConfig } from './images.ts';
import { isObject } from './oci.ts';

type Healthcheck = NonNullable<ImageConfig['healthcheck']>;

export function readImageConfig(raw: Readonly<Record<string, unknown>>): ImageConfig {
  const config = isObject(raw['config']) ? raw['config'] : {};
  const stopSignal = text(config['StopSignal']);
  const healthcheck = isObject(config['Healthcheck'])
    ? readHealthcheck(config['Healthcheck'])
    : undefined;
  return {
    entrypoint: texts(config['Entrypoint']),
    cmd: texts(config['Cmd']),
    env: texts(config['Env']),
    workingDir: text(config['WorkingDir']),
    user: text(config['User']),
    labels: textRecord(config['Labels']),
    volumes: keys(config['Volumes']),
    exposedPorts: keys(config['ExposedPorts']),
    ...(stopSignal === '' ? {} : { stopSignal }),
    ...(healthcheck === undefined ? {} : { healthcheck }),
  };
}

function readHealthcheck(raw: Record<string, unknown>): Healthcheck {
  const count = (name: keyof Healthcheck) => {
    const value = raw[name];
    return typeof value === 'number' && Number.isFinite(value) ? { [name]: value } : {};
  };
  return {
    Test: texts(raw['Test']),
    ...count('Interval'),
    ...count('Timeout'),
    ...count('StartPeriod'),
    ...count('StartInterval'),
    ...count('Retries'),
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
}

function textRecord(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  );
}

/** Docker writes sets as objects whose values say nothing. */
function keys(value: unknown): readonly string[] {
  return isObject(value) ? Object.keys(value).sort() : [];
}
