import { revisionsCommand } from '../../file/revisions.ts';

export const command = revisionsCommand('secret');
