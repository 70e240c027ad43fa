/** A resource of the API for as long as a component shows it, fetched again from time to time where asked. */

import { useEffect, useState } from "preact/hooks";
import { ApiProblem, get } from "./http";

export interface Loaded<T> {
  /** The latest answer; null before the first, and after the path has changed. */
  readonly value: T | null;
  /** Why the latest attempt failed; null if it did not. */
  readonly problem: ApiProblem | null;
}

interface How {
  readonly everyMs?: number;
  /** Wait so long before the first attempt: somebody is typing. */
  readonly pauseMs?: number;
}

export function useLoaded<T>(path: string, { everyMs, pauseMs = 0 }: How = {}): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ value: null, problem: null });
  useEffect(() => {
    let shown = true;
    const refresh = async () => {
      try {
        const value = await get<T>(path);
        if (shown) setLoaded({ value, problem: null });
      } catch (error) {
        if (!(error instanceof ApiProblem)) throw error;
        if (shown) setLoaded(({ value }) => ({ value, problem: error }));
      }
    };
    const first = window.setTimeout(() => void refresh(), pauseMs);
    const again = everyMs === undefined ? undefined : window.setInterval(() => void refresh(), everyMs);
    return () => {
      shown = false;
      window.clearTimeout(first);
      window.clearInterval(again);
    };
  }, [path, everyMs, pauseMs]);
  return loaded;
}
