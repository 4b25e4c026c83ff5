/** Twenty rolling updates under a thousand requests a second: `npm run chaos`. */
import { clearShop, Shop, shopImages } from '../cluster/shop.ts';
import { useSwarm } from '../cluster/swarm.ts';

const updates = 20;
const clientHost = 'h4';

describe('chaos on networks', () => {
  const get = useSwarm({ hosts: 4, managers: 1, images: shopImages });
  afterEach(() => clearShop(get()));

  it('updates four tasks 20 times under 1,000 requests a second', async () => {
    const options = { replicas: 4, requestsPerSecond: 1000, clientHost };
    const shop = await Shop.open(get(), options);
    for (let times = 0; times < updates; times++) await shop.update();
    await shop.closeUnharmed(`${updates} updates`);
  });

  it('updates a single task 20 times, the new one first', async () => {
    const flags = ['--update-order', 'start-first'];
    const options = { replicas: 1, flags, requestsPerSecond: 1000, clientHost };
    const shop = await Shop.open(get(), options);
    for (let times = 0; times < updates; times++) await shop.update();
    await shop.closeUnharmed(`${updates} updates of one task`);
  });
});
