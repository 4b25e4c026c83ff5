import { logsCommand } from '../../container/logs.ts';

export const command = logsCommand('any');
