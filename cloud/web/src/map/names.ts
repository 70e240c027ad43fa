/** Where names stand on a map: on their own ground, and beside pins rather than under them. Pixels; pure. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Pin extends Point {
  readonly radius: number;
}

export interface Name extends Point {
  readonly width: number;
  /** Whether a point is on the ground that is named. */
  readonly owns: (point: Point) => boolean;
}

/** What is seen of the map. */
export interface View {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const HEIGHT = 18;
const STEP = 8;
/** Further away a name would be taken for another's. */
const FURTHEST = 72;

/** How a name may be moved, the shortest way first. */
const MOVES: readonly Point[] = steps()
  .flatMap((y) => steps().map((x) => ({ x, y })))
  .filter((p) => Math.hypot(p.x, p.y) <= FURTHEST)
  .sort((a, b) => Math.hypot(a.x, a.y) - Math.hypot(b.x, b.y));

function steps(): number[] {
  const n = Math.floor(FURTHEST / STEP);
  return Array.from({ length: 2 * n + 1 }, (_, i) => (i - n) * STEP);
}

/** What it costs to lie on a pin or another name, or to be cut off at the edge of the map, and to leave one's own ground;
 * the longest way costs 1. */
const COVER = 4;
const LEAVE = 1;

/** The middle of each name: off pins and other names if it can be, on its own ground, as near as possible to where it
 * belongs. The second round knows where all the others are. */
export function placed(names: readonly Name[], pins: readonly Pin[], view: View): readonly Point[] {
  const places: Box[] = [];
  for (let round = 0; round < 2; round++) {
    names.forEach((name, i) => {
      places[i] = place(name, pins, places.filter((_, other) => other !== i), view);
    });
  }
  return places;
}

function place({ x, y, width, owns }: Name, pins: readonly Pin[], others: readonly Box[], view: View): Box {
  const seen = x > view.left && x < view.right && y > view.top && y < view.bottom;
  let best: Box = { x, y, width };
  let least = Infinity;
  for (const move of MOVES) {
    const way = Math.hypot(move.x, move.y) / FURTHEST;
    if (way >= least) break;
    const at = { x: x + move.x, y: y + move.y, width };
    const covered = pins.filter((pin) => covers(at, pin)).length + others.filter((other) => meets(at, other)).length;
    const cut = seen && !within(at, view) ? COVER : 0;
    const cost = way + COVER * covered + cut + (owns(at) ? 0 : LEAVE);
    if (cost < least) [best, least] = [at, cost];
  }
  return best;
}

interface Box extends Point {
  readonly width: number;
}

function within({ x, y, width }: Box, view: View): boolean {
  const [w, h] = [width / 2, HEIGHT / 2];
  return x - w >= view.left && x + w <= view.right && y - h >= view.top && y + h <= view.bottom;
}

function covers(name: Box, pin: Pin): boolean {
  const x = Math.max(0, Math.abs(pin.x - name.x) - name.width / 2);
  const y = Math.max(0, Math.abs(pin.y - name.y) - HEIGHT / 2);
  return Math.hypot(x, y) < pin.radius;
}

function meets(a: Box, b: Box): boolean {
  return Math.abs(a.x - b.x) < (a.width + b.width) / 2 && Math.abs(a.y - b.y) < HEIGHT;
}

/** Whether a ring of [x, y] encloses a point: a ray from it crosses the ring an odd number of times. */
export function encloses(ring: readonly (readonly number[])[], x: number, y: number): boolean {
  let inside = false;
  ring.forEach(([x1 = 0, y1 = 0], i) => {
    const [x2 = 0, y2 = 0] = ring[(i + 1) % ring.length] ?? [];
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) inside = !inside;
  });
  return inside;
}
