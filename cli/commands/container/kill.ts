import { text } from '../../command/flags.ts';
import { eachContainer } from '../../container/verb.ts';

const signal = text('signal', 'Signal to send to the container', { short: 's' });

export const command = eachContainer([signal], (client, path, flags) =>
  client.json('POST', `${path}/kill`, { query: { signal: flags.get(signal) } }),
);
