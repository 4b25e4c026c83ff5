import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import { SwarmError } from '../../lib/errors.ts';
import { compileTemplate, goValue } from './template.ts';

const data = {
  ID: 'abc',
  Name: 'web',
  Count: 3,
  Float: 0.5,
  Yes: true,
  No: false,
  Nil: null,
  Empty: '',
  List: ['a', 'b', 'c'],
  None: [],
  Labels: { tier: 'front', 'com.example/x': '1' },
  Spec: { Mode: { Replicated: { Replicas: 2 } }, Env: ['A=1', 'B=2'] },
  Nodes: [
    { Name: 'n1', Up: true },
    { Name: 'n2', Up: false },
  ],
  Network: { Id: 'net' },
};

describe('format/template', () => {
  const cases: { template: string; expect: string }[] = [
    { template: 'plain', expect: 'plain' },
    { template: '{{.ID}}', expect: 'abc' },
    { template: '{{ .ID }}-{{.Name}}', expect: 'abc-web' },
    { template: '{{.Network.ID}} {{.Network.Id}}', expect: 'net net' },
    { template: '{{.Spec.Mode.Replicated.Replicas}}', expect: '2' },
    { template: '{{$.Name}}', expect: 'web' },
    { template: '{{.List}} {{.Labels}}', expect: '[a b c] map[com.example/x:1 tier:front]' },
    { template: '{{.Yes}} {{.Nil}} {{.Float}}', expect: 'true <nil> 0.5' },
    { template: '{{json .List}} {{json .Nil}}', expect: '["a","b","c"] null' },
    { template: '{{.Name | json}}', expect: '"web"' },
    { template: '{{.Name | upper | printf "%s!%s" "x"}}', expect: 'x!WEB' },
    { template: '{{upper .Name}} {{lower "ABC"}} {{title "ab cd"}}', expect: 'WEB abc Ab Cd' },
    { template: '{{join .List ", "}}', expect: 'a, b, c' },
    { template: '{{index (split "a:b" ":") 1}}', expect: 'b' },
    { template: '{{truncate .ID 2}}|{{pad .ID 1 2}}|', expect: 'ab| abc  |' },
    { template: '{{len .List}} {{len .Name}} {{len .Labels}}', expect: '3 3 2' },
    { template: '{{index .Labels "tier"}}|{{index .Labels "nope"}}|', expect: 'front||' },
    { template: '{{index .List 1}} {{index .Nodes 0 "Name"}}', expect: 'b n1' },
    { template: '{{slice .Name 1}} {{slice .List 0 2}}', expect: 'eb [a b]' },
    { template: '{{println .Name 3}}', expect: 'web 3\n' },
    { template: '{{print "a" "b" 1 2}}', expect: 'ab1 2' },
    {
      template: '{{printf "%5s|%-5s|%05d|%q|%.2f|%x|%%" "a" "b" 42 "c" 1.5 255}}',
      expect: '    a|b    |00042|"c"|1.50|ff|%',
    },
    { template: '{{printf "%d" "x"}}', expect: '%!d(string=x)' },
    { template: '{{if .Yes}}y{{else}}n{{end}}{{if .No}}y{{else}}n{{end}}', expect: 'yn' },
    { template: '{{if .None}}a{{else if eq .Count 3}}b{{else}}c{{end}}', expect: 'b' },
    { template: '{{if and .Yes (not .No) (gt .Count 2)}}all{{end}}', expect: 'all' },
    { template: '{{or .Empty "default"}} {{and .Name .Count}}', expect: 'default 3' },
    { template: '{{or .Yes .Nope.Deeper}}', expect: 'true' },
    {
      template: '{{eq .Name "a" "web"}} {{ne 1 2}} {{lt "a" "b"}} {{le 2 2}} {{ge 1 2}}',
      expect: 'true true true true false',
    },
    { template: '{{range .List}}{{.}};{{end}}', expect: 'a;b;c;' },
    { template: '{{range $i, $v := .List}}{{$i}}={{$v}} {{end}}', expect: '0=a 1=b 2=c ' },
    {
      template: '{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}',
      expect: 'com.example/x=1 tier=front ',
    },
    { template: '{{range .None}}x{{else}}empty{{end}}', expect: 'empty' },
    { template: '{{range .List}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', expect: 'ac' },
    { template: '{{range .List}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', expect: 'a' },
    { template: '{{range .Nodes}}{{if .Up}}{{.Name}}{{end}}{{end}}', expect: 'n1' },
    { template: '{{range .Nodes}}{{$.ID}}-{{.Name}} {{end}}', expect: 'abc-n1 abc-n2 ' },
    { template: '{{with .Spec.Mode}}{{.Replicated.Replicas}}{{end}}', expect: '2' },
    { template: '{{with .Nil}}x{{else}}none{{end}}', expect: 'none' },
    { template: '{{with $x := .Name}}{{$x}}{{end}}', expect: 'web' },
    { template: '{{$x := 1}}{{if .Yes}}{{$x = 2}}{{end}}{{$x}}', expect: '2' },
    { template: 'a {{- /* gone */ -}} b', expect: 'ab' },
    { template: '{{/* gone }} */}}x', expect: 'x' },
    { template: 'a  {{- .ID -}}  b', expect: 'aabcb' },
    { template: '{{"quoted \\"x\\" \\t"}}{{`raw \\n`}}', expect: 'quoted "x" \traw \\n' },
    { template: "{{'a'}}", expect: '97' },
    { template: '{{"}}"}}', expect: '}}' },
    {
      template: '{{define "row"}}<{{.Name}}>{{end}}{{range .Nodes}}{{template "row" .}}{{end}}',
      expect: '<n1><n2>',
    },
    { template: '{{block "x" .Name}}[{{.}}]{{end}}', expect: '[web]' },
    { template: '{{(index .Nodes 1).Name}}', expect: 'n2' },
    { template: '{{-1}} {{0x10}} {{1.5}} {{true}}', expect: '-1 16 1.5 true' },
    { template: '{{html "<a&b>"}} {{urlquery "a b&c"}}', expect: '&lt;a&amp;b&gt; a+b%26c' },
  ];
  for (const { template, expect } of cases) {
    it(template, () => assert.equal(compileTemplate(template).run(data), expect));
  }

  const failures: { template: string; expect: string }[] = [
    { template: '{{.Name', expect: ':1: unclosed action' },
    { template: '{{if .Name}}', expect: ':1: unexpected EOF' },
    { template: 'a\n{{foo .Name}}', expect: ':2: function "foo" not defined' },
    { template: '{{end}}', expect: ':1: unexpected {{end}}' },
    { template: '{{break}}', expect: ':1: {{break}} outside {{range}}' },
    { template: '{{"x}}', expect: ':1: unterminated quoted string' },
    { template: '{{(.Name}}', expect: ':1: unclosed left paren' },
    { template: '{{}}', expect: ':1: missing value for command' },
    {
      template: '{{.Nope}}',
      expect: ':1:2: executing "" at <.Nope>: map has no entry for key "Nope"',
    },
    {
      template: '{{.Name.First}}',
      expect: ':1:2: executing "" at <.Name.First>: can\'t evaluate field First in type string',
    },
    {
      template: '{{.Nil.X}}',
      expect: ':1:2: executing "" at <.Nil.X>: nil pointer evaluating interface {}.X',
    },
    {
      template: '{{join .Name ","}}',
      expect:
        ':1:2: executing "" at <join .Name ",">: error calling join: wrong type for value; expected []string',
    },
    {
      template: '{{index .List 9}}',
      expect: ':1:2: executing "" at <index .List 9>: error calling index: index out of range: 9',
    },
    {
      template: '{{range .Name}}{{end}}',
      expect: ':1:2: executing "" at <range .Name>: range can\'t iterate over web',
    },
    { template: '{{template "x"}}', expect: ': template "x" not defined' },
    {
      template: '{{define "r"}}{{template "r"}}{{end}}{{template "r"}}',
      expect: ': template "r" calls itself too deeply',
    },
  ];
  for (const { template, expect } of failures) {
    it(`refuses ${template}`, () => {
      assert.throws(() => compileTemplate(template).run(data), {
        name: 'SwarmError',
        message: `template parsing error: template: ${expect}`,
      });
    });
  }

  it('reads a field that may be left out as nothing', () => {
    const template = compileTemplate('{{if .UpdateStatus}}yes{{else}}no{{end}}', {
      optional: (name) => name === 'UpdateStatus',
    });
    assert.equal(template.run(data), 'no');
  });

  it('prints durations and times as Go does, and JSON as it was', () => {
    const value = goValue({ StopGracePeriod: 90e9, CreatedAt: '2026-01-02T03:04:05.6Z' });
    assert.equal(
      compileTemplate('{{.StopGracePeriod}} {{.CreatedAt}} {{json .}}').run(value),
      '1m30s 2026-01-02 03:04:05.6 +0000 UTC ' +
        '{"StopGracePeriod":90000000000,"CreatedAt":"2026-01-02T03:04:05.6Z"}',
    );
  });

  it('answers any text with output or one sentence, never with a crash', () => {
    const fragment = fc.constantFrom(
      '{{',
      '}}',
      '.',
      '$',
      '|',
      '(',
      ')',
      '"',
      '`',
      'if ',
      'range ',
      'end',
      'else',
      '.Name',
      ' ',
      'x',
      '1',
      ':=',
      'eq ',
      'json ',
      '-',
      '/*',
      '*/',
      "'",
      ',',
    );
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 14 }), (parts) => {
        try {
          compileTemplate(parts.join('')).run(data);
        } catch (error) {
          assert.ok(error instanceof SwarmError, String(error));
          assert.match(error.message, /^template parsing error: template: /);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
