/** What is said, and of which place, where a file asks for what cannot be had. */
import { strict as assert } from 'node:assert';
import { errorsOf, indented } from './testing.ts';

describe('compose/convert, of what cannot be had', () => {
  const wrong: { lines: string; expect: string; rest?: string }[] = [
    {
      lines: 'privleged: true',
      expect: '4:5: services.web.privleged is no key of a compose file: is "privileged" meant?',
    },
    {
      lines: 'privileged: much',
      expect: '4:17: services.web.privileged must be true or false',
    },
    {
      lines: 'devices: ["dev/x"]',
      expect:
        '4:15: services.web.devices[0]: "dev/x" is not of the form /dev/NAME[:/dev/OTHER][:rwm]',
    },
    {
      lines: 'devices: ["nvidia.com/gpu=all"]',
      expect:
        '4:15: services.web.devices[0]: "nvidia.com/gpu=all" is a vendor\'s device; ask for a number of them with deploy.resources.reservations.generic_resources',
    },
    {
      lines: 'volumes: [{type: cluster, target: /d}]',
      expect: '4:15: services.web.volumes[0]: a cluster mount needs a source',
    },
    {
      lines: 'volumes: [{type: cluster, source: v, target: /d}]',
      expect: '4:15: services.web.volumes[0]: there is no volume "v": declare it under volumes',
    },
    {
      lines: 'volumes: [{type: cluster, source: "group:g", target: /d, tmpfs: {size: 1}}]',
      expect: '4:69: services.web.volumes[0]: tmpfs has no meaning for a cluster mount',
    },
    {
      lines: 'volumes: [{type: cluster, source: v, target: /d}]',
      rest: 'volumes: {v: {driver: d}}',
      expect:
        '5:14: volumes.v: a stack makes no cluster volumes: make it by volume create --type, and declare it with external: true, without driver',
    },
    {
      lines: 'gpus: all',
      expect:
        '4:11: services.web.gpus: all GPUs of a node cannot be reserved, as nodes differ in how many they have: say a count',
    },
    { lines: 'gpus: 2', expect: '4:11: services.web.gpus: "2" is not one of all' },
    {
      lines: 'gpus: [{device_ids: ["0"]}]',
      expect:
        '4:13: services.web.gpus[0].device_ids is not supported: a task gets those that are free on its node; say a count',
    },
    {
      lines: 'gpus: [{count: 1, options: {a: b}}]',
      expect:
        '4:23: services.web.gpus[0].options is not supported: devices are given as their vendor describes them; leave it out',
    },
    {
      lines: 'gpus: [{count: 1}, {count: 1}]',
      expect:
        '4:24: services.web.gpus[1]: nvidia.com/gpu is reserved more than once: say one count for all',
    },
    {
      lines: 'gpus: [{count: 0}]',
      expect: '4:20: services.web.gpus[0].count: 0 is less than 1',
    },
    {
      lines: 'deploy: {resources: {reservations: {devices: [{count: 1}]}}}',
      expect:
        '4:51: services.web.deploy.resources.reservations.devices[0] needs capabilities, such as [gpu]',
    },
    {
      lines: 'deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}',
      expect:
        '4:51: services.web.deploy.resources.reservations.devices[0]: all GPUs of a node cannot be reserved, as nodes differ in how many they have: say a count',
    },
    {
      lines: 'deploy: {resources: {reservations: {devices: [{count: all, capabilities: [gpu]}]}}}',
      expect:
        '4:59: services.web.deploy.resources.reservations.devices[0].count: all GPUs of a node cannot be reserved, as nodes differ in how many they have: say a count',
    },
    {
      lines: 'deploy: {resources: {reservations: {devices: [{count: 1, capabilities: [tpu]}]}}}',
      expect:
        '4:77: services.web.deploy.resources.reservations.devices[0].capabilities[0]: "tpu" is not a capability of GPUs: ask for other devices with deploy.resources.reservations.generic_resources',
    },
    {
      lines:
        'deploy: {resources: {reservations: {devices: [{driver: cdi, count: 1, capabilities: [gpu]}]}}}',
      expect:
        '4:60: services.web.deploy.resources.reservations.devices[0].driver: "cdi" is not supported: ask for other devices with deploy.resources.reservations.generic_resources',
    },
    {
      lines: 'ports: ["127.0.0.1:80:80"]',
      expect:
        '4:13: services.web.ports[0].host_ip is not supported: a published port is open on all addresses of the nodes; filter it there, or leave it out',
    },
    {
      lines: 'ports: [x]',
      expect: '4:13: invalid port "x": write [ADDRESS:][PUBLISHED:]TARGET[/PROTOCOL]',
    },
    {
      lines: 'ports: ["1-2:3"]',
      expect: '4:13: invalid port "1-2:3": 1-2 and 3 are not of one length',
    },
    {
      lines: 'deploy: {replicas: "lots!"}',
      expect: '4:24: services.web.deploy.replicas: "lots!": it must be a whole number',
    },
    {
      lines: 'deploy: {replicas: -1}',
      expect: '4:24: services.web.deploy.replicas: -1 is less than 0',
    },
    {
      lines: 'deploy: {mode: globl}',
      expect:
        '4:20: services.web.deploy.mode: "globl" is not one of replicated, global, replicated-job, global-job',
    },
    {
      lines: 'deploy: {mode: global, replicas: 2}',
      expect: '4:38: services.web.deploy.replicas: a global service has a task on each node',
    },
    {
      lines: 'deploy: {resources: {limits: {memory: big}}}',
      expect: '4:43: services.web.deploy.resources.limits.memory: "big": invalid size: \'big\'',
    },
    {
      lines: 'memswap_limit: 1g',
      expect:
        '4:20: services.web.memswap_limit is memory and swap together: give a mem_limit that is not larger',
    },
    {
      lines: 'cpus: lots',
      expect: '4:11: services.web.cpus: "lots": failed to parse lots as a rational number',
    },
    {
      lines: 'healthcheck: {interval: 5}',
      expect: '4:29: services.web.healthcheck.interval: "5": time: missing unit in duration "5"',
    },
    {
      lines: 'healthcheck: {test: [curl, x]}',
      expect: '4:25: services.web.healthcheck.test must begin with NONE, CMD or CMD-SHELL',
    },
    {
      lines: 'restart: sometimes',
      expect:
        '4:14: services.web.restart: "sometimes" is not one of no, always, on-failure[:N], unless-stopped',
    },
    { lines: 'tty: maybe', expect: '4:10: services.web.tty must be true or false' },
    { lines: 'command: {a: b}', expect: '4:14: services.web.command must be a text' },
    {
      lines: 'volumes: ["nope:/x"]',
      expect: '4:15: services.web.volumes[0]: there is no volume "nope": declare it under volumes',
    },
    {
      lines: 'volumes: [{type: npipe, source: web, target: /w}]',
      expect:
        '4:22: services.web.volumes[0].type: "npipe" is not one of bind, volume, tmpfs, image, cluster',
    },
    {
      lines: 'volumes: [{type: image, target: /w}]',
      expect: '4:15: services.web.volumes[0]: an image mount needs a source, the image',
    },
    {
      lines: 'volumes: ["/a:/b:huh"]',
      expect: '4:15: invalid volume "/a:/b:huh": the option "huh" is not known',
    },
    {
      lines: 'tmpfs: /run:huge=always',
      expect:
        '4:12: services.web.tmpfs[0]: the option "huge=always" is not supported; use size and mode',
    },
    {
      lines: 'networks: [n]',
      expect: '4:15: services.web.networks: there is no network "n": declare it under networks',
    },
    {
      lines: 'networks: {n: {ipv4_address: 1.2.3.4}}',
      rest: 'networks: {n: }',
      expect:
        '4:20: services.web.networks.n.ipv4_address is not supported: addresses are given out by the swarm; use the name of the service or an alias',
    },
    {
      lines: 'network_mode: "service:x"',
      expect:
        '4:19: services.web.network_mode: "service:x" is not supported: a task shares its networks with no container; use host, none, or networks',
    },
    {
      lines: 'ipc: host',
      expect:
        '4:10: services.web.ipc: "host" is not supported: tasks share nothing of a host or of each other',
    },
    {
      lines: 'security_opt: [label=x]',
      expect:
        '4:20: services.web.security_opt[0]: "label=x" is not supported; use no-new-privileges, seccomp=unconfined or apparmor=unconfined',
    },
    {
      lines: 'depends_on: {x: {condition: service_gone}}',
      rest: '  x: {image: x}',
      expect:
        '4:33: services.web.depends_on.x.condition: "service_gone" is not one of service_started, service_healthy, service_completed_successfully',
    },
    {
      lines: 'depends_on: {x: {condition: service_completed_successfully}}',
      rest: '  x: {image: x, restart: always}',
      expect:
        '4:33: services.web.depends_on.x.condition: services.x never ends: let its deploy.mode be replicated-job',
    },
    {
      lines: 'build: https://example.com/x.git',
      expect: '4:12: services.web.build.context must be a folder',
    },
    {
      lines: 'build: {context: ., secrets: [x]}',
      expect:
        '4:25: services.web.build.secrets is not supported: builds have no secrets; use a stage that is left behind',
    },
    {
      lines: 'build: {context: ., platforms: [linux/amd64, linux/arm64]}',
      expect:
        '4:36: services.web.build.platforms: an image is built for one platform, that of the node that builds it',
    },
    { lines: 'depends_on: [x]', expect: '4:18: services.web depends on x, which is not there' },
    {
      lines: 'secrets: [x]',
      expect: '4:15: services.web.secrets[0]: there is no secret "x": declare it under secrets',
    },
    {
      lines: 'configs: [x]',
      rest: 'configs:\n  x: {file: none}',
      expect: '6:13: configs.x: there is no file none',
    },
    { lines: 'env_file: none', expect: '4:15: services.web.env_file[0]: there is no file none' },
    {
      lines: 'pull_policy: never',
      expect:
        '4:18: services.web.pull_policy: "never" is not supported: nodes pull what they lack; use always or missing',
    },
    {
      lines: 'platform: arm64',
      expect: '4:15: services.web.platform: "arm64" is not of the form linux/amd64',
    },
    {
      lines: 'user: u',
      rest: '  y: {build: .}',
      expect:
        '5:14: services.y.build: name the image with "image", in a registry that all nodes reach: it is pushed there',
    },
    { lines: 'user: u', rest: '  y: {user: x}', expect: '5:6: services.y needs an image' },
    {
      lines: 'user: u',
      rest: 'volumes: {v: {external: true, driver: d}}',
      expect: '5:14: volumes.v: an external volume has no driver here',
    },
    {
      lines: 'user: u',
      rest: 'networks: {n: {driver: bridge, driver_opts: {a: b}}}',
      expect:
        '5:24: networks.n.driver: a bridge with driver_opts is of one node alone; use overlay',
    },
    {
      lines: 'user: u',
      rest: 'secrets: {s: {}}',
      expect: '5:11: secrets.s needs one of file, environment, content or external',
    },
    {
      lines: 'user: u',
      rest: 'service: {}',
      expect: '5:1: service is no key of a compose file: is "services" meant?',
    },
  ];
  for (const { lines, rest = '', expect } of wrong) {
    it(`refuses ${lines === 'user: u' ? rest.trim() : lines}`, () => {
      const text = `services:\n  web:\n    image: a\n${indented(lines)}\n${rest}\n`;
      assert.deepEqual(errorsOf({ files: { '/p/compose.yaml': text } }), [
        `compose.yaml:${expect}`,
      ]);
    });
  }

  it('says all that is wrong at once, in the order of the file', () => {
    const text = 'services:\n  a:\n    image: x\n    tty: 5\n    ports: [x]\n    huh: 1\n';
    assert.deepEqual(
      errorsOf({ files: { '/p/compose.yaml': text } }).map((line) => line.split(':')[1]),
      ['4', '5', '6'],
    );
  });
});
