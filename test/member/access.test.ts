/** Who may say what to a member: every request and every post, from everybody (HM-27). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mayPost } from '../../src/member/access.ts';
import type { MemberEffect } from '../../src/member/effect.ts';
import type { StreamPeer } from '../../src/seam/streams.ts';
import { encodePost, encodeRequest, type PeerPost, type PeerRequest } from '../../src/wire/peer-message.ts';
import { knowledgeOf, nodeOf, wholeCluster } from './scene.ts';

const cluster = wholeCluster();
const asked = nodeOf(cluster, 'c1');
const nothing = new Uint8Array(0);

function peer(name: string): StreamPeer {
  const { number, signingKey, endpoint } = nodeOf(cluster, name);
  return { kind: 'member', number, publicKey: signingKey.publicKey, remote: endpoint };
}

const peers = {
  stranger: { kind: 'stranger', publicKey: new Uint8Array(32), remote: { host: '10.9.9.9', port: 7100 } },
  member: peer('m1'),
  control: peer('c2'),
} as const satisfies Readonly<Record<string, StreamPeer>>;
type Who = keyof typeof peers;
const everybody = Object.keys(peers) as Who[];

const requests: { readonly [K in PeerRequest['kind']]: readonly [Extract<PeerRequest, { kind: K }>, readonly Who[]] } =
  {
    join: [{ kind: 'join', request: nothing, hops: 0 }, ['stranger', 'member', 'control']],
    'ask-pane': [
      { kind: 'ask-pane', from: 1, ask: { kind: 'revoke-token', publicKey: new Uint8Array(32) }, hops: 0 },
      ['member', 'control'],
    ],
    digest: [{ kind: 'digest', atLeast: 0 }, ['member', 'control']],
    facts: [{ kind: 'facts', numbers: [1] }, ['member', 'control']],
    log: [{ kind: 'log', from: 1, most: 10, atLeast: 0 }, ['member', 'control']],
    'pane-status': [{ kind: 'pane-status' }, ['member', 'control']],
    'config-sync': [
      { kind: 'config-sync', role: 'host', hash: new Uint8Array(16), held: [], ownOnly: false },
      ['member', 'control'],
    ],
    role: [{ kind: 'role', role: 'host', body: nothing }, ['member', 'control']],
    reach: [{ kind: 'reach' }, ['stranger', 'member', 'control']],
    members: [{ kind: 'members', name: '', from: 0, atLeast: 0 }, ['member', 'control']],
    'role-members': [{ kind: 'role-members', role: 'host' }, ['member', 'control']],
    config: [{ kind: 'config', role: 'tags', owner: 1 }, ['member', 'control']],
    charter: [{ kind: 'charter', length: 0 }, ['stranger', 'member', 'control']],
    'read-index': [{ kind: 'read-index', hops: 0 }, ['member', 'control']],
  };

const share = { signer: 2, signature: new Uint8Array(64) } as const;
const posts: { readonly [K in PeerPost['kind']]: readonly [Extract<PeerPost, { kind: K }>, readonly Who[]] } = {
  raft: [
    {
      kind: 'raft',
      message: { kind: 'append-answer', term: 1_000, accepted: false, matchIndex: 0, round: 0, lostLog: 0 },
      wall: 1,
    },
    ['control'],
  ],
  share: [{ kind: 'share', number: 4, statement: 'remove', share }, ['control']],
  configs: [{ kind: 'configs', configs: [] }, ['member', 'control']],
  removal: [{ kind: 'removal', certificate: nothing }, ['control']],
};

/** The next step's effects, without carrying any of them out. */
function stepped(input: Parameters<NonNullable<typeof asked.member>['step']>[0]): readonly MemberEffect[] {
  assert(asked.member !== undefined);
  return asked.member.step(input, asked.time);
}

describe('a request is refused before any handler runs unless it is of', () => {
  let id = 1_000_000;
  for (const [request, allowed] of Object.values(requests)) {
    test(`${request.kind}: ${allowed.join(', ')}`, () => {
      for (const who of everybody) {
        id++;
        const effects = stepped({ kind: 'request', id, from: peers[who], body: encodeRequest(request) });
        const refusal = effects.find((effect) => effect.kind === 'refuse' && effect.id === id);
        const code = refusal?.kind === 'refuse' ? refusal.error.code : undefined;
        assert.equal(code !== 'not-admitted', allowed.includes(who), `${who}: ${code}`);
      }
    });
  }

  test('anybody, when it is unreadable: that is refused too', () => {
    const effects = stepped({ kind: 'request', id: 1, from: peers.member, body: Uint8Array.of(0xc1) });
    assert(effects.some((effect) => effect.kind === 'refuse' && effect.error.code === 'frame-invalid'));
  });
});

describe('a post counts only when it is of', () => {
  for (const [post, allowed] of Object.values(posts)) {
    test(`${post.kind}: ${allowed.join(', ')}`, () => {
      const isControl = (number: number): boolean => number <= 3;
      const who = everybody.filter((each) => mayPost(post.kind, peers[each], isControl));
      assert.deepEqual(who, allowed);
    });
  }

  test('a control node: a member or a stranger cannot move the term', () => {
    const term = (): number | undefined => asked.member?.pane?.engine.raft.term;
    const before = term();
    for (const who of ['stranger', 'member'] as const) {
      stepped({ kind: 'post', from: peers[who], body: encodePost(posts.raft[0]) });
      assert.equal(term(), before, who);
    }
    stepped({ kind: 'post', from: peers.control, body: encodePost(posts.raft[0]) });
    assert.equal(term(), 1_000);
  });

  test('somebody who can write: what is unreadable changes nothing, and is counted', () => {
    const [before, malformed] = [knowledgeOf(asked), asked.member?.line.malformed ?? 0];
    stepped({ kind: 'post', from: peers.control, body: Uint8Array.of(0xc1) });
    assert.equal(knowledgeOf(asked), before);
    assert.equal(asked.member?.line.malformed, malformed + 1);
  });
});
