import { describeStoreLog } from '../../test/contract/store-log.ts';
import { MemoryLog, type MemoryStorage } from './memory-log.ts';

describeStoreLog('MemoryLog', () => {
  const storage: MemoryStorage = { entries: [] };
  return Promise.resolve({
    open: (options) => new MemoryLog({ storage, ...options }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});
