/** Switches between Chinese and English. */

import { lang, t } from "../i18n";

export function LanguageSwitch() {
  return (
    <button class="quiet" type="button" lang={lang.value === "zh" ? "en" : "zh-CN"} onClick={() => (lang.value = lang.value === "zh" ? "en" : "zh")}>
      {t("lang.other")}
    </button>
  );
}
