/** The one way the console talks to the API: JSON in, JSON out, problems as typed errors. */

export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    /** Stable machine-readable code of problem+json, e.g. `version_conflict`. */
    readonly code: string,
    readonly detail: string,
  ) {
    super(detail);
  }
}

let signedOut = (): void => undefined;

/** What to do when the server no longer knows who asks (the session has ended). */
export function whenSignedOut(run: () => void): void {
  signedOut = run;
}

const TIMEOUT_MS = 10_000;

export async function request<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { "X-Requested-With": "anju" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new ApiProblem(0, "unreachable", String(error));
  }
  if (response.status === 401) signedOut();
  if (!response.ok) throw await problemOf(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function problemOf(response: Response): Promise<ApiProblem> {
  try {
    const problem = (await response.json()) as { code?: string; detail?: string; title?: string };
    return new ApiProblem(response.status, problem.code ?? "error", problem.detail ?? problem.title ?? response.statusText);
  } catch {
    return new ApiProblem(response.status, "error", response.statusText);
  }
}

export const get = <T>(path: string): Promise<T> => request<T>("GET", path);
export const post = <T>(path: string, body: unknown = {}): Promise<T> => request<T>("POST", path, body);
