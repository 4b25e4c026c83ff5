/**
 * What people and programs know from Docker, done by them against real hosts: docker's own CLIs,
 * dockerode and docker-py; and Docker's own daemon beside ours, as the measure of what is answered.
 * One set of hosts serves all: the cases are in files of their own, in this order.
 */
import { containerCases } from './container-cases.ts';
import { contextCases } from './context-cases.ts';
import { endpointCases } from './endpoint-cases.ts';
import { useField } from './field.ts';
import { jsonCases } from './json-cases.ts';
import { libraryCases } from './library-cases.ts';
import { credentialCases } from './credential-cases.ts';
import { fileCases } from './file-cases.ts';
import { imageCases } from './image-cases.ts';
import { parityCases } from './parity-cases.ts';
import { mistakeCases } from './mistake-cases.ts';
import { networkCases } from './network-cases.ts';
import { buildCases } from './build-cases.ts';
import { buildFlagCases } from './build-flag-cases.ts';
import { buildKitCases } from './build-kit-cases.ts';
import { composeCases } from './compose-cases.ts';
import { commitCases } from './commit-cases.ts';
import { loginCases } from './login-cases.ts';
import { platformCases } from './platform-cases.ts';
import { pushCases } from './push-cases.ts';
import { optionCases } from './option-cases.ts';
import { registryCases } from './registry-cases.ts';
import { serviceCases } from './service-cases.ts';
import { stackCases } from './stack-cases.ts';
import { swarmCases } from './swarm-cases.ts';
import { systemCases } from './system-cases.ts';
import { volumeCases } from './volume-cases.ts';
import { webSocketCases } from './websocket-cases.ts';

describe('compatibility with Docker', () => {
  const get = useField();
  containerCases(get);
  webSocketCases(get);
  volumeCases(get);
  swarmCases(get);
  optionCases(get);
  serviceCases(get);
  networkCases(get);
  fileCases(get);
  stackCases(get);
  mistakeCases(get);
  registryCases(get);
  imageCases(get);
  platformCases(get);
  pushCases(get);
  buildCases(get);
  buildFlagCases(get);
  buildKitCases(get);
  loginCases(get);
  credentialCases(get);
  systemCases(get);
  contextCases(get);
  commitCases(get);
  libraryCases(get);
  composeCases(get);
  endpointCases(get);
  jsonCases(get);
});

parityCases();
