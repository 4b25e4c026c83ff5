/** Imported before a program: its clock is ahead by as many milliseconds as TEST_AHEAD_MS says. */
const aheadMs = Number(process.env['TEST_AHEAD_MS']);
const now = Date.now.bind(Date);

Date.now = () => now() + aheadMs;
