/** What our `run` and `create` ask the daemon for, beside what docker's do. */
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseShellWords } from '../format/parse.ts';
import { runCli } from '../testing/run-cli.ts';
import { StubDaemon } from '../testing/stub-daemon.ts';

const execute = promisify(execFile);
const newest = '/usr/local/bin/docker';
const programs = ['/usr/bin/docker', newest].filter((path) => existsSync(path));
const id = 'ab'.repeat(32);
const folder = mkdtempSync(join(tmpdir(), 'cli-create-'));
const envFile = join(folder, 'env');
const labelFile = join(folder, 'labels');
const profile = join(folder, 'seccomp.json');

const lines = [
  '-i -t --name web --hostname h --domainname d.example -u 1:2 -w /srv img sh -c "echo a"',
  '--entrypoint /bin/x --stop-signal SIGINT --stop-timeout 7 --init img',
  `--env A=1 -e B=2 --env-file ${envFile} --label x=y -l z --label-file ${labelFile} img`,
  '-p 80 -p 8080:81/udp -p 127.0.0.1:90:91 -p 7000-7002:8000-8002 -p [::1]:5:6 --expose 99 -P img',
  '-p 9000-9005:80 -p 127.0.0.1::70 --expose 100-102/udp img',
  '-v /a:/b:ro -v data:/c -v /anonymous --volumes-from other:ro --tmpfs /t:size=1m --tmpfs /u img',
  '--mount type=bind,source=/a,target=/b,readonly --mount type=tmpfs,target=/t,tmpfs-size=1m img',
  '--mount type=volume,source=v,target=/v,volume-nocopy,volume-label=a=b --read-only img',
  '-m 64m --memory-swap -1 --memory-reservation 32m --memory-swappiness 3 --shm-size 8m img',
  '--cpus 0.5 -c 512 --cpuset-cpus 0-1 --cpuset-mems 0 --pids-limit 9 --oom-kill-disable img',
  '--cpu-period 100000 --cpu-quota 5000 --blkio-weight 300 --oom-score-adj 5 img',
  '--blkio-weight-device /dev/a:200 --device-read-bps /dev/a:1mb --device-write-iops /dev/a:9 img',
  '--device /dev/a --device /dev/b:/dev/c:r --device /dev/d:rm --device-cgroup-rule "c 1:3 r" img',
  '--gpus all img',
  '--gpus 2 --gpus driver=nvidia,capabilities=utility img',
  `--gpus '"device=0,GPU-1",driver=nvidia,options=a=b' img`,
  '--cap-add CAP_NET_ADMIN --cap-drop ALL --privileged --group-add 5 --userns host img',
  '--ipc host --pid host --uts host --cgroup-parent /x --runtime runc img',
  `--security-opt no-new-privileges --security-opt seccomp=${profile} --sysctl net.ipv4.ip_forward=1 img`,
  '--ulimit nofile=10:20 --ulimit nproc=5 --log-driver local --log-opt max-size=1m img',
  '--health-cmd "true x" --health-interval 5s --health-timeout 1s --health-retries 2 img',
  '--health-cmd y --health-start-period 1m img',
  '--no-healthcheck --restart on-failure:3 img',
  '--restart always --add-host a:1.2.3.4 --dns 1.1.1.1 --dns-search x --dns-option ndots:2 img',
  '--network back --network-alias one --network-alias two --ip 10.0.0.9 --ip6 fd00::9 img',
  '--network none img',
  '--net host --rm img',
  '--storage-opt size=1g --volume-driver local --link a:b img',
  '-a stdout img',
] as const;

const vendorLines = [
  '--device vendor.com/gpu=0 --device /dev/a --device vendor.com/gpu=all --gpus 1 img',
] as const;

describe('cli/container/create', function suite() {
  this.timeout(180_000);
  let daemon: StubDaemon;
  /** An older daemon's version: what both of docker's CLIs speak alike. */
  before(async () => {
    writeFileSync(envFile, '# comment\nC=3\n');
    writeFileSync(labelFile, 'from=file\n');
    writeFileSync(profile, '{ "defaultAction": "SCMP_ACT_ALLOW" }\n');
    daemon = await new StubDaemon(
      { 'POST /containers/create': { json: { Id: id, Warnings: [] } } },
      { apiVersion: '1.41' },
    ).listen();
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const bodyAfter = async (run: () => Promise<unknown>) => {
    daemon.asked.length = 0;
    await run();
    const body = daemon.bodyOf('POST /containers/create') as {
      readonly Env: string[] | null;
      readonly HostConfig: { readonly Binds: string[] | null };
    };
    // Docker's CLI keeps these in maps, and sends them in whatever order those have.
    body.Env?.sort();
    body.HostConfig.Binds?.sort();
    return withoutNothing(body);
  };

  for (const program of programs) {
    // The older CLI takes a vendor's device for a path.
    for (const line of [...lines, ...(program === newest ? vendorLines : [])]) {
      it(`asks for the same as ${program}: ${line.replaceAll(folder, '')}`, async () => {
        const args = ['create', ...parseShellWords(line)];
        const theirs = await bodyAfter(() => execute(program, ['-H', daemon.host, ...args]));
        const ours = await bodyAfter(async () => {
          const ran = await runCli(daemon.host, args);
          assert.deepEqual([ran.code, ran.out, ran.err], [0, `${id}\n`, '']);
        });
        assert.deepEqual(ours, theirs);
      });
    }
  }

  const mistakes = [
    ['-p x:80 img', /invalid hostPort: x/],
    ['-p 80/xyz img', /invalid proto: xyz/],
    ['-p 1-2:80-90 img', /invalid ranges specified/],
    ['--restart on-failure:x img', /maximum retry count must be an integer/],
    ['--rm --restart always img', /cannot specify both --restart and --rm/],
    ['--no-healthcheck --health-cmd x img', /--no-healthcheck conflicts/],
    ['--device /dev/a:/dev/b:xyz img', /invalid device specification/],
    ['--gpus some img', /invalid count \(some\)/],
    ['--gpus count=1,count=2 img', /'count' can be specified only once/],
    ['--gpus much=1 img', /unexpected key 'much' in 'much=1'/],
    ['--ulimit nofile=9:3 img', /ulimit soft limit/],
    ['--pull sometimes img', /must be one of always, missing, never/],
    ['-a nothing img', /valid streams are STDIN, STDOUT and STDERR/],
    ['--security-opt seccomp=/nowhere img', /opening seccomp profile/],
    ['--dns dns.example img', /IP address is not correctly formatted: dns.example/],
    ['--env-file /nowhere img', /open \/nowhere: no such file or directory/],
    ['', /requires at least 1 argument/],
  ] as const;
  for (const [line, message] of mistakes) {
    it(`refuses ${line || 'no image'}`, async () => {
      const ran = await runCli(daemon.host, ['create', ...parseShellWords(line)]);
      assert.equal(ran.code, line === '' ? 1 : 125);
      assert.match(ran.err, message);
    });
  }
});

/** Docker's CLIs differ in which zero values they write. */
function withoutNothing(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNothing);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .map(([key, inner]) => [key, withoutNothing(inner)] as const)
    .filter(([key, inner]) => !isNothing(inner) && JSON.stringify(inner) !== asIs[key]);
  return Object.fromEntries(entries);
}

/** Other ways to say that nothing was said. */
const asIs: Readonly<Record<string, string>> = { ConsoleSize: '[0,0]', MemorySwappiness: '-1' };

function isNothing(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) {
    return value === null || value === undefined || value === '' || value === 0 || value === false;
  }
  return Object.keys(value).length === 0;
}
