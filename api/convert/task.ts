import { genericResource, type Network, type Task } from '../../types/index.ts';
import type { JsonObject } from './json.ts';
import { metaJson } from './meta.ts';
import { attachmentsJson } from './network.ts';
import { iterationJson, portsJson, taskSpecJson } from './service.ts';
import { timeText } from './time.ts';

/** `networkOf`: the swarm's networks by their ids. */
export function taskJson(
  task: Task,
  networkOf: (id: string) => Network | undefined = () => undefined,
): JsonObject {
  const { status } = task;
  const { container, ports = [] } = status;
  return {
    ID: task.id,
    ...metaJson(task.meta),
    Name: task.name,
    Labels: {},
    Spec: taskSpecJson(task.spec),
    ServiceID: task.serviceId,
    Slot: task.slot === 0 ? undefined : task.slot,
    NodeID: task.nodeId === '' ? undefined : task.nodeId,
    Status: {
      Timestamp: timeText(status.atMs),
      State: status.state,
      Message: status.message,
      Err: status.err,
      ContainerStatus:
        container === undefined
          ? undefined
          : {
              ContainerID: container.containerId,
              PID: container.pid,
              ExitCode: container.exitCode ?? 0,
            },
      PortStatus: ports.length === 0 ? {} : { Ports: portsJson(ports) },
    },
    DesiredState: task.desiredState,
    JobIteration: task.jobIteration === undefined ? undefined : iterationJson(task.jobIteration),
    NetworksAttachments: attachmentsJson(task, networkOf),
    GenericResources: task.genericResources?.map(
      (resource) => genericResource.encode(resource) as JsonObject,
    ),
  };
}
