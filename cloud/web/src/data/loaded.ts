/** A resource of the API for as long as a component shows it, fetched again from time to time where asked. */

import { useEffect, useState } from "preact/hooks";
import { ApiProblem, get } from "./http";

export interface Loaded<T> {
  /** The latest answer; null before the first, and, unless `keep`, after the path has changed. */
  readonly value: T | null;
  /** Why the latest attempt failed; null if it did not. */
  readonly problem: ApiProblem | null;
}

interface How {
  readonly everyMs?: number;
  /** Wait so long before the first attempt: somebody is typing. */
  readonly pauseMs?: number;
  /** Show the answer of the path before until the next is there: a list must not flicker with every letter typed. */
  readonly keep?: boolean;
}

export function useLoaded<T>(path: string, { everyMs, pauseMs = 0, keep = false }: How = {}): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T> & { readonly of: string }>({ value: null, problem: null, of: path });
  useEffect(() => {
    let shown = true;
    const refresh = async () => {
      try {
        const value = await get<T>(path);
        if (shown) setLoaded({ value, problem: null, of: path });
      } catch (error) {
        if (!(error instanceof ApiProblem)) throw error;
        if (shown) setLoaded(({ value, of }) => ({ value: keep || of === path ? value : null, problem: error, of: path }));
      }
    };
    const first = window.setTimeout(() => void refresh(), pauseMs);
    const again = everyMs === undefined ? undefined : window.setInterval(() => void refresh(), everyMs);
    return () => {
      shown = false;
      window.clearTimeout(first);
      window.clearInterval(again);
    };
  }, [path, everyMs, pauseMs, keep]);
  return keep || loaded.of === path ? loaded : { value: null, problem: null };
}
