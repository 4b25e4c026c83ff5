import { SwarmError } from '../../lib/errors.ts';
import { nodeSpec, type Node } from '../../types/index.ts';
import { nodeJson } from '../convert/node.ts';
import { Filters } from '../filters.ts';
import { findNode } from '../lookup.ts';
import type { Route } from '../router.ts';
import { tlsInfoOf } from '../tls-info.ts';
import { byId } from './order.ts';
import type { RouteModules } from './modules.ts';

const filterKeys = ['name', 'id', 'label', 'node.label', 'role', 'membership'];

export function nodeRoutes({ backend }: RouteModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/nodes',
      async handle(exchange) {
        const filters = Filters.parse(exchange.query.get('filters'), filterKeys);
        checkWords(filters, 'role', ['worker', 'manager']);
        checkWords(filters, 'membership', ['accepted', 'pending']);
        const view = await backend.manager().read();
        const tlsInfo = tlsInfoOf(view.cluster());
        const nodes = byId([...view.nodes()].filter((node) => matches(node, filters)));
        await exchange.jsonList(nodes, (node) => nodeJson(node, tlsInfo));
      },
    },
    {
      method: 'GET',
      path: '/nodes/{id}',
      async handle(exchange) {
        const view = await backend.manager().read();
        const node = findNode(view, exchange.param('id'));
        exchange.json(nodeJson(node, tlsInfoOf(view.cluster())));
      },
    },
    {
      method: 'POST',
      path: '/nodes/{id}/update',
      async handle(exchange) {
        const manager = backend.manager();
        const spec = await exchange.body(nodeSpec);
        const version = exchange.objectVersion('node');
        const node = findNode(await manager.read(), exchange.param('id'));
        await manager.control.updateNode({ id: node.id, version, spec, ...exchange.asked });
        exchange.empty();
      },
    },
    {
      // Docker has no such call: there the lead moves only when the leader is lost or demoted.
      method: 'POST',
      path: '/nodes/{id}/lead',
      async handle(exchange) {
        const manager = backend.manager();
        const node = findNode(await manager.read(), exchange.param('id'));
        await manager.lead(node.id);
        exchange.empty();
      },
    },
    {
      method: 'DELETE',
      path: '/nodes/{id}',
      async handle(exchange) {
        const manager = backend.manager();
        const node = findNode(await manager.read(), exchange.param('id'));
        await manager.control.removeNode({
          id: node.id,
          force: exchange.flag('force'),
          ...exchange.asked,
        });
        exchange.empty();
      },
    },
  ];
}

function checkWords(filters: Filters, key: string, words: readonly string[]): void {
  const wrong = filters.get(key).find((word) => !words.includes(word.toLowerCase()));
  if (wrong !== undefined) {
    throw new SwarmError('invalid-argument', `Invalid ${key} filter: '${wrong}'`);
  }
}

function matches(node: Node, filters: Filters): boolean {
  const hostname = node.description?.hostname ?? '';
  return (
    filters.any('name', (name) => hostname.startsWith(name)) &&
    filters.any('id', (id) => node.id.startsWith(id)) &&
    filters.labels('label', node.description?.engine.labels ?? {}) &&
    filters.labels('node.label', node.spec.labels) &&
    filters.any('role', (role) => node.role === role.toLowerCase()) &&
    // Docker can hold nodes back until they are accepted; every node that has joined here is in.
    filters.any('membership', (membership) => membership.toLowerCase() === 'accepted')
  );
}
