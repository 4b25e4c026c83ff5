/** What this daemon answers to commands that do not fit its part in a swarm; mostly Docker's words. */

export const notInSwarm =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect ' +
  'this node to swarm and try again.';

export const isWorker =
  "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. " +
  'Please run this command on a manager node or promote the current node to a manager.';

export const lockedLeaves =
  'Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.';

export const alreadyInSwarm =
  'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join ' +
  'another one.';

export const managerLeaves =
  'You are attempting to leave the swarm on a node that is participating as a manager. The only ' +
  'way to restore a swarm that has lost consensus is to reinitialize it with ' +
  '`--force-new-cluster`. Use `--force` to suppress this message.';

export const lastManager =
  'You are attempting to leave the swarm on a node that is participating as a manager. Removing ' +
  'the last manager erases all current state of the swarm. Use `--force` to ignore this message.';
