/** A line of output as servers of logs take it: syslog's formats, and the journal's own. Pure. */
import type { JournaldConfig, SyslogConfig } from './config.ts';

export interface RemoteLine {
  readonly stream: 'stdout' | 'stderr';
  /** Without its line end. */
  readonly text: string;
  /** More of the same line follows. */
  readonly isPartial: boolean;
  readonly timeMs: number;
}

export interface Sender {
  readonly hostname: string;
  readonly pid: number;
}

/** syslog's levels. */
const error = 3;
const info = 6;
const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

export function syslogMessage(config: SyslogConfig, line: RemoteLine, sender: Sender): Buffer {
  const { tag, format, address } = config;
  const { hostname, pid } = sender;
  const priority = `<${config.facility * 8 + (line.stream === 'stderr' ? error : info)}>`;
  const text = `${line.text}\n`;
  const when = new Date(line.timeMs);
  switch (format) {
    case '':
      return Buffer.from(`${priority}${stamp(when)} ${tag}[${pid}]: ${text}`);
    case 'rfc3164':
      return Buffer.from(`${priority}${stamp(when)} ${hostname} ${tag}[${pid}]: ${text}`);
    default: {
      const time = format === 'rfc5424' ? when.toISOString().replace(/\.\d+/, '') : micro(when);
      const message = Buffer.from(
        `${priority}1 ${time} ${hostname} ${tag} ${pid} ${tag} - ${text}`,
      );
      // Only over TLS, as RFC 5425 has it.
      return address.kind === 'tcp+tls'
        ? Buffer.concat([Buffer.from(`${message.length} `), message])
        : message;
    }
  }
}

/** `Jan  2 15:04:05`, in UTC: servers are told no zone. */
function stamp(when: Date): string {
  const day = String(when.getUTCDate()).padStart(2);
  return `${months[when.getUTCMonth()]} ${day} ${when.toISOString().slice(11, 19)}`;
}

function micro(when: Date): string {
  return when.toISOString().replace(/(\.\d{3})Z/, '$1000Z');
}

/** The native protocol of journald: a field a line, or its length before what has line ends. */
export function journalEntry({ fields }: JournaldConfig, line: RemoteLine): Buffer {
  const all = {
    MESSAGE: line.text,
    PRIORITY: String(line.stream === 'stderr' ? error : info),
    ...fields,
    ...(line.isPartial ? { CONTAINER_PARTIAL_MESSAGE: 'true' } : {}),
  };
  return Buffer.concat(
    Object.entries(all).map(([key, value]) => {
      const bytes = Buffer.from(value);
      if (!value.includes('\n')) return Buffer.from(`${key}=${value}\n`);
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(bytes.length));
      return Buffer.concat([Buffer.from(`${key}\n`), length, bytes, Buffer.from('\n')]);
    }),
  );
}
