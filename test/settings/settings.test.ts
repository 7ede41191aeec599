import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import dns from '../../roles/dns/dns.ts';
import host from '../../roles/host/host.ts';
import nginx from '../../roles/nginx/nginx.ts';
import { HivemindError } from '../../src/error.ts';
import { writeSettings } from '../../src/settings/draft.ts';
import {
  type NodeSettings,
  parseRoleSettings,
  parseSettings,
  type RoleSection,
  settingsBytesMax,
} from '../../src/settings/settings.ts';

const file = '/etc/hive/hivemind.yaml';
const minimal = 'version: 1\nname: atlas\n';
const example = join(import.meta.dirname, '../../hivemind.yaml');

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (thrown) {
    assert(thrown instanceof HivemindError, String(thrown));
    assert.equal(thrown.code, 'settings-invalid');
    return thrown.message;
  }
  return assert.fail('nothing was refused');
}

function refusalOf(text: string): string {
  return refusal(() => parseSettings(text, 'hivemind.yaml')).replace(/^hivemind\.yaml:/, '');
}

function section(settings: NodeSettings, role: string): RoleSection {
  return settings.roles.get(role) ?? assert.fail(`no section ${role}`);
}

describe('a settings file', () => {
  test('needs a version and a name, and has a default for everything else', () => {
    assert.deepEqual(parseSettings(minimal, file), {
      name: 'atlas',
      data: '/etc/hive/data',
      bind: { host: '0.0.0.0', port: 7100 },
      advertise: [],
      detection: { profile: 'lan' },
      membership: { reapAfterMs: 72 * 3_600_000, replaceControlAfterMs: 3_600_000 },
      log: { level: 'info' },
      roles: new Map(),
    });
  });

  test('says when the dead are removed, and which stall is forgiven, with a number and a unit', () => {
    const settings = (yaml: string): NodeSettings => parseSettings(`${minimal}membership: { ${yaml} }`, file);
    const reapAfterMs = ['reapAfter: 90s', 'reapAfter: 30m', 'reapAfter: 7d', 'reapAfter: 0', 'reapAfter: "0"'].map(
      (yaml) => settings(yaml).membership.reapAfterMs,
    );
    assert.deepEqual(reapAfterMs, [90_000, 1_800_000, 7 * 86_400_000, 0, 0]);
    const replaceControlAfterMs = ['90s', '0'].map(
      (each) => settings(`replaceControlAfter: ${each}`).membership.replaceControlAfterMs,
    );
    assert.deepEqual(replaceControlAfterMs, [90_000, 0]);
    const stallToleranceMs = ['1s', '60s', '1m'].map(
      (each) => parseSettings(`${minimal}detection: { stallTolerance: ${each} }`, file).detection.stallToleranceMs,
    );
    assert.deepEqual(stallToleranceMs, [1_000, 60_000, 60_000]);
  });

  test('advertises the bound address unless that is a wildcard or another one is given', () => {
    const advertise = (more: string): unknown => parseSettings(minimal + more, file).advertise;
    assert.deepEqual(advertise('bind: 10.0.0.5'), [{ host: '10.0.0.5', port: 7100 }]);
    assert.deepEqual(advertise('bind: "[::]:7200"'), []);
    assert.deepEqual(advertise('bind: localhost'), [{ host: 'localhost', port: 7100 }]);
    assert.deepEqual(advertise('bind: 10.0.0.5\nadvertise: [edge.example:9000]'), [
      { host: 'edge.example', port: 9000 },
    ]);
  });

  test('resolves paths against its own folder and leaves absolute ones alone', () => {
    const text = `${minimal}data: /srv/hive\njoin: { addresses: [c], tokenFile: t }\nroles: { mine: { module: r.ts } }`;
    const settings = parseSettings(text, file);
    assert.equal(settings.data, '/srv/hive');
    assert.equal(settings.join?.tokenFile, '/etc/hive/t');
    assert.equal(section(settings, 'mine').module, '/etc/hive/r.ts');
    assert.equal(section(parseSettings(text, 'hivemind.yaml'), 'mine').module, 'r.ts');
  });

  test('keeps the section of every role raw, with its place: the set of roles is open (HM-1)', () => {
    const settings = parseSettings(
      `${minimal}roles:\n  host:\n  own-thing:\n    module: ./own.ts\n    deep: [1, { x: 2 }]\n`,
      file,
    );
    assert.deepEqual([...settings.roles.keys()], ['host', 'own-thing']);
    const host = section(settings, 'host');
    assert.deepEqual([host.settings, host.module, host.at], [{}, undefined, { line: 4, column: 3 }]);
    const own = section(settings, 'own-thing');
    assert.deepEqual(own.settings, { deep: [1, { x: 2 }] });
    assert.deepEqual(own.locate(['deep', 1, 'x']), { line: 7, column: 20 });
    assert.deepEqual(own.locate(['deep', 1, 'absent']), { line: 7, column: 15 });
    assert.deepEqual(own.locateKey(['deep']), { line: 7, column: 5 });
  });
});

