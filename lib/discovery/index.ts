/**
 * Owns how a node finds managers on its own network when no address that it knows answers: after
 * all of them have moved at once. Imports the rest of lib and gen. Read seeker.ts first (who asks),
 * then responder.ts (who answers), datagram.ts (what makes it safe), and udp.ts (the network).
 */
export { Responder, type ResponderParts } from './responder.ts';
export { Seeker, type FoundManager, type SeekerParts } from './seeker.ts';
export { localUdp, type Asking, type Listening, type Udp } from './udp.ts';
