import { inspectCommand } from '../../file/inspect.ts';

export const command = inspectCommand('config');