describe('a mistake is one sentence with its line and column', () => {
  const cases: readonly (readonly [what: string, text: string, sentence: string])[] = [
    ['nothing written', '', '1:1: the file is empty; start the file with "version: 1".'],
    ['a list', '- a', '1:1: the file must be a mapping; start the file with "version: 1".'],
    ['no version', 'name: a', '1:1: version is missing; start the file with "version: 1".'],
    ['another version', 'name: 5\nversion: 2', '2:10: version must be 1, the only one there is.'],
    ['a key missing', 'version: 1', '1:1: name is missing; it must be a text.'],
    ['a value missing', 'version: 1\nname:\n', '2:1: name is missing; it must be a text.'],
    ['a wrong type', 'version: 1\nname: 7', '2:7: name must be a text, not 7.'],
    ['a key mistyped', `${minimal}advertize: [a]`, '3:1: "advertize" is not a key of this file; write "advertise".'],
    [
      'a key mistyped deep inside',
      `${minimal}detection:\n  profil: lan`,
      '4:3: "profil" is not a key of detection; write "profile".',
    ],
    ['a key like no other', `${minimal}log: { colour: red }`, '3:8: "colour" is not a key of log; its keys are level.'],
    [
      'a word mistyped',
      `${minimal}log: { level: inof }`,
      '3:15: log.level must be debug or info or warn or error; write "info".',
    ],
    ['a key twice', `${minimal}name: b`, '3:1: name is written twice; keep one of them.'],
    ['a key twice behind nothing', 'version: 1\nname:\nname: b', '3:1: name is written twice; keep one of them.'],
    ['no YAML', `${minimal}bind: "10.0.0.5`, '3:16: this is not valid YAML: Missing closing "quote.'],
    ['a tab', `${minimal}log:\n\tlevel: info`, '4:1: this is not valid YAML: Tabs are not allowed as indentation.'],
    ['two documents', `${minimal}---\na: 1`, '3:1: a second document starts here; a settings file is only one.'],
    ['an unknown tag', `${minimal}data: !path x`, '3:7: this is not valid YAML: Unresolved tag: !path.'],
    [
      'an alias of nothing',
      `${minimal}data: *x`,
      '1:1: this is not valid YAML: Unresolved alias (the anchor must be set before the alias): x.',
    ],
    [
      'a bad name',
      'version: 1\nname: Atlas',
      '2:7: name must be 1 to 63 lower-case letters, digits and hyphens, like "atlas-2".',
    ],
    ['nobody to join', `${minimal}join: { addresses: [] }`, '3:20: join.addresses must have at least 1 entry.'],
    [
      'two tokens',
      `${minimal}join: { addresses: [a], token: x, tokenFile: y }`,
      '3:7: join must have either token or tokenFile, not both.',
    ],
    [
      'a key in milliseconds',
      `${minimal}detection: { stallToleranceMs: 4000 }`,
      '3:14: "stallToleranceMs" is not a key of detection; write "stallTolerance".',
    ],
    ...['soon', '72', '-1h', '0h', '1h30m', '9999d', '[72h]', '', '1.5'].map(
      (written) =>
        [
          `a time to reap that is ${written || 'empty'}`,
          `${minimal}membership:\n  reapAfter: ${written}`,
          `4:${written === '' ? 3 : 14}: membership.reapAfter must be a number and a unit, ` +
            'like 72h or 7d, up to ten years; or 0 for never.',
        ] as const,
    ),
    ...['0s', '0', '61s', '4000', '2h'].map(
      (written) =>
        [
          `a tolerance of ${written}`,
          `${minimal}detection: { stallTolerance: ${written} }`,
          '3:30: detection.stallTolerance must be a number and a unit, like 4s, from 1s to 60s.',
        ] as const,
    ),
    ['a section that is none', `${minimal}roles:\n  host: 5`, '4:9: roles.host must be a mapping, not 5.'],
    ['roles as a list', `${minimal}roles: [host]`, '3:8: roles must be a mapping, not a list.'],
    [
      'a role named badly',
      `${minimal}roles: { Dns: }`,
      '3:10: roles.Dns must be 1 to 63 lower-case letters, digits and hyphens, like "atlas-2".',
    ],
    [
      'too many roles',
      `${minimal}roles: {${Array.from({ length: 17 }, (_, index) => `r${index}: {}`).join(', ')}}`,
      '3:8: roles must have at most 16 roles.',
    ],
    [
      'several: the first is told, the others are counted',
      'version: 1\nlog: { level: 3, lvel: info }\nname: 7\nbind: no where',
      '2:15: log.level must be debug or info or warn or error (and 3 more).',
    ],
  ];
  for (const [what, text, sentence] of cases) {
    test(what, () => assert.equal(refusalOf(text), sentence));
  }

  test('a bad address says what one looks like', () => {
    assert.match(
      refusalOf(`${minimal}advertise: [10.0.0.5, 300.1.2.3]`),
      /^3:23: advertise\[1\] is wrong: "300.1.2.3"/,
    );
  });

  test('a file above the limit is not read', () => {
    assert.match(refusalOf(`${minimal}#${'x'.repeat(settingsBytesMax)}`), /^1:1: the file has \d+ bytes and may have/);
  });

  test('a token is never shown', () => {
    const texts = [`${minimal}join: { addresses: [a], token: [s3cret] }`, `${minimal}join: s3cret`];
    for (const text of texts) assert.doesNotMatch(refusalOf(text), /s3cret/);
  });

  test('nothing else is ever thrown, whatever the text', () => {
    const word = fc.constantFrom(
      'version: 1',
      'name: a',
      'roles:',
      '  host:',
      '- ',
      '{',
      '}',
      '[',
      ': ',
      '&a',
      '*a',
      '"',
      '\n',
      '\n  ',
      '!!x',
      '~',
      '__proto__: 1',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join('')),
        ),
        (text) => {
          try {
            parseSettings(text, 'hivemind.yaml');
          } catch (thrown) {
            assert(thrown instanceof HivemindError && thrown.code === 'settings-invalid', String(thrown));
            assert.match(thrown.message, /^hivemind\.yaml:\d+:\d+: [^\n]+\.$/);
          }
        },
      ),
      { seed: 7, numRuns: 500 },
    );
  });
});

