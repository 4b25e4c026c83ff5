import { topCommand } from '../../container/top.ts';

export const command = topCommand('any');
