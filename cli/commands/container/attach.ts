import { attachCommand } from '../../container/attach.ts';

export const command = attachCommand('any');
