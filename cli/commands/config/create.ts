import { createCommand } from '../../file/create.ts';

export const command = createCommand('config');
