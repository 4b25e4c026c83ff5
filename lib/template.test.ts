import { strict as assert } from 'node:assert';
import { expandTemplate, whyUnfillable, type TemplateContext } from './template.ts';

const context: TemplateContext = {
  service: { id: 's1', name: 'web', labels: { tier: 'front', 'com.example.a-b': 'dotted' } },
  node: { id: 'n1', hostname: 'h1.example', architecture: 'x86_64', os: 'linux' },
  task: { id: 't1', name: 'web.2.t1', slot: 2 },
};

describe('lib/template', () => {
  const cases = [
    { text: 'plain } { text', expect: 'plain } { text' },
    {
      text: '{{.Service.ID}}-{{.Node.Platform.OS}}/{{.Node.Platform.Architecture}}',
      expect: 's1-linux/x86_64',
    },
    { text: '{{.Service.Labels.tier}}|{{.Service.Labels.none}}', expect: 'front|' },
    { text: '{{.Service.Labels.com.example.a-b}}', expect: 'dotted' },
    { text: '{{index .Service.Labels "com.example.a-b"}}', expect: 'dotted' },
    { text: '{{if eq .Task.Slot "2"}}second{{else}}other{{end}}', expect: 'second' },
    { text: '{{if and (ne .Task.Slot "1") (not .Service.Labels.none)}}y{{end}}', expect: 'y' },
    { text: '{{if or (lt 2 1) (gt 2 1)}}y{{else}}n{{end}}', expect: 'y' },
    { text: '{{if eq .Task.Slot "1" "2"}}y{{end}}', expect: 'y' },
    { text: '{{with .Service.Labels.tier}}<{{.}}>{{end}}', expect: '<front>' },
    { text: '{{range $k, $v := .Service.Labels}}{{$k}}={{$v};}}{{end}}', expect: undefined },
    {
      text: '{{range $k, $v := .Service.Labels}}{{$k}}={{$v}};{{end}}',
      expect: 'com.example.a-b=dotted;tier=front;',
    },
    { text: '{{$n := .Node.Hostname}}{{slice $n 0 2}}', expect: 'h1' },
    { text: '{{.Service.Name | printf "%s-%s" "a"}}', expect: 'a-web' },
    { text: '{{printf "%03d|%-4s|%q|%x" 7 "a" "b" 255}}', expect: '007|a   |"b"|ff' },
    { text: '{{len .Service.Name}} {{len .Service.Labels}}', expect: '3 2' },
    { text: '{{join "-" .Service.Name .Task.Slot}}', expect: 'web-2' },
    { text: '{{"quoted"}}{{`raw`}}{{/* nothing */}}', expect: 'quotedraw' },
    { text: 'a {{- .Task.Slot -}} b', expect: 'a2b' },
    { text: '{{define "x"}}[{{.}}]{{end}}{{template "x" .Task.ID}}', expect: '[t1]' },
  ];
  for (const { text, expect } of cases) {
    it(text, () => {
      if (expect === undefined) assert.throws(() => expandTemplate(text, context));
      else assert.equal(expandTemplate(text, context), expect);
    });
  }

  it('has no functions but those of services', () => {
    for (const text of ['{{upper .Service.Name}}', '{{env "X"}}', '{{.Task.Nope}}', '{{']) {
      assert.throws(() => expandTemplate(text, context), {
        code: 'invalid-argument',
        message: /^".*" is not a template that can be filled in \(template: .*: use \.Service\.ID/,
      });
      assert.match(whyUnfillable(text) ?? '', /^template: /);
    }
  });

  it('leaves to the node what only the node can know', () => {
    assert.equal(whyUnfillable('{{slice .Node.Hostname 0 8}}'), undefined);
    assert.throws(() => expandTemplate('{{slice .Task.ID 0 8}}', context), /error calling slice/);
  });

  const greedy = [
    '{{range 1000000000}}x{{end}}',
    '{{range 1000}}{{range 1000}}{{range 1000}}x{{end}}{{end}}{{end}}',
    '{{define "r"}}{{template "r"}}{{template "r"}}{{end}}{{template "r"}}',
    '{{$x := "aaaaaaaa"}}{{range 24}}{{$x = print $x $x}}{{end}}{{$x}}',
  ];
  for (const text of greedy) {
    it(`ends ${text}`, () => assert.match(whyUnfillable(text) ?? '', /^template: /));
  }
});
