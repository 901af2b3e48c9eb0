/** Tells a schedule as text: each move as a sentence, and below it what the elections saw and did, as lib/election/story does. */
import { storyTeller } from '../../election/internal.js';
import { makeMove, type Fate, type Made, type Move, type Onlooker } from './moves.js';
import { names, newWorld, type Scope, type World } from './world.js';

/** Called with each move before it is made, and the world in which it is. */
export interface Follower extends Onlooker {
  moves(sentence: string, made: Made, world: World): void;
}

/** Makes the moves of a schedule again, from the beginning. */
export function replay(scope: Scope, moves: readonly Made[], follower: Follower): void {
  let world = newWorld(scope);
  for (const made of moves) {
    follower.moves(sentenceOf(made), made, world);
    world = makeMove(world, scope, made, follower);
  }
}

/** The story of a schedule, line by line. Times are by the clock of the first process. */
export function tellStory(scope: Scope, moves: readonly Made[]): string[] {
  const lines: string[] = [];
  const tellers = names.map((name) =>
    storyTeller((line) => lines.push(`${' '.repeat(10)}${name} | ${line}`)),
  );
  replay(scope, moves, {
    moves: (sentence, { move }, { tick }) => {
      if (move.do !== 'tick')
        lines.push(`${String(tick * (scope.tickMs[0] as number)).padStart(8)}  ${sentence}`);
    },
    stepped: (process, ...step) => tellers[process]?.(...step),
    changed: (lease) => {
      const { holderIdentity = '' } = lease?.record ?? {};
      const holds = holderIdentity === '' ? 'nobody holds the lease' : `${holderIdentity} holds the lease`;
      lines.push(
        `${' '.repeat(10)}the server: ${lease === undefined ? 'there is no Lease' : `${holds}, version ${lease.resourceVersion}`}`,
      );
    },
  });
  return lines;
}

function sentenceOf({ move, mishap }: Made): string {
  if (mishap === undefined) return moveText(move);
  const which = mishap.request === 1 ? 'the request that it sends' : 'the last request that it sends';
  return `${moveText(move)}; ${mishapText(mishap.fate, which)}`;
}

function moveText(move: Move): string {
  const name = String('process' in move ? names[move.process] : undefined);
  switch (move.do) {
    case 'tick':
      return 'time passes';
    case 'delete':
      return 'the Lease is deleted';
    case 'start':
      return `${name} starts`;
    case 'wake':
      return `${name}'s timer rings`;
    case 'event':
      return `${name}'s watch shows its next event`;
    case 'thaw':
      return `${name} continues`;
    case 'resume':
      return `${name}'s silent watch goes on`;
    case 'endWork':
      return `the gated work of ${name} ends`;
    case 'freeze':
      return `${name} is frozen`;
    case 'kill':
      return `${name} is killed`;
    case 'silence':
      return `${name}'s watch falls silent`;
    case 'endWatch':
      return `${name}'s watch is cut`;
    case 'stop':
      return `${name} is told to stop`;
    case 'stepDown':
      return `${name} is told to step down`;
    case 'beginWork':
      return `gated work begins in ${name}`;
    case 'reply':
      return `${name} gets the reply to its request ${String(move.request)}`;
    case 'giveUp':
      return `${name} gives up its request ${String(move.request)}`;
    case 'arrive':
      return `${name}'s request ${String(move.request)}, held up so far, reaches the server`;
  }
}

function mishapText(fate: Fate, request: string): string {
  switch (fate) {
    case 'requestHeld':
      return `${request} is held up`;
    case 'replyHeld':
      return `the reply to ${request} is held up`;
    case 'requestBroken':
      return `the connection breaks before the server gets ${request}`;
    case 'replyBroken':
      return `the connection breaks after the server has carried out ${request}`;
    case 'frozen':
      return `it is frozen before it gets the reply to ${request}`;
  }
}
