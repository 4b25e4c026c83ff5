/** What the tasks of a node work with. */
import type { Semaphore } from '../../lib/concurrency.ts';
import type { ClusterVolumes } from '../csi/index.ts';
import type { NodeDevices } from '../device/index.ts';
import type { NetworkDriver } from '../network/network.ts';
import type { NodeFacts } from '../task/index.ts';
import type { Volumes } from '../volume/index.ts';
import type { ContainerFiles } from './container-files.ts';
import type { FileMounts } from './file-mounts.ts';
import type { FileVault } from './file-vault.ts';
import type { Holder } from './handover.ts';
import type { HealthMonitorDeps } from './health-monitor.ts';
import type { ImagePulls } from './image-pulls.ts';
import type { TaskDriver } from './task-driver.ts';

export interface DriverContext extends HealthMonitorDeps {
  readonly node: () => NodeFacts;
  readonly network: NetworkDriver;
  readonly pulls: ImagePulls;
  readonly files: ContainerFiles;
  readonly devices: Pick<NodeDevices, 'given' | 'identitiesOf' | 'refresh'>;
  readonly volumes: Pick<Volumes, 'provide' | 'connect' | 'adopt' | 'disconnect' | 'removeOwnedBy'>;
  readonly clusterVolumes: Pick<ClusterVolumes, 'connect' | 'adopt' | 'disconnect'>;
  /** The secrets and configs of all tasks, and those of containers as files. */
  readonly vault: FileVault;
  readonly fileMounts: FileMounts;
  /** All tasks of the node, those included that are being removed. */
  readonly holders: () => Iterable<Holder>;
  /** How many containers are started, and how many removed, at once. */
  readonly starts: Semaphore;
  readonly removals: Semaphore;
  /** The task has a new status, or is prepared. */
  readonly onProgress: (driver: TaskDriver, statusChanged: boolean) => void;
  /** A container's health is another than it was. */
  readonly onHealth: (containerId: string, health: string) => void;
  /** Ends with the executor. */
  readonly signal: AbortSignal;
}
