import { strict as assert } from 'node:assert';
import { parseCron } from './cron.ts';

const atMs = (text: string) => Date.parse(text);
const textOf = (ms: number | undefined) =>
  ms === undefined ? 'never' : new Date(ms).toISOString().replace('.000Z', 'Z');

describe('ticks of a schedule', () => {
  const cases: {
    name: string;
    schedule: string;
    timeZone?: string;
    after: string;
    expect: string[];
  }[] = [
    {
      name: 'five fields',
      schedule: '*/5 * * * *',
      after: '2026-01-01T00:02:00Z',
      expect: ['2026-01-01T00:05:00Z', '2026-01-01T00:10:00Z'],
    },
    {
      name: 'six fields, the second first',
      schedule: '*/20 * * * * *',
      after: '2026-01-01T00:00:00Z',
      expect: ['2026-01-01T00:00:20Z', '2026-01-01T00:00:40Z', '2026-01-01T00:01:00Z'],
    },
    {
      name: 'a nickname',
      schedule: '@hourly',
      after: '2026-01-01T00:30:00Z',
      expect: ['2026-01-01T01:00:00Z', '2026-01-01T02:00:00Z'],
    },
    {
      name: 'names of days, or a day of the month: either will do',
      schedule: '0 9 13 * FRI',
      after: '2026-04-09T00:00:00Z',
      expect: ['2026-04-10T09:00:00Z', '2026-04-13T09:00:00Z'],
    },
    {
      name: 'midnight in a zone that is half an hour off',
      schedule: '@daily',
      timeZone: 'Asia/Kolkata',
      after: '2026-01-01T00:00:00Z',
      expect: ['2026-01-01T18:30:00Z', '2026-01-02T18:30:00Z'],
    },
    {
      name: 'the same time of day in winter and in summer',
      schedule: '0 12 * * *',
      timeZone: 'America/New_York',
      after: '2026-03-07T00:00:00Z',
      expect: ['2026-03-07T17:00:00Z', '2026-03-08T16:00:00Z'],
    },
    {
      name: 'a time that spring passes over comes an hour later by the clock, and not twice',
      schedule: '30 2 * * *',
      timeZone: 'Europe/Berlin',
      after: '2026-03-28T00:00:00Z',
      expect: ['2026-03-28T01:30:00Z', '2026-03-29T01:00:00Z', '2026-03-30T00:30:00Z'],
    },
    {
      name: 'a time that comes twice in autumn is a tick once',
      schedule: '30 2 * * *',
      timeZone: 'Europe/Berlin',
      after: '2026-10-24T00:00:00Z',
      expect: ['2026-10-24T00:30:00Z', '2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z'],
    },
    {
      name: 'every half hour means just that, in autumn',
      schedule: '*/30 * * * *',
      timeZone: 'Europe/Berlin',
      after: '2026-10-25T00:15:00Z',
      expect: ['2026-10-25T00:30:00Z', '2026-10-25T01:00:00Z', '2026-10-25T01:30:00Z'],
    },
    {
      name: 'and in spring',
      schedule: '*/30 * * * *',
      timeZone: 'Europe/Berlin',
      after: '2026-03-29T00:15:00Z',
      expect: ['2026-03-29T00:30:00Z', '2026-03-29T01:00:00Z', '2026-03-29T01:30:00Z'],
    },
    {
      name: 'clocks that move by half an hour',
      schedule: '15 10 * * *',
      timeZone: 'Australia/Lord_Howe',
      after: '2026-04-03T12:00:00Z',
      expect: ['2026-04-03T23:15:00Z', '2026-04-04T23:45:00Z'],
    },
    {
      name: 'the day of the leap year',
      schedule: '0 0 29 2 *',
      after: '2026-01-01T00:00:00Z',
      expect: ['2028-02-29T00:00:00Z'],
    },
  ];
  for (const { name, schedule, timeZone = 'UTC', after, expect } of cases) {
    it(name, () => {
      const cron = parseCron(schedule, timeZone);
      let ms = atMs(after);
      const ticks = expect.map(() => {
        ms = cron.next(ms) ?? Number.NaN;
        return textOf(ms);
      });
      assert.deepEqual(ticks, expect);
      // Back again: each tick is the latest one until the next.
      for (const tick of expect) {
        assert.equal(textOf(cron.latest(atMs(tick))), tick);
        assert.equal(textOf(cron.latest(atMs(tick) + 999)), tick);
        assert.notEqual(textOf(cron.latest(atMs(tick) - 1)), tick);
      }
    });
  }

  it('goes through a year without a tick lost or doubled, back as well as on', () => {
    for (const timeZone of ['UTC', 'Europe/Berlin', 'America/Sao_Paulo']) {
      const cron = parseCron('7 */3 * * *', timeZone);
      const endMs = atMs('2027-01-01T00:00:00Z');
      let before: number | undefined;
      for (let ms = cron.next(atMs('2026-01-01T00:00:00Z'))!; ms < endMs; ms = cron.next(ms)!) {
        assert.equal(cron.latest(ms), ms);
        if (before !== undefined) assert.equal(cron.latest(ms - 1), before);
        before = ms;
      }
    }
  });
});

describe('schedules that are refused', () => {
  const cases: { schedule: string; timeZone?: string; says: RegExp }[] = [
    { schedule: 'soon', says: /^"soon" is no schedule: it takes 5 fields .*@hourly$/ },
    { schedule: '', says: /^"" is no schedule/ },
    { schedule: '* * * * * * *', says: /is no schedule: it takes 5 fields/ },
    { schedule: '61 * * * *', says: /^"61 \* \* \* \*" is no schedule: .*61/ },
    { schedule: '@never', says: /^"@never" is no schedule/ },
    { schedule: '2026-01-01T00:00:00', says: /is no schedule/ },
    { schedule: '0 0 31 2 *', says: /names a time that never comes$/ },
    {
      schedule: '@daily',
      timeZone: 'Mars/Olympus',
      says: /^"Mars\/Olympus" is no time zone; use a name such as UTC or Europe\/Berlin$/,
    },
  ];
  for (const { schedule, timeZone = 'UTC', says } of cases) {
    it(`"${schedule}" in ${timeZone}`, () => {
      assert.throws(() => parseCron(schedule, timeZone), {
        code: 'invalid-argument',
        message: says,
      });
    });
  }
});