describe("a role's own settings", () => {
  const schema = z.object({
    zones: z.array(z.string().min(1)).min(1),
    listen: z.union([z.string(), z.int()]).default('127.0.0.1:53'),
    check: z
      .discriminatedUnion('kind', [
        z.object({ kind: z.literal('http'), path: z.string().startsWith('/', 'A path starts with a slash.') }),
        z.object({ kind: z.literal('tcp'), port: z.int() }),
      ])
      .optional(),
    labels: z.record(z.string(), z.string()).optional(),
    extra: z.unknown().optional(),
  });
  const dns = (yaml: string): RoleSection => section(parseSettings(`${minimal}roles:\n  dns:\n${yaml}`, file), 'dns');
  const refusalIn = (yaml: string): string =>
    refusal(() => parseRoleSettings(dns(yaml), schema, 'h.yaml')).replace(/^h\.yaml:/, '');

  test('are checked and completed by its schema', () => {
    const settings = parseRoleSettings(dns('    zones: [lab.test]\n    labels: { any: thing }\n'), schema, file);
    assert.deepEqual(settings, { zones: ['lab.test'], listen: '127.0.0.1:53', labels: { any: 'thing' } });
  });

  test('are refused with the place in the file and the full path', () => {
    assert.equal(refusalIn('    listen: x'), '5:5: roles.dns.zones is missing; it must be a list.');
    assert.equal(refusalIn('    zones: [a, 5]'), '5:16: roles.dns.zones[1] must be a text, not 5.');
    assert.equal(refusalIn('    zones: [a]\n    listen: []'), '6:13: roles.dns.listen must be a text or a number.');
    const check = '    zones: [a]\n    check: ';
    assert.equal(refusalIn(`${check}{ kind: udp }`), '6:20: roles.dns.check.kind must be http or tcp.');
    assert.equal(
      refusalIn(`${check}{ kind: http, path: x }`),
      '6:32: roles.dns.check.path: A path starts with a slash.',
    );
  });

  test('have no key that the schema does not know, strict or not', () => {
    assert.equal(refusalIn('    zone: [a]\n    zones: [a]'), '5:5: "zone" is not a key of roles.dns; write "zones".');
    const check = '    zones: [a]\n    extra: { anything: { goes: 1 } }\n    check: ';
    assert.equal(
      refusalIn(`${check}{ kind: tcp, port: 1, path: / }`),
      '7:34: "path" is not a key of roles.dns.check; its keys are kind, port.',
    );
    const strict = z.strictObject({ zones: z.string().optional() });
    assert.equal(
      refusal(() => parseRoleSettings(dns('    zons: a'), strict, 'h.yaml')),
      'h.yaml:5:5: "zons" is not a key of roles.dns; write "zones".',
    );
  });

  test('must be empty for a role without a schema', () => {
    assert.deepEqual(parseRoleSettings(dns(''), undefined, file), {});
    assert.equal(
      refusal(() => parseRoleSettings(dns('    zones: a'), undefined, 'h.yaml')),
      'h.yaml:5:5: "zones" is not a key of roles.dns, which takes no settings; remove it.',
    );
  });
});

