/** From one thing back to the list: seen only where both do not fit beside each other. */

import { t } from "../i18n";

export function BackButton({ onClick }: { onClick: () => void }) {
  return (
    <button class="back" onClick={onClick}>
      ‹ {t("back")}
    </button>
  );
}
