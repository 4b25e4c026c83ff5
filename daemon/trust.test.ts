import { strict as assert } from 'node:assert';
import { X509Certificate } from 'node:crypto';
import { realClock } from '../lib/clock.ts';
import { issuerInfo } from '../lib/identity/index.ts';
import { silentLogger } from '../lib/log.ts';
import { createRootCa } from '../manager/ca/index.ts';
import { TrustFollower } from './trust.ts';

const names = ['first', 'second', 'third'] as const;
type Root = (typeof names)[number];

const cases: readonly {
  readonly name: string;
  /** Whom the node trusts, and who has issued its certificate. */
  readonly node: readonly [Root, Root];
  /** The swarm's root, and who issues now. */
  readonly news: readonly [Root, Root];
  readonly trusts?: Root;
  readonly renews?: true;
}[] = [
  { name: 'leaves all as it is', node: ['first', 'first'], news: ['first', 'first'] },
  {
    name: 'renews for the next root',
    node: ['first', 'first'],
    news: ['first', 'second'],
    renews: true,
  },
  { name: 'waits for the others', node: ['first', 'second'], news: ['first', 'second'] },
  {
    name: 'trusts the new root when all have certificates of it',
    node: ['first', 'second'],
    news: ['second', 'second'],
    trusts: 'second',
  },
  {
    name: 'trusts the root that came while it was off, and renews for the one after it',
    node: ['first', 'second'],
    news: ['second', 'third'],
    trusts: 'second',
    renews: true,
  },
  {
    name: 'renews first where the new root has not issued its certificate',
    node: ['first', 'first'],
    news: ['second', 'second'],
    renews: true,
  },
];

describe('a node that hears of roots', () => {
  const pems = new Map<Root, string>();
  const pemOf = (root: Root) => pems.get(root) as string;

  before(async () => {
    for (const name of names) pems.set(name, (await createRootCa(realClock)).certPem);
  });

  for (const { name, node, news, trusts, renews } of cases) {
    it(name, () => {
      const [trusted, issuer] = node;
      const [rootCa, issuesNow] = news;
      let taken: string | undefined;
      let renewed: true | undefined;
      const rootPem = pemOf(trusted);
      const follower = new TrustFollower({
        identity: {
          rootPem,
          tls: { trustRoot: rootPem, ...issuerInfo(new X509Certificate(pemOf(issuer))) },
          trustRoot: async (pem) => void (taken = pem),
          trustIntermediates: () => undefined,
        },
        renewer: { renewWithin: () => (renewed = true) },
        log: silentLogger,
      });
      follower.learn({ rootCaPem: pemOf(rootCa), issuerPem: pemOf(issuesNow) });
      assert.equal(taken, trusts && pemOf(trusts));
      assert.equal(renewed, renews);
    });
  }
});
