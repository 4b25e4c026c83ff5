/** JSON as Go's templates see it: times and durations print as Go prints them. */
import { Printed } from '../../lib/go-template/index.ts';
import { goDuration } from './units.ts';

const durationKeys = new Set([
  'Delay',
  'Monitor',
  'Window',
  'StopGracePeriod',
  'Interval',
  'Timeout',
  'StartPeriod',
  'StartInterval',
  'NodeCertExpiry',
  'HeartbeatPeriod',
]);
const timeKeys = new Set(['CreatedAt', 'UpdatedAt', 'Timestamp', 'StartedAt', 'CompletedAt']);

export function goValue(value: unknown, key = ''): unknown {
  if (typeof value === 'number' && durationKeys.has(key)) {
    return new Printed(goDuration(value / 1e6), value);
  }
  if (typeof value === 'string' && timeKeys.has(key)) {
    const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?)Z$/.exec(value);
    if (match !== null) return new Printed(`${match[1]} ${match[2]} +0000 UTC`, value);
  }
  if (Array.isArray(value)) return value.map((item) => goValue(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, goValue(item, name)]),
  );
}
