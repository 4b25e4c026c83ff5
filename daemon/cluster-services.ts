/** What a manager answers on the cluster port, and to whom. */
import { CertificateAuthority } from '../gen/ca_pb.js';
import { Control as ControlService } from '../gen/control_pb.js';
import { Doctor as DoctorService } from '../gen/doctor_pb.js';
import { Attachments, Dispatcher as DispatcherService } from '../gen/dispatcher_pb.js';
import { LogReader as LogReaderService, Logs as LogsService } from '../gen/logs_pb.js';
import { Group as GroupService, Raft as RaftService } from '../gen/raft_pb.js';
import type { ClusterServer } from '../lib/grpc/index.ts';
import type { CertificateAuthorityService } from '../manager/ca/index.ts';
import { serveAttachments, serveControl, type Control } from '../manager/control/index.ts';
import {
  serveDoctor,
  serveLogReader,
  type Dispatcher,
  type LogBroker,
} from '../manager/dispatcher/index.ts';
import type { ManagerGroup, PeerTransport } from '../manager/peers/index.ts';
import type { Store } from '../manager/store/index.ts';
import type { Tunnels } from './tunnels.ts';

interface ClusterServices {
  readonly store: Store;
  readonly ca: CertificateAuthorityService;
  readonly dispatcher: Dispatcher;
  readonly tunnels: Tunnels;
  readonly control: Control;
  readonly logBroker: LogBroker;
  readonly transport: PeerTransport;
  readonly group: ManagerGroup;
}

/** To be called before the server listens. */
export function serveCluster(server: ClusterServer, services: ClusterServices): void {
  const { store, ca, dispatcher, tunnels, control, logBroker, transport, group } = services;
  server.addService(CertificateAuthority, ca.handlers, { allow: 'anyone' });
  server.addService(DispatcherService, dispatcher.handlers, { allow: 'nodes' });
  tunnels.addTo(server);
  server.addService(Attachments, serveAttachments(control, store), { allow: 'nodes' });
  server.addService(LogsService, logBroker.handlers, { allow: 'nodes' });
  server.addService(LogReaderService, serveLogReader(logBroker, store), { allow: 'managers' });
  server.addService(DoctorService, serveDoctor(dispatcher.examinations), { allow: 'managers' });
  server.addService(RaftService, transport.handlers, { allow: 'managers' });
  server.addService(GroupService, group.handlers, { allow: 'managers' });
  // The port has let managers pass only.
  const commands = serveControl(
    control,
    () => store.isLeader,
    () => undefined,
  );
  server.addService(ControlService, commands, { allow: 'managers' });
}