describe('a written settings file', () => {
  const draft = {
    name: 'atlas',
    data: '/srv/a: b #c',
    bind: { host: '::1', port: 7101 },
    advertise: [{ host: 'fd00::5', port: 7100 }],
    join: { addresses: [{ host: 'c1.example', port: 7100 }], token: 'hm1: #secret "x"' },
    roles: { host: null, dns: { zones: ['lab.test'] } },
  };

  test('is read back to the same values', () => {
    const settings = parseSettings(writeSettings(draft), file);
    const { roles, ...written } = draft;
    const { roles: sections, detection, membership, log, ...read } = settings;
    assert.deepEqual(read, written);
    assert.deepEqual([...sections.keys()], Object.keys(roles));
    assert.deepEqual(section(settings, 'dns').settings, roles.dns);
    assert.deepEqual([detection, log], [{ profile: 'lan' }, { level: 'info' }]);
    assert.deepEqual(membership, parseSettings(minimal, file).membership);
  });

  test('leaves out what there is none of', () => {
    const text = writeSettings({ name: 'a', data: './data', bind: draft.bind, advertise: [], roles: {} });
    assert.doesNotMatch(text, /advertise|join/);
    assert.equal(parseSettings(text, file).roles.size, 0);
  });
});

describe('the hivemind.yaml of the repository', () => {
  const text = readFileSync(example, 'utf8');
  const settings = parseSettings(text, example);

  test('shows every key there is', () => {
    assert.deepEqual(settings.advertise, [{ host: '10.0.0.5', port: 7100 }]);
    assert.deepEqual(settings.join?.addresses[1], { host: 'fd00::2', port: 7100 });
    assert.deepEqual(settings.detection, { profile: 'lan', stallToleranceMs: 4000 });
    assert.deepEqual(settings.membership, { reapAfterMs: 72 * 3_600_000, replaceControlAfterMs: 3_600_000 });
    assert.deepEqual([...settings.roles.keys()], ['host', 'dns', 'nginx']);
  });

  for (const role of [host, dns, nginx]) {
    test(`shows every setting of the role ${role.name}`, () => {
      const schema = role.settings as z.ZodType | undefined;
      const checked = parseRoleSettings(section(settings, role.name), schema, example);
      assert.deepEqual(section(settings, role.name).settings, checked);
    });
  }
});
