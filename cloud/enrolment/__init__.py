"""Enrolment of gateways: the district's own certificate authority, single-use tokens, renewal and revocation."""
