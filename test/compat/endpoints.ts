/**
 * Every endpoint of Docker's API 1.50, and of ours: since which version it is, and which file of
 * this folder compares its answers with those of Docker's own daemon. What is not compared has a
 * reason. endpoint-cases.ts holds the API's routes to it, and docs/parity.md is made of it.
 */
export interface Endpoint {
  /** "GET /containers/{id}/json", as the API's reference writes it. */
  readonly name: string;
  /** 1.N of the API; 0 for what Docker does not have. */
  readonly sinceMinor: number;
  /** Files whose cases compare what it answers when all is well. */
  readonly compared: readonly string[];
  /** Why nothing is compared, or the sentence that it is refused with. */
  readonly reason?: string;
  /** Mistakes are made with both daemons, by endpoint-cases.ts. */
  readonly mistakes: readonly Mistake[];
}

export interface Mistake {
  /** Below the version. */
  readonly path: string;
  readonly body?: string;
  /** Docker's daemon is asked long before the answer is compared: it takes so many seconds. */
  readonly isSlow?: boolean;
}

const badFilters = ['filters={', 'filters={"nosuch":["x"]}'];

function of(
  names: string,
  files: string,
  options: { since?: number; reason?: string; mistakes?: readonly (string | Mistake)[] } = {},
): Endpoint[] {
  const { since = 24, reason, mistakes = [] } = options;
  return names.split('\n').flatMap((line) => {
    const name = line.trim();
    if (name === '') return [];
    return {
      name,
      sinceMinor: since,
      compared: files === '' ? [] : files.split(' '),
      mistakes: mistakes.map((one) => (typeof one === 'string' ? { path: one } : one)),
      ...(reason === undefined ? {} : { reason }),
    };
  });
}

/** With a name that nobody has, and lists with filters that there are not. */
function usualMistakes({ name, mistakes }: Endpoint): readonly Mistake[] {
  const [method = '', path = ''] = name.split(' ');
  if (mistakes.length > 0 || method === 'HEAD') return mistakes;
  if (path.includes('{')) {
    const named = path.replace(/\{\w+\}/, 'nosuch');
    return [method === 'POST' ? { path: named, body: '{}' } : { path: named }];
  }
  return mistakes;
}

const broken = (path: string): Mistake => ({ path, body: '{' });
const filtered = (path: string): readonly string[] => badFilters.map((query) => `${path}?${query}`);
const noPlugins =
  'plugins are not installed by this version: one for volumes is found by its socket';
const ours = 'Docker has nothing like it';
const archives =
  'Docker 20.10 has archives of its own form; image-cases.ts and registry-cases.ts load and save';
const perTask = 'the container’s own endpoint, reached by its task from any manager';

const containers: readonly Endpoint[] = [
  ...of('GET /containers/json', 'container-cases.ts', { mistakes: filtered('/containers/json') }),
  ...of('POST /containers/create', 'container-cases.ts', {
    mistakes: [
      broken('/containers/create'),
      { path: '/containers/create', body: '{"Image":"nosuch:1"}' },
      { path: '/containers/create', body: '{"Image":"BAD"}' },
      { path: '/containers/create?name=/bad/', body: '{"Image":"busybox"}' },
    ],
  }),
  ...of('GET /containers/{id}/json', 'container-cases.ts'),
  ...of('GET /containers/{id}/top', 'container-cases.ts'),
  ...of('GET /containers/{id}/logs', 'container-cases.ts', {
    mistakes: ['/containers/nosuch/logs?stdout=1', '/containers/nosuch/logs'],
  }),
  ...of('GET /containers/{id}/changes', 'container-cases.ts'),
  ...of('GET /containers/{id}/export', 'container-cases.ts'),
  ...of('GET /containers/{id}/stats', 'container-cases.ts'),
  ...of('POST /containers/{id}/resize', 'container-cases.ts', {
    mistakes: ['/containers/nosuch/resize?h=1&w=1', '/containers/nosuch/resize'],
  }),
  ...of(
    `POST /containers/{id}/start
     POST /containers/{id}/stop
     POST /containers/{id}/restart
     POST /containers/{id}/kill
     POST /containers/{id}/update
     POST /containers/{id}/pause
     POST /containers/{id}/unpause
     POST /containers/{id}/attach
     POST /containers/{id}/wait
     DELETE /containers/{id}`,
    'container-cases.ts',
  ),
  ...of('POST /containers/{id}/rename', 'container-cases.ts', {
    mistakes: ['/containers/nosuch/rename?name=other', '/containers/nosuch/rename'],
  }),
  ...of('GET /containers/{id}/attach/ws', 'websocket-cases.ts'),
  ...of('HEAD /containers/{id}/archive', 'container-cases.ts'),
  ...of(`GET /containers/{id}/archive\nPUT /containers/{id}/archive`, 'container-cases.ts', {
    mistakes: ['/containers/nosuch/archive?path=/', '/containers/nosuch/archive'],
  }),
  ...of('POST /containers/prune', 'container-cases.ts', {
    since: 25,
    mistakes: filtered('/containers/prune'),
  }),
  ...of('POST /containers/{id}/exec', 'container-cases.ts', {
    mistakes: [
      { path: '/containers/nosuch/exec', body: '{"Cmd":["ls"]}' },
      { path: '/containers/nosuch/exec', body: '{}' },
    ],
  }),
  ...of(
    `POST /exec/{id}/start
     GET /exec/{id}/json`,
    'container-cases.ts',
  ),
  ...of('POST /exec/{id}/resize', 'container-cases.ts', {
    mistakes: ['/exec/nosuch/resize?h=1&w=1'],
  }),
  ...of('POST /commit', 'commit-cases.ts', {
    mistakes: [{ path: '/commit?container=nosuch', body: '{}' }],
  }),
];

