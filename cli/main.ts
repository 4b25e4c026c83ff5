/** The process: caches compiled code first, so that what is loaded next starts fast. */
import { enableCompileCache } from 'node:module';

enableCompileCache();
const { runProcess } = await import('./index.ts');
await runProcess();
