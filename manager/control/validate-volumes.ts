/** The labels that tell whether replicas follow their volumes. */
import { SwarmError } from '../../lib/errors.ts';
import {
  followLabel,
  followPolicies,
  stayingVolumesOf,
  volumeLabelsOf,
  type ServiceSpec,
} from '../../types/index.ts';

/** Throws `invalid-argument` for the first thing that is wrong. */
export function validateVolumes(spec: ServiceSpec): void {
  for (const [key, value] of volumeLabelsOf(spec)) {
    if (key !== followLabel) {
      throw invalid(`the label ${key} is no setting of volumes; there is ${followLabel}`);
    }
    if (!followPolicies.some((policy) => policy === value)) {
      throw invalid(`the label ${key} is "${value}", and can be ${followPolicies.join(', ')}`);
    }
    if (value !== 'require') continue;
    if (spec.mode.replicated === undefined) {
      throw invalid(`${followLabel}=require is for replicated services: only they have slots`);
    }
    if (stayingVolumesOf(spec.task.container).length === 0) {
      throw invalid(
        `${followLabel}=require needs a volume to follow: mount a named one of the driver local, ` +
          'such as type=volume,source=data-{{.Task.Slot}},target=/data',
      );
    }
  }
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
