import { statsCommand } from '../../container/stats.ts';

export const command = statsCommand('task');
