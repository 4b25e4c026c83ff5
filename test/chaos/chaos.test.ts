/** What the cluster tests do a few times, done many times: `npm run chaos`. */
import { killLeaders, leaveAndJoin, restartAll } from '../cluster/losses.ts';
import { useManagers } from '../cluster/managers.ts';

/** Enough changes for every loss to fall among them, few enough to look through at the end. */
const pauseMs = 100;

describe('chaos on three managers', () => {
  const get = useManagers({ hosts: 4, managers: 3, replicas: 0 });
  const hosts = () => get().lab.hosts.slice(0, 3);

  it('kills the leader 50 times while clients write', () =>
    killLeaders(get(), hosts(), { rounds: 50, name: 'chaos-kill', pauseMs }));

  it('has managers leave and join 50 times', () => leaveAndJoin(get(), hosts(), 50));

  it('kills and starts all of them 20 times while clients write', () =>
    restartAll(get(), hosts(), { rounds: 20, name: 'chaos-restart', pauseMs }));
});

describe('chaos on five managers', () => {
  const get = useManagers({ hosts: 5, managers: 5, replicas: 0 });

  it('kills the leader 30 times while clients write', () =>
    killLeaders(get(), get().lab.hosts, { rounds: 30, name: 'chaos-five', pauseMs }));
});
