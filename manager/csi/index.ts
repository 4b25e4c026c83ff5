/**
 * Carries out on the leader what manager/volume plans: asks drivers, by way of the nodes that have
 * them, and writes down what came of it. Imports lib, types, and its siblings in manager.
 */
export { VolumeKeeper, type VolumeKeeperParts } from './keeper.ts';
