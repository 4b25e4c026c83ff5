/** What makes the label of autoscaling a good one, for the service that it is given to. */
import { SwarmError } from '../../lib/errors.ts';
import { autoscaleLabel, readAutoscale, type ServiceSpec } from '../../types/index.ts';

/** Throws `invalid-argument` for the first thing that is wrong. */
export function validateAutoscale({ labels, mode, task }: ServiceSpec): void {
  const other = Object.keys(labels).find((key) => key.startsWith(`${autoscaleLabel}.`));
  if (other !== undefined) {
    throw invalid(`the label ${other} sets nothing; all of autoscaling is in ${autoscaleLabel}`);
  }
  const text = labels[autoscaleLabel];
  if (text === undefined) return;
  const settings = readAutoscale(text);
  if (typeof settings === 'string') throw invalid(`autoscale: ${settings}`);
  if (mode.replicated === undefined) {
    throw invalid('autoscale: only a replicated service has a number of replicas to be scaled');
  }
  const metrics = settings.targets.map(({ metric }) => metric);
  const { reservations, limits } = task.resources ?? {};
  const memory = reservations?.memoryBytes || limits?.memoryBytes;
  if (metrics.includes('memory') && !memory) {
    throw invalid(
      'autoscale: memory is measured against what is reserved, or else the limit; set one of both',
    );
  }
  const own = ['connections', 'connection-rate', 'requests'];
  const ofNetwork = metrics.find((one) => own.includes(one));
  const isOnHost = (task.networks ?? []).some(({ target }) => target === 'host');
  if (ofNetwork !== undefined && isOnHost) {
    throw invalid(
      `autoscale: ${ofNetwork} cannot be told apart on the network host; use another network or metric`,
    );
  }
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
