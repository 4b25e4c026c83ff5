import { integer, text } from '../../command/flags.ts';
import { eachContainer } from '../../container/verb.ts';

const signal = text('signal', 'Signal to send to the container', { short: 's' });
const timeout = integer('timeout', 'Seconds to wait before killing the container', { short: 't' });
const time = integer('time', 'The same: its name in older versions of docker');

export const command = eachContainer([signal, time, timeout], (client, path, flags) =>
  client.json('POST', `${path}/restart`, {
    query: { t: flags.get(timeout) ?? flags.get(time), signal: flags.get(signal) },
  }),
);
