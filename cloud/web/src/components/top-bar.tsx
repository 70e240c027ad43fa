/** Top bar: pages, figures of the moment, state of stream and sound, the operator. */

import { lifeQueue, newestUnclaimed, technicalQueue, unclaimedLife } from "../data/incidents";
import { overview } from "../data/overview";
import { type Page, page } from "../data/page";
import { me, signOut } from "../data/session";
import { lastHeard, streamState } from "../data/stream";
import { age, code, homeName, type Key, person, t } from "../i18n";
import { audioState, endShift, startShift } from "../sound/shift";
import { LanguageSwitch } from "./language-switch";

const TABS: readonly [Page, Key][] = [
  ["queue", "nav.queue"],
  ["homes", "nav.homes"],
  ["responders", "nav.responders"],
  ["platform", "nav.platform"],
];

export function TopBar() {
  const figures = overview.value;
  return (
    <header>
      <div class="top-bar">
        <strong class="brand">{t("app.name")}</strong>
        <nav>
          {TABS.map(([id, key]) => (
            <a href={`#${id}`} aria-current={page.value === id ? "page" : undefined} key={id}>
              {t(key)}
            </a>
          ))}
        </nav>
        <dl class="figures">
          <Figure name={t("overview.unclaimed")} value={unclaimedLife.value.length} urgent={unclaimedLife.value.length > 0} />
          <Figure name={t("overview.open")} value={lifeQueue.value.length + technicalQueue.value.length} />
          {figures && (
            <>
              <Figure name={t("overview.online")} value={`${figures.gateways_online}/${figures.gateways}`} />
              <Figure name={t("overview.responders")} value={figures.responders_on_duty} />
            </>
          )}
        </dl>
        <span class={`stream stream-${streamState.value}`} data-testid="stream">
          {t(`stream.${streamState.value === "lost" ? "connecting" : streamState.value}`)}
        </span>
        {audioState.value === "running" ? (
          <button class="quiet" onClick={endShift}>
            {t("shift.end")}
          </button>
        ) : (
          <button class="primary" onClick={() => void startShift()}>
            {t("shift.start")}
          </button>
        )}
        <LanguageSwitch />
        <span class="user">
          {me.value?.name}
          {me.value?.sub_district && ` · ${code("district", me.value.sub_district)}`}
        </span>
        <button class="quiet" onClick={() => void signOut()}>
          {t("signout")}
        </button>
      </div>
      <Warnings />
      <Spoken />
    </header>
  );
}

/** What a screen reader says of a new incident, whatever page is open. */
function Spoken() {
  const incident = newestUnclaimed.value;
  return (
    <p class="only-heard" role="status" aria-live="assertive" data-testid="spoken">
      {incident &&
        `${t("overview.unclaimed")}: ${code("kind", incident.kind)} · ${incident.resident ? person(incident.resident) : homeName(incident.home.id)}`}
    </p>
  );
}

function Figure({ name, value, urgent = false }: { name: string; value: number | string; urgent?: boolean }) {
  return (
    <div class={urgent ? "urgent" : ""}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** Red bars for what an operator must not miss: no stream, no sound. */
function Warnings() {
  const heard = lastHeard.value;
  const seconds = heard === null ? null : performance.now() / 1000 - heard;
  return (
    <>
      {streamState.value === "lost" && (
        <p class="bar bar-red" role="alert">
          {t("stream.lost")}
          {seconds !== null && ` · ${t("stream.since", { age: age(0, seconds) })}`}
        </p>
      )}
      {audioState.value !== "running" && (
        <p class={audioState.value === "blocked" ? "bar bar-red" : "bar bar-grey"} role="status">
          {t(audioState.value === "blocked" ? "shift.blocked" : "shift.off")}
        </p>
      )}
    </>
  );
}
