"""Alarms of one home: the table of their states, the ladders of questions, and all that are open."""

from edge.alarms.home import Alarms
from edge.alarms.states import ENDED, TRANSITIONS, Alarm, Changed, Effect, Speak, Trigger

__all__ = ["ENDED", "TRANSITIONS", "Alarm", "Alarms", "Changed", "Effect", "Speak", "Trigger"]
