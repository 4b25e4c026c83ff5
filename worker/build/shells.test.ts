import { strict as assert } from 'node:assert';
import { spellOutShells } from './shells.ts';

const bash = 'SHELL ["/bin/bash", "-ec"]';

describe('SHELL of a Dockerfile', () => {
  const cases = [
    { name: 'a Dockerfile without any', text: 'FROM a\nCMD run it\n', becomes: undefined },
    {
      name: 'commands after it, quotes and variables as they are',
      text: `FROM a\nCMD early\n${bash}\nCMD echo "$A"\nENTRYPOINT run it`,
      becomes: `FROM a\nCMD early\n${bash}\nCMD ["/bin/bash","-ec","echo \\"$A\\""]\nENTRYPOINT ["/bin/bash","-ec","run it"]`,
    },
    { name: 'the exec form', text: `FROM a\n${bash}\nCMD ["run", "it"]\n`, becomes: undefined },
    {
      name: 'a command over several lines',
      text: `FROM a\n${bash}\nCMD one && \\\n  # why\n  two\nUSER me\n`,
      becomes: `FROM a\n${bash}\nCMD ["/bin/bash","-ec","one &&   two"]\nUSER me\n`,
    },
    {
      name: 'stages that are built on by name, and by number',
      text: `FROM a AS Base\n${bash}\nFROM base\nCMD x\nFROM 0\nCMD y\nFROM b\nCMD z`,
      becomes: `FROM a AS Base\n${bash}\nFROM base\nCMD ["/bin/bash","-ec","x"]\nFROM 0\nCMD ["/bin/bash","-ec","y"]\nFROM b\nCMD z`,
    },
    {
      name: 'a SHELL that is no list, which the build refuses',
      text: 'FROM a\nSHELL bash\nCMD x',
      becomes: undefined,
    },
  ];
  for (const { name, text, becomes } of cases) {
    it(`is minded in ${name}`, () => assert.equal(spellOutShells(text), becomes ?? text));
  }

  it('is minded where the base brings it', () => {
    const ofBase = (stage: number) => (stage === 1 ? ['/bin/ash', '-c'] : undefined);
    assert.equal(
      spellOutShells('FROM a\nCMD x\nFROM b AS c\nCMD y\nFROM c\nENTRYPOINT z', ofBase),
      'FROM a\nCMD x\nFROM b AS c\nCMD ["/bin/ash","-c","y"]\nFROM c\nENTRYPOINT ["/bin/ash","-c","z"]',
    );
  });
});
