/**
 * Every key of the Compose specification, and what becomes of it: the one table that files are
 * checked by and that docs/compose.md is written from.
 */

/** `ignored`: for other commands than a deployment, so that nothing is lost. */
export type Use =
  | { readonly use: 'honoured'; readonly how: string }
  | { readonly use: 'ignored'; readonly how: string }
  | { readonly use: 'refused'; readonly how: string };

const yes = (how: string): Use => ({ use: 'honoured', how });
const no = (how: string): Use => ({ use: 'refused', how });
const skip = (how: string): Use => ({ use: 'ignored', how });

const notForServices = 'a service of a swarm has no such setting; leave it out';
const anyNode = 'tasks run on any node, and share nothing of a host or of another container';
const chosen = 'addresses are given out by the swarm; use the name of the service or an alias';
const cpuTime = 'use deploy.resources.limits.cpus';

const rollout: Readonly<Record<string, Use>> = {
  parallelism: yes('as it is'),
  delay: yes('as it is'),
  failure_action: yes('as it is'),
  monitor: yes('as it is'),
  max_failure_ratio: yes('as it is'),
  order: yes('as it is'),
};

const file: Readonly<Record<string, Use>> = {
  name: yes('the name in the swarm; then edits need another name, as what is there stays'),
  file: yes('the content; an edited file rolls the services that use it'),
  environment: yes('the content is the value of this variable'),
  external: yes('it is there already, and is left alone'),
  labels: yes('as they are'),
  template_driver: yes('`golang`: placeholders in the content are filled in for each task'),
};

const attachedFile: Readonly<Record<string, Use>> = {
  source: yes('which one'),
  target: yes('the path in the container'),
  uid: yes('as it is'),
  gid: yes('as it is'),
  mode: yes('as it is'),
};

const hook = 'tasks have no hooks; put it into the entrypoint or the health check';

