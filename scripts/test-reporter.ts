/** Mocha's usual report, and a line "passed failed" appended to the file that $TEST_COUNTS names. */
import { appendFileSync } from 'node:fs';
import mocha from 'mocha';

class CountingReporter extends mocha.reporters.Spec {
  constructor(runner: mocha.Runner, options: mocha.MochaOptions) {
    super(runner, options);
    const file = process.env['TEST_COUNTS'];
    runner.once(mocha.Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures } = this.stats;
      if (file !== undefined) appendFileSync(file, `${passes} ${failures}\n`);
    });
  }
}

// Mocha takes a reporter only as a module's default export.
// oxlint-disable-next-line import/no-default-export
export default CountingReporter;
