/** Agents inside this process, with real sockets and files: what roles of a user's own say to each other. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Agent, startAgent } from '../../cli/agent/agent.ts';
import { found } from '../../cli/init.ts';
import { silentLogger } from '../../src/seam/logger.ts';
import { parseSettings } from '../../src/settings/settings.ts';
import { freePort, until } from './processes.ts';

/** Asks its namesake on the other node, and publishes what that answered; the answer says who was asked by whom. */
const chatter = `export default {
  name: 'chatter',
  consumes: ['chatter'],
  async start(context) {
    context.onRequest(async (from, body) => {
      if (body.question === 'bad') throw new Error('boom');
      return { answer: body.question + '!', by: context.self.name, to: from.name };
    });
    const ask = async () => {
      const other = context.members('chatter').find((member) => member.number !== context.self.number);
      if (other === undefined) return;
      const answer = await context.request(other.number, 'chatter', { question: 'well' });
      const refused = await context.request(other.number, 'chatter', { question: 'bad' }).catch((error) => error.code);
      await context.publish({ answer, refused });
    };
    // A member is known before its roles have started.
    const askUntilAnswered = () => void ask().catch(() => setTimeout(askUntilAnswered, 200));
    context.onChange((change) => { if (change.kind === 'members') askUntilAnswered(); });
    askUntilAnswered();
    return { async stop() {}, status: () => ({ heard: context.configs('chatter').map((config) => config.value) }) };
  },
};`;

describe('roles of one cluster', { timeout: 60_000 }, () => {
  let folder: string;
  const agents: Agent[] = [];
  const interruption = new AbortController();

  const start = async (path: string, text: string): Promise<Agent> => {
    const agent = await startAgent({
      settings: parseSettings(text, path),
      settingsPath: path,
      socketFolder: join(folder, 'run'),
      patient: true,
      log: silentLogger,
      signal: interruption.signal,
      onStage: () => {},
    });
    agents.push(agent);
    return agent;
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hivemind-roles-'));
    writeFileSync(join(folder, 'chatter.mjs'), chatter);
    const port = await freePort();
    const founded = await found(`c1=127.0.0.1:${port}`, folder, 3_600_000);
    const control = join(folder, 'c1', 'hivemind.yaml');
    await start(control, `version: 1\nname: c1\nbind: 127.0.0.1:${port}\ndata: ./data\n`);
    for (const name of ['left', 'right']) {
      const bind = `127.0.0.1:${await freePort()}`;
      const join_ = `join: { addresses: ['127.0.0.1:${port}'], token: ${founded.token} }`;
      const roles = 'roles: { chatter: { module: ./chatter.mjs } }';
      const text = `version: 1\nname: ${name}\nbind: ${bind}\ndata: ./${name}\n${join_}\n${roles}\n`;
      await start(join(folder, `${name}.yaml`), text);
    }
  });

  after(async () => {
    interruption.abort();
    for (const agent of agents.toReversed()) await agent.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('HM-1: a role asks its namesake elsewhere, and a handler that throws costs the asker an error', async () => {
    const [, left] = agents;
    const exchange = (left as Agent).node.member.exchange.configs;
    await until('both answered and published', () => exchange.list('chatter').length === 2, 20_000);
    const values = exchange.list('chatter').map(({ value }) => Buffer.from(value).toString('latin1'));
    for (const value of values) assert.match(value, /well!.*internal/s);
    assert.notEqual(values[0], values[1], 'each was answered by the other');
  });
});
