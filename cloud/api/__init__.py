"""HTTP API, server-sent events and the server-rendered family and responder pages."""
