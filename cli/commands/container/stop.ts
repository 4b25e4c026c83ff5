import { integer, text } from '../../command/flags.ts';
import { eachContainer } from '../../container/verb.ts';

const signal = text('signal', 'Signal to send to the container', { short: 's' });
const time = integer('time', 'Seconds to wait before killing the container', { short: 't' });

export const command = eachContainer([signal, time], (client, path, flags) =>
  client.json('POST', `${path}/stop`, {
    query: { t: flags.get(time), signal: flags.get(signal) },
  }),
);
