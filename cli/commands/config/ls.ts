import { lsCommand } from '../../file/ls.ts';

export const command = lsCommand('config');