const images: readonly Endpoint[] = [
  ...of('GET /images/json', 'json-cases.ts', { mistakes: filtered('/images/json') }),
  ...of('POST /images/create', 'json-cases.ts', { mistakes: ['/images/create?fromImage=BAD'] }),
  ...of(
    `GET /images/{name}/json
     GET /images/{name}/history`,
    'json-cases.ts',
  ),
  ...of('POST /images/{name}/push', 'push-cases.ts', { mistakes: ['/images/nosuch/push'] }),
  ...of('POST /images/{name}/tag', 'mistake-cases.ts', {
    mistakes: ['/images/nosuch/tag?repo=a', '/images/nosuch/tag?repo=a&tag=b'],
  }),
  ...of('DELETE /images/{name}', 'mistake-cases.ts'),
  ...of('GET /images/search', '', {
    reason:
      'answers come from a registry that can be searched, which Docker’s daemon asks at its own',
  }),
  ...of('POST /images/prune', 'mistake-cases.ts', {
    since: 25,
    mistakes: filtered('/images/prune'),
  }),
  ...of('GET /images/{name}/get', '', { reason: archives }),
  ...of('GET /images/get', '', { reason: archives, mistakes: ['/images/get?names=nosuch'] }),
  ...of('POST /images/load', '', {
    reason: archives,
  }),
  ...of('GET /distribution/{name}/json', 'json-cases.ts', {
    since: 30,
    mistakes: ['/distribution/BAD/json'],
  }),
  ...of('POST /build', 'build-cases.ts'),
  ...of('POST /build/prune', 'build-cases.ts', { since: 31 }),
  ...of('POST /auth', 'login-cases.ts', { mistakes: [broken('/auth')] }),
];

const swarm: readonly Endpoint[] = [
  ...of('GET /swarm', 'json-cases.ts'),
  ...of(
    `POST /swarm/init
     POST /swarm/join`,
    'swarm-cases.ts',
    { mistakes: [] },
  ),
  ...of(
    `POST /swarm/leave
     POST /swarm/update
     GET /swarm/unlockkey
     POST /swarm/unlock`,
    'swarm-cases.ts',
  ),
  ...of('GET /nodes', 'json-cases.ts', { mistakes: filtered('/nodes') }),
  ...of('GET /nodes/{id}', 'json-cases.ts'),
  ...of('DELETE /nodes/{id}', 'mistake-cases.ts'),
  ...of('POST /nodes/{id}/update', 'mistake-cases.ts', {
    mistakes: [
      { path: '/nodes/nosuch/update?version=1', body: '{"Availability":"active","Role":"worker"}' },
      { path: '/nodes/nosuch/update', body: '{}' },
    ],
  }),
  ...of('GET /services', 'json-cases.ts', { mistakes: filtered('/services') }),
  ...of('POST /services/create', 'service-cases.ts', { mistakes: [broken('/services/create')] }),
  ...of(
    `GET /services/{id}
     DELETE /services/{id}`,
    'json-cases.ts',
  ),
  ...of('POST /services/{id}/update', 'mistake-cases.ts', {
    mistakes: [{ path: '/services/nosuch/update', body: '{}' }],
  }),
  ...of('GET /services/{id}/logs', 'mistake-cases.ts', {
    since: 29,
    mistakes: ['/services/nosuch/logs?stdout=1', '/services/nosuch/logs'],
  }),
  ...of('GET /tasks', 'json-cases.ts', { mistakes: filtered('/tasks') }),
  ...of('GET /tasks/{id}', 'json-cases.ts'),
  ...of('GET /tasks/{id}/logs', 'mistake-cases.ts', {
    since: 29,
    mistakes: ['/tasks/nosuch/logs?stdout=1', '/tasks/nosuch/logs'],
  }),
  ...['secrets', 'configs'].flatMap((kind) => {
    const since = kind === 'secrets' ? 25 : 30;
    return [
      ...of(`GET /${kind}`, 'json-cases.ts', { since, mistakes: filtered(`/${kind}`) }),
      ...of(`POST /${kind}/create`, 'file-cases.ts', {
        since,
        mistakes: [broken(`/${kind}/create`)],
      }),
      ...of(`GET /${kind}/{id}`, 'json-cases.ts', { since }),
      ...of(`DELETE /${kind}/{id}`, 'file-cases.ts', { since }),
      ...of(`POST /${kind}/{id}/update`, 'json-cases.ts', {
        since,
        mistakes: [
          { path: `/${kind}/nosuch/update?version=1`, body: '{}' },
          { path: `/${kind}/nosuch/update`, body: '{}' },
        ],
      }),
    ];
  }),
];

