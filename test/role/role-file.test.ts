import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { RoleDefinition } from '../../src/role/contract.ts';
import { declarationOf } from '../../src/role/declaration.ts';
import { loadRole } from '../../src/role/loader.ts';
import { Supervisor } from '../../src/role/supervisor.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { MemoryHost, memberOf } from './memory-host.ts';

const start: RoleDefinition<unknown>['start'] = async () => ({ stop: async () => {} });

describe('The declaration of a role', () => {
  test('HM-16, HM-17: is in its type, with empty lists for what is not said', () => {
    const declared = { requires: ['host'], bootstrapFrom: ['dns', 'host'], consumes: ['host'] };
    assert.deepEqual(declarationOf({ name: 'dns', ...declared, start }), { name: 'dns', ...declared });
    assert.deepEqual(declarationOf({ name: 'x', start }), { name: 'x', requires: [], bootstrapFrom: [], consumes: [] });
  });

  const wrong: readonly (readonly [over: Record<string, unknown>, code: string, message: RegExp])[] = [
    [{ name: 'DNS' }, 'name-invalid', /^"DNS" cannot name a role; use 1 to 63/],
    [{ name: undefined }, 'name-invalid', /^undefined cannot name/],
    [{ requires: ['dns'] }, 'role-failed', /^The declaration of the role "dns" is wrong: .*wait for itself/],
    [{ requires: 'host' }, 'role-failed', /"requires" is not a list; write role names, like \["host"\]/],
    [{ consumes: ['Host'] }, 'role-failed', /"consumes" holds "Host"/],
    [{ bootstrapFrom: [7] }, 'role-failed', /"bootstrapFrom" holds 7/],
    [{ consumes: ['host', 'host'] }, 'role-failed', /"consumes" names "host" twice/],
    [{ requires: Array.from({ length: 17 }, (_, at) => `r${at}`) }, 'role-failed', /names 17 roles; name 16 at most/],
  ];
  for (const [over, code, message] of wrong) {
    test(`HM-16: is refused with ${JSON.stringify(over)}`, () => {
      assert.throws(() => declarationOf({ name: 'dns', start, ...over } as RoleDefinition<unknown>), { code, message });
    });
  }

  test('may name the role itself as warm peers and as what it consumes', () => {
    assert.deepEqual(declarationOf({ name: 'dns', bootstrapFrom: ['dns'], consumes: ['dns'], start }).consumes, [
      'dns',
    ]);
  });
});

describe("A user's own role file", () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hivemind-role-file-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function written(name: string, text: string): Promise<string> {
    const file = join(folder, name);
    await writeFile(file, text);
    return file;
  }

  test('HM-1: is loaded and runs, with no change to anything else', async () => {
    const file = await written(
      'greeter.mjs',
      `export default {
        name: 'greeter',
        async start(context) {
          await context.publish({ greeting: 'hello' });
          return { async stop() {}, status: () => ({ greets: true }) };
        },
      };`,
    );
    const definition = await loadRole(file);
    const host = new MemoryHost(memberOf(1, 'one', 'greeter'), new ManualClock());
    const supervisor = new Supervisor(host, [{ definition, settings: {} }]);
    supervisor.start();
    await settle();
    assert.deepEqual(supervisor.statuses()[0]?.facts, { greets: true });
    assert.deepEqual(host.configs('greeter')[0]?.value, { greeting: 'hello' });
    await supervisor.stop();
  });

  test('may be TypeScript under a loader, and has its settings checked by its own schema', async () => {
    const definition = await loadRole(join(import.meta.dirname, 'echo.ts'));
    assert.equal(definition.name, 'echo');
    assert.deepEqual(definition.settings?.parse({}), { greeting: 'hello', everyMs: 20 });
  });

  test('of TypeScript in a Node that does not run it is refused with what to do', async () => {
    const file = await written('typed.ts', 'export default { name: "typed" as string, async start() {} };');
    const program = `import { loadRole } from ${JSON.stringify(join(import.meta.dirname, '../../src/role/loader.ts'))};
      import { register } from 'node:module';
      register('data:text/javascript,' + encodeURIComponent(\`
        export async function load(url, context, next) {
          if (!url.endsWith('/typed.ts')) return next(url, context);
          throw Object.assign(new TypeError('Unknown file extension ".ts"'), { code: 'ERR_UNKNOWN_FILE_EXTENSION' });
        }\`));
      const refused = await loadRole(${JSON.stringify(file)}).catch((error) => error);
      process.stdout.write(refused.code + ': ' + refused.message);`;
    const script = await written('load-typed.mjs', program);
    const printed = await new Promise<string>((resolve, reject) => {
      const options = { cwd: join(import.meta.dirname, '../..') };
      execFile(process.execPath, ['--import', 'tsx', script], options, (error, stdout) =>
        error === null ? resolve(stdout) : reject(error),
      );
    });
    assert.match(printed, /^role-failed: .*typed\.ts cannot be loaded: this Node does not run TypeScript; compile/);
  });

  const wrong: readonly (readonly [name: string, text: string, code: string, message: RegExp])[] = [
    ['role.json', '{}', 'role-unknown', /role\.json is no role file; its name must end in \.js, \.mjs or \.ts/],
    ['empty.mjs', '', 'role-unknown', /empty\.mjs holds no role: it must end in "export default defineRole/],
    ['number.mjs', 'export default 7;', 'role-unknown', /holds no role: it must end in/],
    ['idle.mjs', 'export default { name: "idle" };', 'role-unknown', /has no function "start"/],
    ['named.mjs', 'export default { name: "A B", start() {} };', 'name-invalid', /named\.mjs cannot be used: "A B"/],
    ['self.mjs', 'export default { name: "s", requires: ["s"], start() {} };', 'role-failed', /wait for itself/],
    ['schema.mjs', 'export default { name: "s", settings: {}, start() {} };', 'role-unknown', /is no schema of zod 4/],
    ['throws.mjs', 'throw new Error("no luck");', 'role-failed', /throws\.mjs cannot be loaded: no luck/],
    ['syntax.mjs', 'export default {', 'role-failed', /syntax\.mjs cannot be loaded: .*node --check/],
    ['needs.mjs', 'import "not-installed-anywhere";', 'role-failed', /not-installed-anywhere/],
  ];
  for (const [name, text, code, message] of wrong) {
    test(`is refused with what is wrong in ${name}: ${text || 'nothing'}`, async () => {
      await assert.rejects(loadRole(await written(name, text)), { name: 'HivemindError', code, message });
    });
  }

  test('that does not exist, or is a folder, is not one', async () => {
    const missing = join(folder, 'missing.js');
    await assert.rejects(loadRole(missing), {
      code: 'role-unknown',
      message: `There is no role file ${missing}; correct the path.`,
    });
    await mkdir(join(folder, 'folder.js'));
    await assert.rejects(loadRole(join(folder, 'folder.js')), { code: 'role-unknown' });
  });
});
