/** Responders, and why one is proposed. */

import type { responders as zh } from "../zh/responders";

export const responders: Record<keyof typeof zh, string> = {
  "responders.onDuty": "on duty",
  "responders.offDuty": "off duty",
  "responders.none": "No responder is registered",
  "responders.name": "Name",
  "responders.role": "Role",
  "responders.district": "Sub-district",
  "responders.duty": "Duty",
  "responders.phone": "Phone",
  "responders.located": "Last position",
  "role.nurse": "Community nurse",
  "role.volunteer": "Volunteer",
  "role.social_worker": "Social worker",
  "role.ambulance": "Ambulance",
  "reason.off_duty": "off duty",
  "reason.on_a_job": "on a job",
  "reason.resting": "resting",
  "reason.near": "near",
  "reason.far": "far",
  "reason.old_location": "old position",
  "reason.no_location": "no position",
  "reason.same_sub_district": "same sub-district",
};
