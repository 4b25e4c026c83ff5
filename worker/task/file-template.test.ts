import { strict as assert } from 'node:assert';
import { expandFile, type FileContext } from './file-template.ts';

const context: FileContext = {
  service: { id: 's1', name: 'web', labels: { tier: 'front' } },
  node: { id: 'n1', hostname: 'h1', architecture: 'x86_64', os: 'linux' },
  task: { id: 't1', name: 'web.2.t1', slot: 2 },
  env: ['WHO=me=you', 'EMPTY='],
  file: (kind, target) => (target === 'pw' ? Buffer.from(`${kind} \u00e9`) : undefined),
  what: 'config nginx',
};

describe('the content of a templated secret or config', () => {
  for (const [given, expected] of [
    ['plain { text }', 'plain { text }'],
    ['{{.Task.Slot}} of {{ .Service.Name }}', '2 of web'],
    ['{{.Service.Labels.tier}}{{index .Service.Labels "none"}}', 'front'],
    ['{{env "WHO"}},{{env "EMPTY"}},{{env "NONE"}}', 'me=you,,'],
    ['<{{secret "pw"}}> <{{config "pw"}}>', '<secret \u00e9> <config \u00e9>'],
    ['a  \n{{- .Task.Slot -}}\n  b', 'a  \n{{- .Task.Slot -}}\n  b'.replace(/\s*\{.*\}\s*/s, '2')],
    ['a {{-  .Task.Slot}} b', 'a2 b'],
    ['{{if eq (env "WHO") "me=you"}}\u00fc{{else}}x{{end}}', '\u00fc'],
    [
      '{{with secret "pw"}}[{{.}}]{{end}}{{range $k, $v := .Service.Labels}}{{$k}}={{$v}}{{end}}',
      '[secret \u00e9]tier=front',
    ],
    ['{{printf "%05.1f %q" 3.14159 .Service.Name}}', '003.1 "web"'],
    ['{{join "-" .Service.Name .Task.Slot}} {{env "WHO" | len}}', 'web-2 6'],
    ['umlaut \u00fc', 'umlaut \u00fc'],
  ] as const) {
    it(JSON.stringify(given), () => {
      assert.equal(Buffer.from(expandFile(Buffer.from(given), context)).toString(), expected);
    });
  }

  it('keeps bytes that are no text', () => {
    const bytes = Buffer.from([0, 255, 128, 123, 10]);
    assert.deepEqual(Buffer.from(expandFile(bytes, context)), bytes);
  });

  for (const [given, says] of [
    [
      '{{.Nope}}',
      /^what stands between braces in the config nginx, line 1, is no .*: use \.Service\.ID/,
    ],
    ['a\n{{if .Service.Name}}x', /in the config nginx, line 2, is no template/],
    ['{{secret "other"}}', /the config nginx names the secret target "other", which the task/],
  ] as const) {
    it(`refuses ${given}`, () => {
      assert.throws(() => expandFile(Buffer.from(given), context), { message: says });
    });
  }
});
