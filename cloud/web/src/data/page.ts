/** Which page is shown: the one that the address names behind its #. */

import { signal } from "@preact/signals";

export type Page = "queue" | "homes" | "responders" | "platform";
const PAGES: readonly Page[] = ["queue", "homes", "responders", "platform"];

const readPage = (): Page => PAGES.find((p) => `#${p}` === location.hash) ?? "queue";
export const page = signal<Page>(readPage());
window.addEventListener("hashchange", () => {
  page.value = readPage();
});