const networksAndVolumes: readonly Endpoint[] = [
  ...of('GET /networks', 'json-cases.ts', { mistakes: filtered('/networks') }),
  ...of('GET /networks/{id}', 'json-cases.ts'),
  ...of('DELETE /networks/{id}', 'network-cases.ts'),
  ...of('POST /networks/create', 'network-cases.ts', {
    mistakes: [
      broken('/networks/create'),
      // Docker looks for a plugin of that name again and again.
      { path: '/networks/create', body: '{"Name":"x","Driver":"nosuch"}', isSlow: true },
    ],
  }),
  ...of(
    `POST /networks/{id}/connect
     POST /networks/{id}/disconnect`,
    'network-cases.ts',
    { mistakes: [] },
  ),
  ...of('POST /networks/prune', 'network-cases.ts', {
    since: 25,
    mistakes: filtered('/networks/prune'),
  }),
  ...of('GET /volumes', 'volume-cases.ts', { mistakes: filtered('/volumes') }),
  ...of('POST /volumes/create', 'volume-cases.ts', {
    mistakes: [broken('/volumes/create'), { path: '/volumes/create', body: '{"Name":"/"}' }],
  }),
  ...of('GET /volumes/{name}', 'volume-cases.ts'),
  ...of('PUT /volumes/{name}', '', {
    since: 42,
    reason: 'for cluster volumes alone, which Docker 20.10 does not have',
  }),
  ...of('DELETE /volumes/{name}', 'volume-cases.ts'),
  ...of('POST /volumes/prune', 'volume-cases.ts', {
    since: 25,
    mistakes: filtered('/volumes/prune'),
  }),
];

const system: readonly Endpoint[] = [
  ...of(
    `GET /_ping
     HEAD /_ping
     GET /info
     GET /version`,
    'json-cases.ts',
  ),
  ...of('GET /events', 'json-cases.ts', {
    mistakes: ['/events?filters={', '/events?since=5&until=4', '/events?since=x'],
  }),
  ...of('GET /system/df', 'container-cases.ts', { since: 25 }),
  ...of('GET /plugins', 'endpoint-cases.ts', { since: 25 }),
  ...of('GET /plugins/{name}/json', 'endpoint-cases.ts', { since: 25 }),
  ...of(
    `GET /plugins/privileges
     POST /plugins/pull
     POST /plugins/create
     DELETE /plugins/{name}
     POST /plugins/{name}/enable
     POST /plugins/{name}/disable
     POST /plugins/{name}/upgrade
     POST /plugins/{name}/push
     POST /plugins/{name}/set`,
    '',
    { since: 25, reason: `refused: ${noPlugins}` },
  ),
  ...of(
    `POST /session
     POST /build/cancel`,
    '',
    { since: 39, reason: 'of builds by BuildKit, which build-kit-cases.ts shows' },
  ),
];

const oursAlone: readonly Endpoint[] = [
  ...of(
    `GET /doctor
     GET /explain/{id}
     GET /history
     GET /swarm/backup
     POST /swarm/restore
     POST /nodes/{id}/lead
     POST /services/{id}/rebalance
     POST /plan
     GET /secrets/{id}/revisions
     POST /secrets/{id}/revisions
     GET /configs/{id}/revisions
     POST /configs/{id}/revisions
     GET /registries
     POST /registries
     DELETE /registries/{name}`,
    '',
    { since: 0, reason: ours },
  ),
  ...of(
    `GET /tasks/{id}/container
     GET /tasks/{id}/top
     GET /tasks/{id}/stats
     GET /tasks/{id}/changes
     GET /tasks/{id}/export
     HEAD /tasks/{id}/archive
     GET /tasks/{id}/archive
     PUT /tasks/{id}/archive
     POST /tasks/{id}/attach
     GET /tasks/{id}/attach/ws
     POST /tasks/{id}/resize
     POST /tasks/{id}/wait
     POST /tasks/{id}/exec
     POST /tasks/{id}/exec/{exec}/start
     POST /tasks/{id}/exec/{exec}/resize
     GET /tasks/{id}/exec/{exec}/json`,
    '',
    { since: 0, reason: perTask },
  ),
  ...of('POST /grpc', '', {
    since: 39,
    reason: 'refused: of buildx, which is told to set DOCKER_BUILDKIT=0',
  }),
];

export const endpoints: readonly Endpoint[] = [
  ...containers,
  ...images,
  ...swarm,
  ...networksAndVolumes,
  ...system,
  ...oursAlone,
].map((endpoint) => ({
  ...endpoint,
  mistakes:
    endpoint.sinceMinor > 0 && endpoint.reason === undefined
      ? usualMistakes(endpoint)
      : endpoint.mistakes,
}));
