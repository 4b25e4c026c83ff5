import { copyCommand } from '../../container/copy.ts';

export const command = copyCommand('task');
