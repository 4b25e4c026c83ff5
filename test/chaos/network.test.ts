/** What the cluster tests do a few times with networks, done many times: `npm run chaos`. */
import { comeAndGo } from '../cluster/churn.ts';
import { clearShop, Shop, shopImages } from '../cluster/shop.ts';
import { useSwarm } from '../cluster/swarm.ts';
import { createAndRemove, turnoverFlags } from '../cluster/turnover.ts';

const updates = 20;
/** Of the container's requests and of those from outside, each. */
const requestsPerSecond = 500;
const clientHost = 'h4';
const mesh = { from: 'h4', to: 'h3' } as const;
const timeoutMs = 600_000;

describe('chaos on networks', () => {
  const flags = { daemonFlags: turnoverFlags };
  const get = useSwarm({ hosts: 4, managers: 1, images: shopImages, ...flags });
  afterEach(() => clearShop(get()));

  it('updates four tasks 20 times under 1,000 requests a second', async () => {
    const options = { replicas: 4, requestsPerSecond, clientHost, mesh };
    const shop = await Shop.open(get(), options);
    for (let times = 0; times < updates; times++) await shop.update(timeoutMs);
    await shop.closeUnharmed(`${updates} updates`);
  });

  it('updates a single task 20 times, the new one first', async () => {
    const flags = ['--update-order', 'start-first'];
    const options = { replicas: 1, flags, requestsPerSecond, clientHost, mesh };
    const shop = await Shop.open(get(), options);
    for (let times = 0; times < updates; times++) await shop.update(timeoutMs);
    await shop.closeUnharmed(`${updates} updates of one task`);
  });

  it('has 300 services come and go', () => comeAndGo(get(), 300));

  it('has 5,000 services that are removed at once', () => createAndRemove(get(), 5000));
});
