import { updateCommand } from '../../file/update.ts';

export const command = updateCommand('config');
