import { execCommand } from '../../container/exec.ts';

export const command = execCommand('task');
