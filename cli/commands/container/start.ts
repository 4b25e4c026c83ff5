import { eachContainer } from '../../container/verb.ts';

export const command = eachContainer([], (client, path) => client.json('POST', `${path}/start`));
