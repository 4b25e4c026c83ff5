/**
 * For mocha's --require. Properties draw the same in every run, so that a change is judged by what
 * it changes; TEST_SEED, a number, has them draw something else.
 */
import * as fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env['TEST_SEED'] ?? 1) });