/** By the place of the mapping that the keys stand in; `*` stands for a name that users choose. */
export const keys = {
  '': {
    version: skip('obsolete: all versions are read alike'),
    name: yes("another name on the command line wins: it is the stack's"),
    include: yes('files with folders, variables and services of their own'),
    services: yes('each one is a service of the swarm'),
    models: no('there is no runner of models in a swarm; run one as a service'),
    networks: yes('each one is an overlay network'),
    volumes: yes('each one is a volume of the nodes that its tasks run on'),
    secrets: yes('each one is a secret of the swarm, by its content'),
    configs: yes('each one is a config of the swarm, by its content'),
  },
  include: {
    path: yes('a file, or several that are merged'),
    env_file: yes('in place of `.env` in the included folder'),
    project_directory: yes('what its paths are relative to'),
  },
  'services.*': {
    annotations: no(notForServices),
    attach: skip('a deployment follows no logs'),
    blkio_config: no(notForServices),
    build: skip('nothing is built by a deployment: `image` says what is run, and must be there'),
    cap_add: yes('as they are'),
    cap_drop: yes('as they are'),
    cgroup: yes('only `private`, which all have'),
    cgroup_parent: no(notForServices),
    command: yes('a text is split as a shell would'),
    configs: yes('see below'),
    container_name: yes('tasks have names of their own; it is a further name on the networks'),
    cpu_count: no(cpuTime),
    cpu_percent: no(cpuTime),
    cpu_period: yes('with cpu_quota: a limit of CPUs'),
    cpu_quota: yes('with cpu_period: a limit of CPUs'),
    cpu_rt_period: no(notForServices),
    cpu_rt_runtime: no(notForServices),
    cpu_shares: no('use deploy.resources.reservations.cpus'),
    cpus: yes('as deploy.resources.limits.cpus'),
    cpuset: no(cpuTime),
    credential_spec: no('credential specs are for Windows containers; this swarm runs Linux ones'),
    depends_on: yes('see below'),
    deploy: yes('see below'),
    develop: skip('for `docker compose watch`'),
    device_cgroup_rules: no(notForServices),
    devices: no(
      'tasks run on any node, and get none of its devices; use ' +
        'deploy.resources.reservations.generic_resources',
    ),
    dns: yes('as it is'),
    dns_opt: yes('as it is'),
    dns_search: yes('as it is'),
    domainname: no('say "hostname: NAME.DOMAIN"'),
    entrypoint: yes('a text is split as a shell would'),
    env_file: yes('see below'),
    environment: yes('a name without a value takes that of the environment, if it has one'),
    expose: skip('on their networks, services reach all ports of each other'),
    extends: yes('of the same file or of another'),
    external_links: no('attach the service to an external network that the other is on'),
    extra_hosts: yes('`host-gateway` is refused: there is no one host'),
    gpus: no('use deploy.resources.reservations.generic_resources'),
    group_add: yes('as it is'),
    healthcheck: yes('see below'),
    hostname: yes('with placeholders such as `{{.Task.Slot}}`'),
    image: yes('pinned to its digest; see --resolve-image'),
    init: yes('as it is'),
    ipc: yes('only `private` and `shareable`: tasks share nothing'),
    isolation: yes('only `default`; others are for Windows'),
    label_file: yes('as labels'),
    labels: yes('of the containers'),
    links: yes('an alias becomes a name of the other service on its networks'),
    logging: yes('see below'),
    mac_address: no(chosen),
    mem_limit: yes('as deploy.resources.limits.memory'),
    mem_reservation: yes('as deploy.resources.reservations.memory'),
    mem_swappiness: no(notForServices),
    memswap_limit: no(notForServices),
    models: no('there is no runner of models in a swarm; run one as a service'),
    network_mode: yes('`host`, `none` and `bridge`; tasks share no networks with a container'),
    networks: yes('see below'),
    oom_kill_disable: no(notForServices),
    oom_score_adj: yes('as it is'),
    pid: yes('only `private`, which all have'),
    pids_limit: yes('as deploy.resources.limits.pids'),
    platform: yes('tasks go to nodes of this platform only'),
    ports: yes('see below'),
    post_start: no(hook),
    pre_stop: no(hook),
    privileged: no('services of a swarm are not privileged; use cap_add'),
    profiles: yes('with --profile, or COMPOSE_PROFILES'),
    provider: no('run what it provides as a service, or outside of the stack'),
    pull_policy: yes(
      '`always`, `missing` and `build`: a deployment asks the registry, and nodes pull what they lack',
    ),
    pull_refresh_after: no('images are asked for at each deployment; see --resolve-image'),
    read_only: yes('as it is'),
    restart: yes('as a restart policy, where deploy.restart_policy says nothing'),
    runtime: no('the runtime is a matter of the nodes'),
    scale: yes('as deploy.replicas'),
    secrets: yes('see below'),
    security_opt: yes('no-new-privileges, seccomp=unconfined, apparmor=unconfined'),
    shm_size: yes('a tmpfs of this size at /dev/shm'),
    stdin_open: yes('as it is'),
    stop_grace_period: yes('as it is'),
    stop_signal: yes('as it is'),
    storage_opt: no(notForServices),
    sysctls: yes('as they are'),
    tmpfs: yes('with size and mode'),
    tty: yes('as it is'),
    ulimits: yes('as they are'),
    use_api_socket: no('mount the socket, and let the service run on managers only'),
    user: yes('as it is'),
    userns_mode: no(notForServices),
    uts: no(anyNode),
    volumes: yes('see below'),
    volumes_from: no('name a volume, and mount it in both services'),
    working_dir: yes('as it is'),
  },
  'services.*.deploy': {
    endpoint_mode: yes('as it is'),
    labels: yes('of the service'),
    mode: yes('replicated, global, replicated-job, global-job'),
    placement: yes('as it is'),
    replicas: yes('as it is'),
    resources: yes('as it is'),
    restart_policy: yes('as it is'),
    rollback_config: yes('as it is'),
    update_config: yes('as it is'),
  },
  'services.*.deploy.placement': {
    constraints: yes('as they are'),
    preferences: yes('spread'),
    max_replicas_per_node: yes('as it is'),
  },
  'services.*.deploy.placement.preferences': { spread: yes('as it is') },
  'services.*.deploy.resources': {
    limits: yes('as they are'),
    reservations: yes('as they are'),
  },
  'services.*.deploy.resources.limits': {
    cpus: yes('as it is'),
    memory: yes('as it is'),
    pids: yes('as it is'),
  },
  'services.*.deploy.resources.reservations': {
    cpus: yes('as it is'),
    memory: yes('as it is'),
    generic_resources: yes('as they are'),
    devices: no('use generic_resources'),
  },
  'services.*.deploy.resources.reservations.generic_resources': {
    discrete_resource_spec: yes('kind and value'),
  },
  'services.*.deploy.resources.reservations.generic_resources.discrete_resource_spec': {
    kind: yes('as it is'),
    value: yes('as it is'),
  },
  'services.*.deploy.restart_policy': {
    condition: yes('as it is'),
    delay: yes('as it is'),
    max_attempts: yes('as it is'),
    window: yes('as it is'),
  },
  'services.*.deploy.update_config': rollout,
  'services.*.deploy.rollback_config': rollout,
  'services.*.depends_on.*': {
    condition: yes('see the commands'),
    required: yes('false: a service that is not there is no error'),
    restart: no('a task is replaced by itself; let the application connect again'),
  },
  'services.*.env_file': {
    path: yes('as it is'),
    format: yes('`raw`: values as they stand'),
    required: yes('false: a file that is not there is no error'),
  },
  'services.*.extends': { service: yes('as it is'), file: yes('as it is') },
  'services.*.healthcheck': {
    disable: yes('as it is'),
    interval: yes('as it is'),
    retries: yes('as it is'),
    start_interval: yes('as it is'),
    start_period: yes('as it is'),
    test: yes('as it is'),
    timeout: yes('as it is'),
  },
  'services.*.logging': {
    driver: yes('that the nodes know'),
    options: yes('that the driver knows'),
  },
  'services.*.networks.*': {
    aliases: yes('further names'),
    driver_opts: yes('as they are'),
    gw_priority: no('the way out is chosen by the swarm'),
    interface_name: no('interfaces are named by the node'),
    ipv4_address: no(chosen),
    ipv6_address: no(chosen),
    link_local_ips: no(chosen),
    mac_address: no(chosen),
    priority: no('networks are joined all at once'),
  },
  'services.*.ports': {
    app_protocol: skip('it is for readers'),
    host_ip: no(
      'a published port is open on all addresses of the nodes; filter it there, or leave it out',
    ),
    mode: yes('ingress or host'),
    name: yes('as it is'),
    protocol: yes('tcp or udp'),
    published: yes('one port; a range only where the target is one of the same length'),
    target: yes('as it is'),
  },
  'services.*.secrets': attachedFile,
  'services.*.configs': attachedFile,
  'services.*.ulimits.*': { soft: yes('as it is'), hard: yes('as it is') },
  'services.*.volumes': {
    bind: yes('as it is'),
    consistency: skip('Linux has just one'),
    image: yes('as it is'),
    read_only: yes('as it is'),
    source: yes('a path of the node, or a volume'),
    target: yes('as it is'),
    tmpfs: yes('as it is'),
    type: yes('bind, volume, tmpfs; others where the nodes know them'),
    volume: yes('as it is'),
  },
  'services.*.volumes.bind': {
    create_host_path: yes('as it is'),
    propagation: yes('as it is'),
    recursive: yes('as it is'),
    selinux: skip('labels of SELinux are a matter of the nodes'),
  },
  'services.*.volumes.volume': {
    labels: yes('as they are'),
    nocopy: yes('as it is'),
    subpath: yes('as it is'),
  },
  'services.*.volumes.tmpfs': { mode: yes('as it is'), size: yes('as it is') },
  'services.*.volumes.image': { subpath: no('mount the image as a whole') },
  'networks.*': {
    attachable: yes('as it is'),
    driver: yes('overlay; `bridge` is taken as overlay, with a warning'),
    driver_opts: yes('as they are'),
    enable_ipv4: yes('only `true`: overlays have IPv4 addresses'),
    enable_ipv6: yes('as it is'),
    external: yes('it is there already, and is left alone'),
    internal: yes('as it is'),
    ipam: yes('as it is'),
    labels: yes('as they are'),
    name: yes('the name in the swarm'),
  },
  'networks.*.ipam': {
    config: yes('as it is'),
    driver: yes('as it is'),
    options: yes('as they are'),
  },
  'networks.*.ipam.config': {
    aux_addresses: yes('never given out'),
    gateway: yes('as it is'),
    ip_range: yes('as it is'),
    subnet: yes('as it is'),
  },
  'volumes.*': {
    driver: yes('as it is'),
    driver_opts: yes('as they are'),
    external: yes("it has its own name, and none of the stack's labels"),
    labels: yes('as they are'),
    name: yes('the name on the nodes'),
  },
  'secrets.*': { ...file, driver: no(notForServices), driver_opts: no(notForServices) },
  'configs.*': { ...file, content: yes('the content') },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Use>>>>;

export type KeyPlace = keyof typeof keys;
