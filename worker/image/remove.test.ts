import { strict as assert } from 'node:assert';
import type { Image } from './images.ts';
import { familiarString, parseReference } from './reference.ts';
import { planRemoval } from './remove.ts';

const digest = `sha256:${'d'.repeat(64)}`;
const image = { id: `sha256:${'0123456789abcdef'.repeat(4)}` } as Image;

interface Case {
  readonly name: string;
  /** All names; the first is the one given, unless `byId`. */
  readonly names: readonly string[];
  readonly byId?: boolean;
  readonly force?: boolean;
  readonly usedBy?: string;
  readonly expect: { readonly untag: readonly string[]; readonly remove: boolean } | string;
}

describe('removal of images', () => {
  const cases: readonly Case[] = [
    { name: 'the only tag', names: ['a:1'], expect: { untag: ['a:1'], remove: true } },
    {
      name: 'the only tag, with its digest',
      names: ['a:1', `a@${digest}`],
      expect: { untag: ['a:1', `a@${digest}`], remove: true },
    },
    {
      name: 'one tag of two in a repository',
      names: ['a:1', 'a:2', `a@${digest}`],
      expect: { untag: ['a:1'], remove: false },
    },
    {
      name: 'the last tag of one repository of two',
      names: ['a:1', `a@${digest}`, 'b:1', `b@${digest}`],
      expect: { untag: ['a:1', `a@${digest}`], remove: false },
    },
    {
      name: 'a digest beside its tag',
      names: [`a@${digest}`, 'a:1'],
      expect: { untag: [`a@${digest}`], remove: false },
    },
    {
      name: 'the only tag, used',
      names: ['a:1', `a@${digest}`],
      usedBy: 'web.1',
      expect:
        'conflict: unable to remove repository reference "a:1" (must force) - container web.1 is using its referenced image 0123456789ab',
    },
    {
      name: 'the only tag, used, forced: the image stays',
      names: ['a:1'],
      usedBy: 'web.1',
      force: true,
      expect: { untag: ['a:1'], remove: false },
    },
    {
      name: 'one tag of two, used',
      names: ['a:1', 'b:1'],
      usedBy: 'web.1',
      expect: { untag: ['a:1'], remove: false },
    },
    { name: 'by id', names: ['a:1'], byId: true, expect: { untag: ['a:1'], remove: true } },
    { name: 'by id, nameless', names: [], byId: true, expect: { untag: [], remove: true } },
    {
      name: 'by id, with its digest',
      names: ['a:1', `a@${digest}`],
      byId: true,
      expect: { untag: ['a:1', `a@${digest}`], remove: true },
    },
    {
      name: 'by id, two tags',
      names: ['a:1', 'a:2'],
      byId: true,
      expect:
        'conflict: unable to delete 0123456789ab (must be forced) - image is referenced in multiple repositories',
    },
    {
      name: 'by id, two repositories, forced',
      names: ['a:1', 'b:1'],
      byId: true,
      force: true,
      expect: { untag: ['a:1', 'b:1'], remove: true },
    },
    {
      name: 'by id, used, forced',
      names: ['a:1'],
      byId: true,
      force: true,
      usedBy: 'web.1',
      expect:
        'conflict: unable to delete 0123456789ab (cannot be forced) - image is being used by container web.1',
    },
  ];
  for (const { name, names, byId = false, force = false, usedBy, expect } of cases) {
    it(name, () => {
      const references = names.map(parseReference);
      const plan = () =>
        planRemoval({
          given: byId ? image.id : (names[0] ?? ''),
          image,
          named: byId ? undefined : references[0],
          references,
          force,
          usedBy,
        });
      if (typeof expect === 'string') {
        assert.throws(plan, { code: 'failed-precondition', message: expect });
      } else {
        const { untag, remove } = plan();
        assert.deepEqual({ untag: untag.map(familiarString), remove }, expect);
      }
    });
  }
});
