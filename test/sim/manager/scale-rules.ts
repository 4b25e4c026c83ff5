/** What must hold of the number of replicas that autoscaling gives a service. */
import type { ObjectEvent } from '../../../manager/store/index.ts';
import { autoscaleOf, type Service } from '../../../types/index.ts';
import { Violation } from '../violation.ts';

/** Throws Violation. */
export function scalesWithinBounds(event: ObjectEvent): void {
  if (event.table !== 'service' || event.action === 'remove') return;
  const { object, old } = event;
  const settings = autoscaleOf(object.spec);
  if (settings === undefined) return;
  const { name } = object.spec;
  const replicas = replicasOf(object);
  if (replicas < settings.min || replicas > settings.max) {
    throw new Violation('autoscaling keeps to its bounds', `${name} has ${replicas} replicas`);
  }
  if (old === undefined || replicasOf(old) === replicas) return;
  const { from, to, atMs } = object.autoscale?.scaled ?? {};
  const isDecided = from === replicasOf(old) && to === replicas;
  if (!isDecided || atMs === old.autoscale?.scaled?.atMs) {
    throw new Violation(
      'each step is decided once',
      `${name} goes from ${replicasOf(old)} to ${replicas}, and was scaled from ${from} to ${to}`,
    );
  }
}

function replicasOf({ spec }: Service): number {
  return spec.mode.replicated?.replicas ?? 0;
}
