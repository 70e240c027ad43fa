/** One clock for all ages on the screen, ticking once a second and corrected to the server's time. */

import { signal } from "@preact/signals";

let offset = 0;

export const now = signal(Date.now() / 1000);

/** Take over the server's clock, so that ages are right on a PC whose clock is wrong. */
export function serverTime(at: number): void {
  offset = at - Date.now() / 1000;
}

window.setInterval(() => {
  now.value = Date.now() / 1000 + offset;
}, 1000);
