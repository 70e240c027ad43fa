/** Who is signed in. */

import { signal } from "@preact/signals";
import { ApiProblem, get, post, whenSignedOut } from "./http";
import type { Me } from "./types";

/** undefined: not known yet; null: nobody. */
export const me = signal<Me | null | undefined>(undefined);

whenSignedOut(() => {
  me.value = null;
});

export async function restore(): Promise<void> {
  try {
    me.value = await get<Me>("/me");
  } catch (error) {
    if (error instanceof ApiProblem && error.status !== 401) throw error;
    me.value = null;
  }
}

export async function signIn(login: string, password: string): Promise<void> {
  me.value = await post<Me>("/sign-in", { login, password });
}

export async function signOut(): Promise<void> {
  await post("/sign-out");
  me.value = null;
}
