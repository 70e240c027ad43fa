/** Sign-in. */

import { useState } from "preact/hooks";
import { LanguageSwitch } from "../components/language-switch";
import { ApiProblem } from "../data/http";
import { signIn } from "../data/session";
import { t, type Key } from "../i18n";

const MESSAGES: Record<number, Key> = { 0: "signin.unreachable", 401: "signin.wrong", 429: "signin.tooMany" };

export function SignInPage() {
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  const [busy, setBusy] = useState(false);

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    setBusy(true);
    setProblem(null);
    try {
      await signIn(String(form.get("login")), String(form.get("password")));
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      setProblem(error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <div class="sign-in">
      <form onSubmit={submit}>
        <h1>
          {t("app.name")} <small>{t("app.tagline")}</small>
        </h1>
        <label>
          {t("signin.login")}
          <input name="login" autocomplete="username" autofocus required maxLength={64} />
        </label>
        <label>
          {t("signin.password")}
          <input name="password" type="password" autocomplete="current-password" required maxLength={256} />
        </label>
        {problem && (
          <p class="form-error" role="alert">
            {t(MESSAGES[problem.status] ?? "error.other", { detail: problem.detail })}
          </p>
        )}
        <button class="primary" type="submit" disabled={busy}>
          {t("signin.submit")}
        </button>
        <LanguageSwitch />
      </form>
    </div>
  );
}
