/** Volumes as Docker's clients see them. */
import type { Volume } from '../../worker/volume/volume.ts';
import type { JsonObject } from './json.ts';
import { timeText } from './time.ts';

export function volumeJson(volume: Volume): JsonObject {
  const { name, driver, labels, options, mountpoint, scope, createdAtMs, status } = volume;
  return {
    // To the second, as Docker's.
    CreatedAt: timeText(Math.floor(createdAtMs / 1000) * 1000),
    Driver: driver,
    Labels: labels,
    Mountpoint: mountpoint,
    Name: name,
    Options: options,
    Scope: scope,
    ...(status === undefined ? {} : { Status: status as JsonObject }),
  };
}

/** `bytes`: -1 where only its driver knows. */
export function volumeUsageJson(volume: Volume, users: number, bytes: number): JsonObject {
  return { ...volumeJson(volume), UsageData: { RefCount: users, Size: bytes } };
}
