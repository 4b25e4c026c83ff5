/** What governs restarts, updates and logs: kept as given; test/cluster shows it at work. */
import { container, inspected, template, type OptionCase, type Sight } from './sight.ts';

/** The same options with one value, or with another. */
export function policies(turn: 'first' | 'second'): readonly OptionCase[] {
  const pick = <T>(first: T, second: T): T => (turn === 'first' ? first : second);
  const option = (
    flag: string,
    [value, expected]: readonly [string, unknown],
    read: (sight: Sight) => unknown,
  ): OptionCase => ({ flag, args: [flag, value], seen: inspected(read, expected) });
  const updates = (prefix: 'update' | 'rollback'): OptionCase[] => {
    const config = (key: string) => (sight: Sight) =>
      sight.service.Spec[prefix === 'update' ? 'UpdateConfig' : 'RollbackConfig'][key];
    const one = (name: string, key: string, given: readonly [string, unknown]) =>
      option(`--${prefix}-${name}`, given, config(key));
    return [
      one('delay', 'Delay', pick(['10ms', 10_000_000], ['20ms', 20_000_000])),
      one('failure-action', 'FailureAction', pick(['continue', 'continue'], ['pause', 'pause'])),
      one('max-failure-ratio', 'MaxFailureRatio', pick(['0.25', 0.25], ['0.5', 0.5])),
      one('monitor', 'Monitor', pick(['300ms', 300_000_000], ['200ms', 200_000_000])),
      one('order', 'Order', pick(['stop-first', 'stop-first'], ['start-first', 'start-first'])),
      one('parallelism', 'Parallelism', pick(['3', 3], ['0', 0])),
    ];
  };
  const restart = (name: string, key: string, given: readonly [string, unknown]) =>
    option(`--restart-${name}`, given, (sight) => template(sight).RestartPolicy[key]);
  return [
    ...updates('update'),
    ...updates('rollback'),
    restart('condition', 'Condition', pick(['on-failure', 'on-failure'], ['any', 'any'])),
    restart('delay', 'Delay', pick(['250ms', 250_000_000], ['350ms', 350_000_000])),
    restart('max-attempts', 'MaxAttempts', pick(['4', 4], ['5', 5])),
    restart('window', 'Window', pick(['2m', 120_000_000_000], ['1m', 60_000_000_000])),
    option('--replicas-max-per-node', pick(['2', 2], ['3', 3]), (sight) => {
      return template(sight).Placement.MaxReplicas;
    }),
    option('--stop-grace-period', pick(['700ms', 700_000_000], ['900ms', 900_000_000]), (sight) => {
      return container(sight).StopGracePeriod;
    }),
    option('--isolation', ['default', 'default'], (sight) => container(sight).Isolation),
    option('--log-driver', pick(['json-file', 'json-file'], ['local', 'local']), (sight) => {
      return template(sight).LogDriver.Name;
    }),
    option('--log-opt', pick(['max-size=64k', '64k'], ['max-size=32k', '32k']), (sight) => {
      return template(sight).LogDriver.Options['max-size'];
    }),
  ];
}
