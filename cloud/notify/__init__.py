"""Outgoing messages: outbox, Standard Webhooks, SMS texts, receipts and replies."""
