/** Clients of etcd in a process of their own, each with a key. */
import { readFileSync } from 'node:fs';
import { Etcd3 } from 'etcd3';
import { config, serve } from './child.ts';
import { load, type LoadOptions } from './load.ts';

export interface EtcdClientConfig {
  readonly hosts: readonly string[];
  readonly folder: string;
}

const { hosts, folder } = config() as EtcdClientConfig;
const read = (name: string) => readFileSync(`${folder}/${name}`);
const etcd = new Etcd3({
  hosts: [...hosts],
  credentials: {
    rootCertificate: read('ca.pem'),
    privateKey: read('node-key.pem'),
    certChain: read('node.pem'),
  },
});

await serve((options: LoadOptions) =>
  load(options, (writer, value) => etcd.put(`bench/${writer}`).value(value).exec()),
);
etcd.close();
