import { rmCommand } from '../../file/rm.ts';

export const command = rmCommand('config');
