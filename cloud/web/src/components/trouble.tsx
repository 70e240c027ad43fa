/** A failed request in the operator's words. */

import { ApiProblem } from "../data/http";
import { type Key, t } from "../i18n";
import { zh } from "../i18n/zh";

export function troubleText(problem: unknown): string {
  if (!(problem instanceof ApiProblem)) return t("error.other", { detail: String(problem) });
  const key = `error.${problem.code}`;
  return key in zh ? t(key as Key) : t("error.other", { detail: problem.detail });
}

export function Trouble({ problem }: { problem: ApiProblem | null }) {
  return problem && <p class="bar bar-red" role="alert">{troubleText(problem)}</p>;
}
