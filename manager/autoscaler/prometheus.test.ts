import { strict as assert } from 'node:assert';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { askPrometheus, fetchText } from './prometheus.ts';

const vector = (...values: string[]) =>
  JSON.stringify({
    status: 'success',
    data: {
      resultType: 'vector',
      result: values.map((value) => ({ metric: {}, value: [1, value] })),
    },
  });
const signal = new AbortController().signal;
const target = { url: 'http://p:9090/', query: 'sum(x{a="b"})' };

describe('a Prometheus server', () => {
  const cases: { name: string; status?: number; text: string; expect: object }[] = [
    { name: 'gives a number', text: vector('12.5'), expect: { value: 12.5 } },
    {
      name: 'gives a scalar',
      text: '{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}',
      expect: { value: 3 },
    },
    { name: 'gives nothing', text: vector(), expect: { problem: 'the query gives nothing' } },
    {
      name: 'gives several numbers',
      text: vector('1', '2'),
      expect: { problem: 'the query gives 2 numbers; sum() makes one of them' },
    },
    { name: 'gives no number', text: vector('NaN'), expect: { problem: 'the query gives NaN' } },
    {
      name: 'gives a string',
      text: '{"status":"success","data":{"resultType":"string","result":[1,"3"]}}',
      expect: { problem: 'the query gives a string; it has to give one number' },
    },
    {
      name: 'refuses the query',
      status: 400,
      text: '{"status":"error","errorType":"bad_data","error":"parse error: x"}',
      expect: { problem: 'http://p:9090/ refuses the query: parse error: x' },
    },
    {
      name: 'is none',
      status: 404,
      text: '<html>',
      expect: { problem: 'http://p:9090/ refuses the query: HTTP 404' },
    },
    {
      name: 'says null',
      text: 'null',
      expect: { problem: 'http://p:9090/ refuses the query: HTTP 200' },
    },
  ];
  for (const { name, status = 200, text, expect } of cases) {
    it(name, async () => {
      const asked: string[] = [];
      const answer = await askPrometheus(
        target,
        async (url) => {
          asked.push(url);
          return { status, text };
        },
        { signal },
      );
      assert.deepEqual(answer, expect);
      assert.deepEqual(asked, ['http://p:9090/api/v1/query?query=sum(x%7Ba%3D%22b%22%7D)']);
    });
  }

  it('is asked over HTTP, is not followed elsewhere, and is not let say too much', async () => {
    const server = createServer((request, response) => {
      if (request.url?.includes('query=away') === true) {
        response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
      } else if (request.url?.includes('query=much') === true) response.end('x'.repeat(3e5));
      else response.end(vector('7'));
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, '127.0.0.1', resolve);
    await promise;
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ask = (query: string) => askPrometheus({ url, query }, fetchText, { signal });
    try {
      assert.deepEqual(await ask('x'), { value: 7 });
      assert.deepEqual(await ask('away'), { problem: `${url} refuses the query: HTTP 302` });
      assert.deepEqual(await ask('much'), { problem: `${url} does not answer: it says too much` });
    } finally {
      server.close();
      server.closeAllConnections();
    }
    const gone = await ask('x');
    assert.ok('problem' in gone);
    assert.match(gone.problem, /does not answer: ./);
  });
});
