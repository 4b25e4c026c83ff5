import type { Meta } from '../../types/index.ts';
import type { JsonObject } from './json.ts';
import { timeText } from './time.ts';

export function metaJson(meta: Meta): JsonObject {
  return {
    Version: { Index: meta.version },
    CreatedAt: timeText(meta.createdAtMs),
    UpdatedAt: timeText(meta.updatedAtMs),
  };
}
